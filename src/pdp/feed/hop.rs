//! Delegations as the engine takes them.

use countersign_api as api;
use countersign_decision::{HopFacts, HopState};
use countersign_statement::Digest;
use kube::ResourceExt as _;

/// `None` until it is countersigned. One that has ended has no statement any more; it is kept to say
/// so.
pub(crate) fn reduce(object: &api::Delegation) -> Option<HopFacts> {
    let status = object.status.as_ref()?;
    let root = status.root.as_ref()?;
    let state = state(object, status);
    let statements = match &status.statement {
        Some(statement) => {
            let ancestors = status.ancestors.iter();
            ancestors.chain([statement]).cloned().collect()
        }
        None if state == HopState::Ended => Vec::new(),
        None => return None,
    };
    Some(HopFacts {
        uid: object.uid()?,
        namespace: object.namespace()?,
        name: object.name_any(),
        digest: Digest::parse(status.digest.as_deref()?).ok()?,
        parent_uid: status.parent.as_ref().map(|it| it.uid.clone()),
        delegator_uid: (status.delegator.as_ref())
            .filter(|it| it.spiffe_id.is_some())
            .map(|it| it.uid.clone()),
        delegate_uid: status.delegate.as_ref()?.uid.clone(),
        root_owner: (root.owner.name.clone(), root.owner.uid.clone()),
        root_requester: root.requester.as_ref().map(|it| it.username.clone()),
        state,
        expires: status.expiration_time.as_ref()?.0,
        statements,
    })
}

/// By what people want and by what the operator found, whichever says less.
fn state(object: &api::Delegation, status: &api::DelegationStatus) -> HopState {
    let is = |kind: &str, value: &str| {
        let mut conditions = status.conditions.iter();
        conditions.any(|it| it.type_ == kind && it.status == value)
    };
    if object.metadata.deletion_timestamp.is_some()
        || object.spec.desired_state == api::DelegationState::Revoked
        || is("Completed", "True")
    {
        HopState::Ended
    } else if is("Ready", "True") {
        HopState::Active
    } else {
        HopState::Suspended
    }
}
