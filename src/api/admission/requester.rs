//! `spec.requester` is the user that the API server authenticated at the creation, and stays so.

use k8s_openapi::api::admissionregistration::v1::{
    JSONPatch, MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec, Variable,
};

use super::build::{
    DELEGATIONS, FAIL, IDENTITIES, forbid_unless, metadata, only_if, variable, writes_of,
};
use crate::requester::{MAX_GROUP_LENGTH, MAX_GROUPS};

/// The name of the policy that stamps.
pub(super) const STAMP: &str = "countersign-stamp-requester";
/// The name of the policy that checks the stamp.
pub(super) const CHECK: &str = "countersign-check-requester";

/// Another policy or webhook that changes the stamp afterwards has it set again.
const IF_NEEDED: &str = "IfNeeded";

/// A write that the stamp would change: every creation, and an update that changes the requester.
const NEEDS_STAMP: &str =
    "request.operation == 'CREATE' || object.spec.?requester != oldObject.spec.?requester";

/// A patch and no apply configuration: that would merge, and leave a `uid` that was written where
/// the user has none.
const STAMP_PATCH: &str = "\
request.operation == 'CREATE'
  ? [JSONPatch{op: 'add', path: '/spec/requester', value: Object.spec.requester{
      username: request.userInfo.?username.orValue(''),
      ?uid: request.userInfo.?uid,
      groups: variables.groups,
    }}]
  : has(oldObject.spec.requester)
    ? [JSONPatch{op: 'add', path: '/spec/requester', value: oldObject.spec.requester}]
    : [JSONPatch{op: 'remove', path: '/spec/requester'}]";

const IS_USER: &str = "\
request.operation != 'CREATE'
|| has(object.spec.requester)
  && object.spec.requester.username == request.userInfo.?username.orValue('')
  && object.spec.requester.?uid == request.userInfo.?uid
  && object.spec.requester.?groups.orValue([]) == variables.groups";

const IS_KEPT: &str =
    "request.operation != 'UPDATE' || object.spec.?requester == oldObject.spec.?requester";

/// Sets `spec.requester` at the creation, whatever was written, and keeps it afterwards.
pub(super) fn stamp() -> MutatingAdmissionPolicy {
    MutatingAdmissionPolicy {
        metadata: metadata(STAMP),
        spec: Some(MutatingAdmissionPolicySpec {
            failure_policy: Some(FAIL.to_owned()),
            match_constraints: Some(writes_of(&[IDENTITIES, DELEGATIONS], &["CREATE", "UPDATE"])),
            match_conditions: Some(only_if("needs-stamp", NEEDS_STAMP)),
            variables: Some(groups()),
            mutations: Some(vec![Mutation {
                patch_type: "JSONPatch".to_owned(),
                json_patch: Some(JSONPatch {
                    expression: Some(STAMP_PATCH.to_owned()),
                }),
                ..Mutation::default()
            }]),
            reinvocation_policy: Some(IF_NEEDED.to_owned()),
            ..MutatingAdmissionPolicySpec::default()
        }),
    }
}

/// Refuses another requester than the stamped one, should the stamp be missing or overwritten.
pub(super) fn check() -> ValidatingAdmissionPolicy {
    ValidatingAdmissionPolicy {
        metadata: metadata(CHECK),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some(FAIL.to_owned()),
            match_constraints: Some(writes_of(&[IDENTITIES, DELEGATIONS], &["CREATE", "UPDATE"])),
            variables: Some(groups()),
            validations: Some(vec![
                forbid_unless(
                    IS_USER,
                    "spec.requester must be the user who creates the object: leave it out",
                    "'spec.requester must be \\'' + request.userInfo.username + '\\', who creates the object: leave it out, and see that the policy countersign-stamp-requester is in place'",
                ),
                forbid_unless(
                    IS_KEPT,
                    "spec.requester must not be changed: it says who created the object",
                    "'spec.requester must not be changed: it says who created the object, and is \\'' + oldObject.spec.?requester.?username.orValue('') + '\\''",
                ),
            ]),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        ..ValidatingAdmissionPolicy::default()
    }
}

/// The user's groups as far as they are kept. To leave some out takes rights away and gives none.
fn groups() -> Vec<Variable> {
    vec![
        variable(
            "known",
            format!(
                "request.userInfo.?groups.orValue([]).filter(group, group.size() <= {MAX_GROUP_LENGTH})"
            ),
        ),
        variable(
            "groups",
            format!(
                "variables.known.size() <= {MAX_GROUPS} ? variables.known : variables.known.slice(0, {MAX_GROUPS})"
            ),
        ),
    ]
}
