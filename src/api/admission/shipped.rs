//! Is what a cluster has what was shipped?

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};

use super::{build, requester, resume, task};

/// An object of those that ship with the operator.
pub trait Shipped: Sized {
    /// All that ship of this kind.
    fn expected() -> Vec<Self>;

    /// Is its `spec` the one that ships under its name? False for an object of another name.
    ///
    /// Labels and annotations don't count: they change nothing about what is enforced.
    fn as_shipped(&self) -> bool;
}

/// `as_shipped` by the two fields that all four kinds have.
macro_rules! shipped {
    ($kind:ty, $expected:expr) => {
        impl Shipped for $kind {
            fn expected() -> Vec<Self> {
                $expected
            }

            fn as_shipped(&self) -> bool {
                Self::expected()
                    .iter()
                    .any(|it| it.metadata.name == self.metadata.name && it.spec == self.spec)
            }
        }
    };
}

shipped!(MutatingAdmissionPolicy, vec![requester::stamp()]);
shipped!(
    MutatingAdmissionPolicyBinding,
    vec![build::mutating_binding(requester::STAMP)]
);
shipped!(
    ValidatingAdmissionPolicy,
    vec![requester::check(), task::name_task(), resume::resume()]
);
shipped!(
    ValidatingAdmissionPolicyBinding,
    [requester::CHECK, task::NAME, resume::NAME]
        .map(build::validating_binding)
        .to_vec()
);
