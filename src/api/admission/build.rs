//! The parts that all policies have in common.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, MutatingAdmissionPolicyBinding,
    MutatingAdmissionPolicyBindingSpec, NamedRuleWithOperations, ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicyBindingSpec, Validation, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::manifests::labels;

/// A policy that can't be evaluated refuses.
pub(super) const FAIL: &str = "Fail";

/// The metadata of an object that ships.
pub(super) fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels()),
        ..ObjectMeta::default()
    }
}

/// AgentIdentities.
pub(super) const IDENTITIES: &str = "agentidentities";
/// Delegations.
pub(super) const DELEGATIONS: &str = "delegations";

/// Writes of these resources, in every namespace and by whichever version of the API. Not of their
/// `status`: a write there leaves everything else as it is.
pub(super) fn writes_of(resources: &[&str], operations: &[&str]) -> MatchResources {
    let owned = |all: &[&str]| Some(all.iter().map(|&it| it.to_owned()).collect());
    MatchResources {
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(LabelSelector::default()),
        object_selector: Some(LabelSelector::default()),
        resource_rules: Some(vec![NamedRuleWithOperations {
            api_groups: Some(vec![crate::GROUP.to_owned()]),
            api_versions: Some(vec!["*".to_owned()]),
            operations: owned(operations),
            resources: owned(resources),
            scope: Some("*".to_owned()),
            ..NamedRuleWithOperations::default()
        }]),
        ..MatchResources::default()
    }
}

/// A named expression for others to use.
pub(super) fn variable(name: &str, expression: impl Into<String>) -> Variable {
    Variable {
        name: name.to_owned(),
        expression: expression.into(),
    }
}

/// An expression without which the policy doesn't apply.
pub(super) fn only_if(name: &str, expression: &str) -> Vec<MatchCondition> {
    vec![MatchCondition {
        name: name.to_owned(),
        expression: expression.to_owned(),
    }]
}

/// Forbids a write unless `expression` is true. `message_expression` says why, or `message` when it
/// can't.
pub(super) fn forbid_unless(
    expression: &str,
    message: &str,
    message_expression: &str,
) -> Validation {
    Validation {
        expression: expression.to_owned(),
        message: Some(message.to_owned()),
        message_expression: Some(message_expression.to_owned()),
        reason: Some("Forbidden".to_owned()),
    }
}

/// Puts the mutating policy of that name into effect.
pub(super) fn mutating_binding(name: &str) -> MutatingAdmissionPolicyBinding {
    MutatingAdmissionPolicyBinding {
        metadata: metadata(name),
        spec: Some(MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(name.to_owned()),
            ..MutatingAdmissionPolicyBindingSpec::default()
        }),
    }
}

/// Puts the validating policy of that name into effect.
pub(super) fn validating_binding(name: &str) -> ValidatingAdmissionPolicyBinding {
    ValidatingAdmissionPolicyBinding {
        metadata: metadata(name),
        spec: ValidatingAdmissionPolicyBindingSpec {
            policy_name: name.to_owned(),
            validation_actions: vec!["Deny".to_owned()],
            ..ValidatingAdmissionPolicyBindingSpec::default()
        },
    }
}
