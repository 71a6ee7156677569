//! Two replicas over a root and two hops below it, in every interleaving, with the real planner.
//!
//! ```text
//!  environment: agents end, the owner departs, a key is distrusted, the root is revoked, or
//!       │       deleted and made anew under its name; crashes
//!       ▼                 what a replica has seen: each kind at its own pace, never backwards
//!  API server ──────────▶ replica 0, replica 1: both believe that they lead
//!       ▲                        │ observe, plan (the real one), countersign (with real keys)
//!       └─ record, then status ──┘ over the version that was seen, step by step
//! ```
//!
//! What is modelled of `execute`, `observe` and `standing` is written after them line by line: who
//! changes those changes this. Not modelled: time, agents and owners that vanish, other requests
//! than those that write, and the queue (any pass may begin at any time).

mod proofs;
mod replica;
mod settled;
mod tables;
mod world;

use std::collections::HashMap;
use std::sync::Mutex;

use stateright::{Model, Property};

use tables::Tables;
use world::{Does, State, World};

/// What is explored, and how the operator is broken.
struct Cluster {
    /// All is countersigned at the beginning.
    granted: bool,
    events: &'static [Event],
    budget: Budget,
    broken: Broken,
    tables: Mutex<Tables>,
    /// Where a world comes to rest, and whether that is right: asked again and again.
    settled: Mutex<HashMap<World, bool>>,
}

/// How the operator is broken, to see that the model can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The planner forgets that it is over, and whose parent it had.
    Unlatched,
    /// The status is written over any version.
    StatusOverAnyVersion,
    /// The record is written after the status.
    RecordedAfterwards,
    /// Another object under a parent's name ends what is below it on the word of memory alone.
    MemoryBelieved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    events: u8,
    crashes: u8,
    /// Passes that each replica begins.
    passes: [u8; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The task of the delegate of this hop is over.
    AgentEnds(usize),
    OwnerDeparts,
    Revoked,
    /// Deleted, and made anew under its name.
    RootReplaced,
    RootDeleted,
    KeyDistrusted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Owner,
    Agents,
    Keys,
    Delegations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Look {
        replica: usize,
        hop: usize,
    },
    /// The next request of a pass.
    Request {
        replica: usize,
    },
    Crash {
        replica: usize,
    },
    /// A watch brings all that is new of a kind.
    Hear {
        replica: usize,
        kind: Kind,
    },
    Happens(Event),
}

/// What should be possible at all.
const SOMETIMES: [&str; 1] = ["everything is in force"];

impl Model for Cluster {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let mut live = World::new();
        if self.granted {
            live = self.settle(&live).unwrap();
        }
        let audit = live.hops.iter().flatten();
        let audit = audit.filter_map(|it| self.facts(it.status).digest);
        vec![State::new(live.clone(), audit.collect(), self.budget)]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        for (replica, viewer) in state.replicas.iter().enumerate() {
            if viewer.does != Does::Nothing {
                acts.push(Act::Request { replica });
                if state.left.crashes > 0 {
                    acts.push(Act::Crash { replica });
                }
            } else if state.left.passes[replica] > 0 {
                acts.extend((0..3).map(|hop| Act::Look { replica, hop }));
            }
            for kind in [Kind::Owner, Kind::Agents, Kind::Keys, Kind::Delegations] {
                // Who begins no pass any more needs no news.
                if state.left.passes[replica] > 0 && viewer.seen.differs(&state.live, kind) {
                    acts.push(Act::Hear { replica, kind });
                }
            }
        }
        if state.left.events > 0 {
            acts.extend(self.events.iter().map(|event| Act::Happens(*event)));
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        match act {
            Act::Look { replica, hop } => {
                state.left.passes[replica] -= 1;
                state.replicas[replica].does =
                    self.look(&state.live, &state.replicas[replica].seen, hop);
                // A pass that writes nothing leaves the next one where it was.
                if state.replicas[replica].does == Does::Nothing {
                    return None;
                }
            }
            Act::Request { replica } => self.request(&mut state, replica),
            Act::Crash { replica } => {
                state.left.crashes -= 1;
                state.replicas[replica].does = Does::Nothing;
            }
            Act::Hear { replica, kind } => {
                let live = state.live.clone();
                state.replicas[replica].seen.hear(&live, kind);
            }
            Act::Happens(event) => {
                state.left.events -= 1;
                state.live.happens(event)?;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, state: &State| {
                state.wrong.is_none()
            }),
            Property::always(
                "once faults stop, all is soon as it should be",
                |it: &Self, state: &State| it.settles_right(&state.live),
            ),
            Property::sometimes(SOMETIMES[0], |it: &Self, state: &State| {
                let mut hops = state.live.hops.iter();
                hops.all(|hop| hop.is_some_and(|hop| it.facts(hop.status).ready))
            }),
        ]
    }
}
