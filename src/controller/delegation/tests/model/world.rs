//! What the API server has, and what each replica has seen of it.

use super::tables::{DigestId, StatusId};
use super::{Budget, Event, Kind};

/// Everything that decides: what there is, or what a replica has seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) departed: bool,
    /// Is the task of the delegate of each hop over?
    pub(super) over: [bool; 3],
    /// How many keys were distrusted.
    pub(super) key: u8,
    pub(super) hops: [Option<Object>; 3],
}

/// A delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub(super) uid: u8,
    pub(super) version: u8,
    pub(super) revoked: bool,
    pub(super) status: StatusId,
}

/// Where a pass is: what it asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Does {
    Nothing,
    Record(Write),
    Put(Write),
    /// Only when it is broken.
    RecordLate(DigestId),
}

/// A status over the object that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Write {
    pub(super) hop: usize,
    pub(super) over: Object,
    pub(super) status: StatusId,
    /// What is countersigned with it.
    pub(super) grant: Option<DigestId>,
}

/// One operator process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    pub(super) seen: World,
    pub(super) does: Does,
}

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) live: World,
    pub(super) replicas: [Replica; 2],
    /// What was recorded as granted.
    pub(super) audit: Vec<DigestId>,
    pub(super) left: Budget,
    /// The first promise that was broken.
    pub(super) wrong: Option<&'static str>,
}

impl World {
    pub(super) fn new() -> Self {
        let object = Object {
            uid: 1,
            version: 1,
            revoked: false,
            status: 0,
        };
        Self {
            departed: false,
            over: [false; 3],
            key: 0,
            hops: [Some(object); 3],
        }
    }

    /// `None`: it can't happen here.
    pub(super) fn happens(&mut self, event: Event) -> Option<()> {
        let root = &mut self.hops[0];
        match event {
            Event::AgentEnds(hop) => self.over[hop] = true,
            Event::OwnerDeparts => self.departed = true,
            Event::KeyDistrusted => self.key += 1,
            Event::RootDeleted => *root = root.and(None),
            Event::Revoked => {
                let object = root.as_mut()?;
                object.revoked = true;
                object.version += 1;
            }
            Event::RootReplaced => {
                let object = root.as_mut()?;
                *object = Object {
                    uid: object.uid + 1,
                    version: object.version + 1,
                    revoked: false,
                    status: 0,
                };
            }
        }
        Some(())
    }

    pub(super) fn differs(&self, live: &Self, kind: Kind) -> bool {
        let mut after = self.clone();
        after.hear(live, kind);
        after != *self
    }

    pub(super) fn hear(&mut self, live: &Self, kind: Kind) {
        match kind {
            Kind::Owner => self.departed = live.departed,
            Kind::Agents => self.over = live.over,
            Kind::Keys => self.key = live.key,
            Kind::Delegations => self.hops = live.hops,
        }
    }
}

impl State {
    pub(super) fn new(live: World, audit: Vec<DigestId>, left: Budget) -> Self {
        let replica = Replica {
            seen: live.clone(),
            does: Does::Nothing,
        };
        Self {
            live,
            replicas: [replica.clone(), replica],
            audit,
            left,
            wrong: None,
        }
    }

    pub(super) fn blame(&mut self, broken: bool, promise: &'static str) {
        if broken {
            self.wrong = self.wrong.or(Some(promise));
        }
    }

    pub(super) fn record(&mut self, digest: DigestId) {
        if let Err(place) = self.audit.binary_search(&digest) {
            self.audit.insert(place, digest);
        }
    }
}
