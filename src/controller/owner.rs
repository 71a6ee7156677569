//! Who answers for agents.

use countersign_api as api;
use countersign_core::{Grant, Requester, Subject, SubjectKind};
use kube::ResourceExt as _;

use crate::identity::OwnerState;

/// An owner as identities see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: String,
    pub(crate) state: OwnerState,
    pub(crate) grants: Vec<Grant>,
    pub(crate) subjects: Vec<Subject>,
}

impl Owner {
    pub(crate) fn of(object: &api::AgentOwner) -> Self {
        let spec = &object.spec;
        Self {
            uid: object.uid().unwrap_or_default(),
            state: match spec.desired_state {
                api::OwnerState::Active => OwnerState::Active,
                api::OwnerState::Suspended => OwnerState::Suspended,
                api::OwnerState::Departed => OwnerState::Departed,
            },
            grants: api::to_domain(&spec.grants),
            subjects: spec.subjects.iter().map(subject).collect(),
        }
    }

    /// Is the requester one of the owner's subjects?
    pub(crate) fn has(&self, requester: &Requester) -> bool {
        self.subjects.iter().any(|subject| subject.is(requester))
    }
}

fn subject(subject: &api::Subject) -> Subject {
    Subject {
        kind: match subject.kind {
            api::SubjectKind::User => SubjectKind::User,
            api::SubjectKind::Group => SubjectKind::Group,
            api::SubjectKind::ServiceAccount => SubjectKind::ServiceAccount,
        },
        name: subject.name.clone(),
        namespace: subject.namespace.clone(),
    }
}
