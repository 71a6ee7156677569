//! Where an identity stands, in a word, for whatever rests on it.

use countersign_api as api;

use crate::condition::is_true;

/// Where an identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has no SPIFFE ID yet.
    Waiting,
    Live,
    Suspended,
    Over,
}

impl Stage {
    pub(crate) fn of(object: &api::AgentIdentity) -> Self {
        let status = object.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let over = object.metadata.deletion_timestamp.is_some()
            || object.spec.desired_state == api::DesiredState::Revoked
            || is_true(conditions, "Completed");
        if over {
            Self::Over
        } else if object.spec.desired_state == api::DesiredState::Suspended
            || super::parse::risk(object).is_some()
            || is_true(conditions, "Suspended")
        {
            Self::Suspended
        } else if status.is_some_and(|status| status.spiffe_id.is_some()) {
            Self::Live
        } else {
            Self::Waiting
        }
    }
}
