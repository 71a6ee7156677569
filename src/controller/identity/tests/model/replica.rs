//! One operator process: what it sees, what it knows to have written, and where its pass is.

use super::tables::{Look, Order, StatusId};
use super::world::{Held, Identity, State, Views};

/// One operator process. Its views are indices into the histories.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    pub(super) does: Does,
    pub(super) identities: Vec<usize>,
    pub(super) task: usize,
    pub(super) secret: usize,
    /// `Identities::written`.
    pub(super) written: Vec<Option<Identity>>,
    /// `Secrets::written`.
    pub(super) written_secret: Option<Written>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Written {
    Put(Held),
    Gone(u8),
}

/// Where a pass is: what it asks of the API server next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Does {
    Nothing,
    /// A Secret without a record that is known: `refresh` first.
    ReadIdentity(Look),
    /// `read`, or a look at what is there instead of what was seen.
    ReadSecret(Look),
    PutSecret(Look, Order),
    PutStatus {
        look: Look,
        status: StatusId,
        then: Then,
    },
    /// `refresh`, then `undo` if a credential was written.
    Refresh {
        identity: usize,
        written: Option<u8>,
    },
    Delete {
        uid: u8,
    },
    /// `sweep` asks whether the identity is really gone.
    AskIdentity {
        held: Held,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Then {
    Done,
    Delete(u8),
    /// A credential was written: its UID.
    Issued(u8),
}

impl Replica {
    pub(super) fn started(identities: usize) -> Self {
        Self {
            does: Does::Nothing,
            identities: vec![0; identities],
            task: 0,
            secret: 0,
            written: vec![None; identities],
            written_secret: None,
        }
    }

    /// `Identities::get`.
    pub(super) fn identity(&self, state: &State, which: usize) -> Option<Identity> {
        let seen = state.identities[which].0[self.identities[which]];
        match (self.written[which], seen) {
            (Some(ours), Some(seen)) if ours.version > seen.version => Some(ours),
            (_, seen) => seen,
        }
    }

    /// `Identities::wrote`.
    pub(super) fn wrote(&mut self, state: &State, which: usize, object: Identity) {
        let seen = state.identities[which].0[self.identities[which]];
        if seen.is_some_and(|seen| object.version > seen.version) {
            self.written[which] = Some(object);
        }
    }

    /// `Secrets::wrote`.
    pub(super) fn wrote_secret(&mut self, state: &State, held: Held) {
        let seen = state.secret.0[self.secret].map(|secret| secret.held.version);
        let ahead = seen
            .is_none_or(|seen| seen.uid != held.version.uid || held.version.version > seen.version);
        if ahead {
            self.written_secret = Some(Written::Put(held));
        }
    }

    /// `Secrets::deleted`.
    pub(super) fn deleted_secret(&mut self, state: &State, uid: u8) {
        let seen = state.secret.0[self.secret].map(|secret| secret.held.version);
        let shown = seen.is_some_and(|seen| seen.uid == uid);
        let to_be_shown = matches!(
            self.written_secret,
            Some(Written::Put(ours)) if ours.version.uid == uid
        );
        self.written_secret = (shown || to_be_shown).then_some(Written::Gone(uid));
    }

    /// `Secrets::get`.
    pub(super) fn secret(&self, state: &State) -> Option<Held> {
        let seen = state.secret.0[self.secret].map(|secret| secret.held);
        match (self.written_secret, seen) {
            (Some(Written::Put(ours)), Some(seen))
                if seen.version.version > ours.version.version =>
            {
                Some(seen)
            }
            (Some(Written::Put(ours)), _) => Some(ours),
            (Some(Written::Gone(uid)), seen) => seen.filter(|seen| seen.version.uid != uid),
            (None, seen) => seen,
        }
    }

    /// The watches bring what happened up to `views`: `is_news` of both stores.
    pub(super) fn catch_up(&mut self, state: &State, views: &Views) {
        for (which, upto) in views.identities.iter().enumerate() {
            while self.identities[which] < *upto {
                self.identities[which] += 1;
                let seen = state.identities[which].0[self.identities[which]];
                let ahead = |ours: Identity| seen.is_some_and(|seen| ours.version > seen.version);
                self.written[which] = self.written[which].filter(|ours| ahead(*ours));
            }
        }
        self.task = views.task;
        while self.secret < views.secret {
            self.secret += 1;
            let seen = state.secret.0[self.secret].map(|secret| secret.held);
            let settled = match (self.written_secret, seen) {
                (None, _) => false,
                (Some(Written::Put(ours)), Some(seen)) => {
                    ours.version.version <= seen.version.version
                }
                (Some(Written::Put(_) | Written::Gone(_)), None) => true,
                (Some(Written::Gone(uid)), Some(seen)) => seen.version.uid != uid,
            };
            if settled {
                self.written_secret = None;
            }
        }
    }
}
