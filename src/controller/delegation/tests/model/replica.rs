//! One pass: what it sees, and what it asks of the API server and the audit log, step by step.

use super::tables::{Facts, Look, Sight, Stands, StatusId};
use super::world::{Does, Object, State, World, Write};
use super::{Broken, Cluster};

impl Cluster {
    pub(super) fn facts(&self, status: StatusId) -> Facts {
        self.tables.lock().unwrap().facts[usize::from(status)]
    }

    /// `observe` and `plan`, over what is seen. `live` is asked where absence would end something.
    pub(super) fn look(&self, live: &World, seen: &World, hop: usize) -> Does {
        let Some(object) = seen.hops[hop] else {
            return Does::Nothing;
        };
        let parent = match hop.checked_sub(1) {
            None => Sight::Root,
            // Nothing is asked of what is over: see `observe`.
            Some(_) if object.revoked || self.facts(object.status).completed => Sight::Missing,
            Some(above) => self.parent(live, seen, object, above),
        };
        let look = Look {
            hop,
            uid: object.uid,
            revoked: object.revoked,
            status: object.status,
            key: seen.key,
            delegator_over: match hop.checked_sub(1) {
                None => seen.departed,
                Some(above) => seen.over[above],
            },
            delegate_over: seen.over[hop],
            parent,
        };
        let decision = self.tables.lock().unwrap().decide(&look, self.broken);
        if decision.status == object.status {
            return Does::Nothing;
        }
        let write = Write {
            hop,
            over: object,
            status: decision.status,
            grant: decision.grant,
        };
        match decision.grant {
            Some(_) if self.broken != Broken::RecordedAfterwards => Does::Record(write),
            _ => Does::Put(write),
        }
    }

    fn parent(&self, live: &World, seen: &World, object: Object, above: usize) -> Sight {
        let latched = self.facts(object.status).parent;
        let known = seen.hops[above];
        let known = known.filter(|known| latched.is_none_or(|uid| uid == known.uid));
        let found = match known {
            Some(known) => Some(known),
            None if latched.is_none() => None,
            None => live.hops[above],
        };
        match found {
            None => Sight::Missing,
            Some(found) => Sight::Found {
                uid: found.uid,
                status: found.status,
                standing: self.standing(seen, above).unwrap_or(Stands::Waiting),
            },
        }
    }

    /// `standing`: of memory alone.
    fn standing(&self, seen: &World, hop: usize) -> Option<Stands> {
        let object = seen.hops[hop]?;
        let facts = self.facts(object.status);
        if facts.completed || object.revoked {
            return Some(Stands::Over);
        }
        let above = self.above(seen, hop, facts.parent);
        Some(match above {
            Stands::Good if seen.over[hop] => Stands::Over,
            Stands::Good if facts.held => Stands::Held,
            Stands::Good if facts.ready => Stands::Good,
            Stands::Good => Stands::Waiting,
            other => other,
        })
    }

    fn above(&self, seen: &World, hop: usize, latched: Option<u8>) -> Stands {
        let Some(above) = hop.checked_sub(1) else {
            return if seen.departed {
                Stands::Over
            } else {
                Stands::Good
            };
        };
        if seen.over[above] {
            return Stands::Over;
        }
        match seen.hops[above] {
            None => Stands::Held,
            Some(parent) if latched.is_some_and(|uid| uid != parent.uid) => {
                // One watch may be behind another, and behind what this replica has read itself.
                if self.broken == Broken::MemoryBelieved {
                    Stands::Over
                } else {
                    Stands::Held
                }
            }
            Some(_) => self.standing(seen, above).unwrap_or(Stands::Held),
        }
    }

    /// The next request of a pass.
    pub(super) fn request(&self, state: &mut State, replica: usize) {
        let next = match state.replicas[replica].does {
            Does::Nothing => Does::Nothing,
            Does::Record(write) => {
                if let Some(digest) = write.grant {
                    state.record(digest);
                }
                Does::Put(write)
            }
            Does::Put(write) => self.put(state, replica, write),
            Does::RecordLate(digest) => {
                state.record(digest);
                Does::Nothing
            }
        };
        state.replicas[replica].does = next;
    }

    fn put(&self, state: &mut State, replica: usize, write: Write) -> Does {
        let live = state.live.hops[write.hop].filter(|it| it.uid == write.over.uid);
        let same = live.is_some_and(|it| it.version == write.over.version);
        let any = self.broken == Broken::StatusOverAnyVersion;
        match live {
            Some(object) if same || any => {
                self.judge(state, object, write);
                let stored = Object {
                    version: object.version + 1,
                    status: write.status,
                    ..object
                };
                state.live.hops[write.hop] = Some(stored);
                state.replicas[replica].seen.hops[write.hop] = Some(stored);
                match write.grant {
                    Some(digest) if self.broken == Broken::RecordedAfterwards => {
                        Does::RecordLate(digest)
                    }
                    _ => Does::Nothing,
                }
            }
            // `refresh`: it is read, ahead of the watch.
            Some(object) => {
                state.replicas[replica].seen.hops[write.hop] = Some(object);
                Does::Nothing
            }
            None => Does::Nothing,
        }
    }

    /// Is every promise kept by a status that is being written?
    fn judge(&self, state: &mut State, object: Object, write: Write) {
        let (before, after) = (self.facts(object.status), self.facts(write.status));
        state.blame(
            before.completed && !after.completed,
            "what was over is so no more",
        );
        state.blame(
            before.parent.is_some() && after.parent != before.parent,
            "another parent took the place of the first",
        );
        let recorded = after.digest.is_none_or(|it| state.audit.contains(&it));
        state.blame(!recorded, "nobody recorded what was granted");
        let reason = object.revoked || self.is_ended(&state.live, write.hop, before.parent);
        state.blame(
            after.completed && !before.completed && !reason,
            "the end of something was invented",
        );
    }
}
