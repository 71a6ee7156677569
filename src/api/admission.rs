//! Who may write what: admission policies that the API server evaluates itself, on CREATE and on
//! UPDATE, without a webhook.
//!
//! ```text
//!  write of an AgentIdentity ──▶ stamp ──▶ schema ──▶ check the stamp ──▶ may name the task?
//!           or a Delegation     (mutates)                             ──▶ may set it going again?
//! ```
//!
//! The last two are for identities alone: a Delegation names no task, and Revoked is for good.
//!
//! All of them fail closed. Defaults of the API server are written out, so that the `spec` of a
//! live object equals ours exactly as long as nobody changed it: see [`Shipped`].
//!
//! Whether the requester may act as the owner isn't asked here but by the operator, from the stamp:
//! a policy can't read another object's `subjects`. Nor is it asked here whether the requester may
//! delegate for an agent. The verb `delegate` on `agentidentities/<delegator>` a policy could ask
//! for; but the agent's owner may delegate without it, and who that is stands in two other objects:
//! a policy that asked for the verb would refuse owners. The operator reads the AgentIdentity and
//! its AgentOwner, and asks for the verb by a SubjectAccessReview with the stamp, before it
//! countersigns; until then a Delegation is nothing but a wish.

mod build;
mod requester;
mod resume;
mod shipped;
mod task;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use serde::Serialize;

pub use shipped::Shipped;

/// One object of those that ship.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Policy {
    /// Changes what is written.
    Mutating(MutatingAdmissionPolicy),
    /// Puts a mutating policy into effect.
    MutatingBinding(MutatingAdmissionPolicyBinding),
    /// Refuses what may not be written.
    Validating(ValidatingAdmissionPolicy),
    /// Puts a validating policy into effect.
    ValidatingBinding(ValidatingAdmissionPolicyBinding),
}

impl Policy {
    /// The object's kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mutating(_) => "MutatingAdmissionPolicy",
            Self::MutatingBinding(_) => "MutatingAdmissionPolicyBinding",
            Self::Validating(_) => "ValidatingAdmissionPolicy",
            Self::ValidatingBinding(_) => "ValidatingAdmissionPolicyBinding",
        }
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        let metadata = match self {
            Self::Mutating(it) => &it.metadata,
            Self::MutatingBinding(it) => &it.metadata,
            Self::Validating(it) => &it.metadata,
            Self::ValidatingBinding(it) => &it.metadata,
        };
        metadata.name.as_deref().unwrap_or_default()
    }
}

/// All policies and their bindings.
#[must_use]
pub fn policies() -> Vec<Policy> {
    let mutating = MutatingAdmissionPolicy::expected().into_iter();
    let mutating_bindings = MutatingAdmissionPolicyBinding::expected().into_iter();
    let validating = ValidatingAdmissionPolicy::expected().into_iter();
    let validating_bindings = ValidatingAdmissionPolicyBinding::expected().into_iter();
    mutating
        .map(Policy::Mutating)
        .chain(mutating_bindings.map(Policy::MutatingBinding))
        .chain(validating.map(Policy::Validating))
        .chain(validating_bindings.map(Policy::ValidatingBinding))
        .collect()
}

/// `<kind>/<name>` of every policy and binding that ships.
pub fn names() -> impl Iterator<Item = String> {
    policies()
        .into_iter()
        .map(|policy| format!("{}/{}", policy.kind(), policy.name()))
}
