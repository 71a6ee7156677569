//! Whoever names a task may update it: nobody ties an agent to a task of somebody else's.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec,
};

use super::build::{FAIL, IDENTITIES, forbid_unless, metadata, only_if, variable, writes_of};

/// The policy's name.
pub(super) const NAME: &str = "countersign-name-task";

/// The schema refuses a change already; asked again should it ever not.
const NAMES_TASK: &str =
    "request.operation == 'CREATE' || object.spec.taskRef != oldObject.spec.taskRef";

const MAY_UPDATE: &str = "\
authorizer.group(variables.task.?group.orValue('')).resource(variables.task.resource)\
.namespace(request.namespace).name(variables.task.name).check('update').allowed()";

const WHY: &str = "\
'to name a task one must be allowed to update it: \\'' + request.userInfo.?username.orValue('') \
+ '\\' may not update ' + variables.task.resource \
+ (variables.task.?group.orValue('') == '' ? '' : '.' + variables.task.group) \
+ '/' + variables.task.name + ' in namespace ' + request.namespace";

/// Asks for the verb `update` on the task.
pub(super) fn name_task() -> ValidatingAdmissionPolicy {
    ValidatingAdmissionPolicy {
        metadata: metadata(NAME),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some(FAIL.to_owned()),
            match_constraints: Some(writes_of(&[IDENTITIES], &["CREATE", "UPDATE"])),
            match_conditions: Some(only_if("names-task", NAMES_TASK)),
            variables: Some(vec![variable("task", "object.spec.taskRef")]),
            validations: Some(vec![forbid_unless(
                MAY_UPDATE,
                "to name a task one must be allowed to update it",
                WHY,
            )]),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        ..ValidatingAdmissionPolicy::default()
    }
}
