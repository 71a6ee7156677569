//! Where it all comes to rest, and whether that is right.

use super::Cluster;
use super::world::{Does, State, World};

/// Rounds of passes, from the leaf up, in which everything must be in order once faults have
/// stopped: what comes from the root takes one for each hop.
const ROUNDS: usize = 5;

impl Cluster {
    pub(super) fn settles_right(&self, live: &World) -> bool {
        if let Some(right) = self.settled.lock().unwrap().get(live) {
            return *right;
        }
        let right = self.settle(live).is_some_and(|end| self.is_right(&end));
        self.settled.lock().unwrap().insert(live.clone(), right);
        right
    }

    /// Faults stop, one replica is alone and has seen everything: the world that its passes leave
    /// alone, if they come to one within [`ROUNDS`].
    pub(super) fn settle(&self, live: &World) -> Option<World> {
        let mut state = State::new(live.clone(), Vec::new(), self.budget);
        for _ in 0..=ROUNDS {
            let before = state.live.clone();
            for hop in [2, 1, 0] {
                state.replicas[0].does = self.look(&state.live, &state.replicas[0].seen, hop);
                while state.replicas[0].does != Does::Nothing {
                    self.request(&mut state, 0);
                }
            }
            if state.live == before {
                return Some(before);
            }
        }
        None
    }

    /// Is it over by what there is, whatever its status says? `latched` is its parent's UID.
    pub(super) fn is_ended(&self, live: &World, hop: usize, latched: Option<u8>) -> bool {
        if live.over[hop] {
            return true;
        }
        let Some(above) = hop.checked_sub(1) else {
            return live.departed;
        };
        if live.over[above] {
            return true;
        }
        match live.hops[above] {
            None => latched.is_some(),
            Some(parent) => {
                let facts = self.facts(parent.status);
                parent.revoked
                    || facts.completed
                    || latched.is_some_and(|uid| uid != parent.uid)
                    || self.is_ended(live, above, facts.parent)
            }
        }
    }

    /// Is everything as it should be, in a world that a further pass leaves alone?
    fn is_right(&self, live: &World) -> bool {
        (0..3).all(|hop| {
            let Some(object) = live.hops[hop] else {
                return true;
            };
            let facts = self.facts(object.status);
            let ended = object.revoked || self.is_ended(live, hop, facts.parent);
            if ended || facts.completed {
                return facts.completed && !facts.ready;
            }
            let above = hop.checked_sub(1).map(|above| live.hops[above]);
            let current = facts.ready && facts.key == Some(live.key);
            match above.map(|above| above.map(|parent| self.facts(parent.status))) {
                None => current,
                Some(Some(parent)) if parent.ready => current && facts.above == parent.digest,
                // It waits for a parent that it has never seen, or that waits itself.
                Some(_) => !facts.ready,
            }
        })
    }
}
