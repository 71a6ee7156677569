//! AgentOwners as the engine takes them.

use countersign_api as api;
use countersign_decision::OwnerFacts;
use kube::ResourceExt as _;

/// `None` for an object that the API server would not have: without a UID.
pub(crate) fn reduce(object: &api::AgentOwner) -> Option<OwnerFacts> {
    let spec = &object.spec;
    let deleting = object.metadata.deletion_timestamp.is_some();
    let users = spec
        .subjects
        .iter()
        .filter(|it| it.kind == api::SubjectKind::User);
    Some(OwnerFacts {
        name: object.name_any(),
        uid: object.uid()?,
        kind: match spec.type_ {
            api::OwnerType::Person => "Person",
            api::OwnerType::BusinessUnit => "BusinessUnit",
            api::OwnerType::Application => "Application",
        }
        .to_owned(),
        active: !deleting && spec.desired_state == api::OwnerState::Active,
        grants: api::to_domain(&spec.grants),
        users: users.map(|it| it.name.clone()).collect(),
    })
}
