//! Admission policies.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};

/// An object that ships with the operator.
pub trait Shipped {
    /// Is its spec the one that ships under its name?
    fn as_shipped(&self) -> bool;
}

macro_rules! not_yet {
    ($($kind:ty),*) => { $(impl Shipped for $kind { fn as_shipped(&self) -> bool { false } })* };
}
not_yet!(
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding
);

/// `<kind>/<name>` of every policy and binding that ships.
pub fn names() -> impl Iterator<Item = String> {
    std::iter::empty()
}
