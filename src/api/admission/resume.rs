//! Whoever sets a suspended identity going again created it, or may `bind` its owner. To suspend or
//! revoke takes no more than the write: an incident's first responder needs no rights over owners.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec,
};

use super::build::{FAIL, IDENTITIES, forbid_unless, metadata, only_if, variable, writes_of};

/// The policy's name.
pub(super) const NAME: &str = "countersign-resume";

/// Written by what it is not, so that a state that comes later needs the right too.
const RESUMES: &str = "\
oldObject.spec.?desiredState.orValue('Active') != 'Active' \
&& object.spec.?desiredState.orValue('Active') == 'Active'";

/// By name, and by UID where the stamp has one: a deleted user's name may be given to another.
const IS_REQUESTER: &str = "\
has(oldObject.spec.requester)
&& oldObject.spec.requester.username == request.userInfo.?username.orValue('')
&& (!has(oldObject.spec.requester.uid) || oldObject.spec.requester.uid == request.userInfo.?uid.orValue(''))";

/// Of the owner as it was, should the schema ever allow a change.
const MAY_BIND: &str = "\
authorizer.group('countersign.dev').resource('agentowners').name(oldObject.spec.ownerRef.name)\
.check('bind').allowed()";

const WHY: &str = "\
'spec.desiredState may be set back to Active by \\'' \
+ oldObject.spec.?requester.?username.orValue('') \
+ '\\', who created the identity, or by whoever holds the verb bind on agentowners.countersign.dev/' \
+ oldObject.spec.ownerRef.name + '; \\'' + request.userInfo.?username.orValue('') + '\\' is neither'";

/// Asks for the requester or the verb `bind` on the owner.
pub(super) fn resume() -> ValidatingAdmissionPolicy {
    ValidatingAdmissionPolicy {
        metadata: metadata(NAME),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some(FAIL.to_owned()),
            match_constraints: Some(writes_of(&[IDENTITIES], &["UPDATE"])),
            match_conditions: Some(only_if("resumes", RESUMES)),
            variables: Some(vec![
                variable("isRequester", IS_REQUESTER),
                variable("mayBind", MAY_BIND),
            ]),
            validations: Some(vec![forbid_unless(
                "variables.isRequester || variables.mayBind",
                "spec.desiredState may be set back to Active by the requester, or by whoever holds the verb bind on the owner",
                WHY,
            )]),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        ..ValidatingAdmissionPolicy::default()
    }
}
