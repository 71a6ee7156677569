//! Every interleaving of two replicas over a small API server, with the real planner.
//!
//! ```text
//!  environment: user, decision point, task, clock, garbage collector, crashes
//!       │
//!       ▼                       views: any earlier state of each object, never backwards
//!  API server ══ history ═════▶ replica 0, replica 1: both believe that they lead
//!       ▲                              │ observe, plan (the real one)
//!       └──── one request a step ──────┘ execute's order, step by step
//! ```
//!
//! What is modelled of `execute`, `observe` and the stores is written after them line by line: who
//! changes those changes this. Not modelled: owners, trust domains, the queue (any pass may begin
//! at any time), and a response that is lost while its replica lives on.

mod proofs;
mod replica;
mod settled;
mod steps;
mod tables;
mod world;

use std::sync::{Arc, Mutex};

use stateright::{Model, Property};

use super::super::observed::Recorded;
use replica::{Does, Replica};
use tables::{MOMENTS, StatusId, Tables, task_uid};
use world::{Stands, State, Task, Views, Want};

/// What is explored, and how the operator is broken.
struct Cluster {
    identities: usize,
    /// What the environment may do at most.
    budget: Budget,
    broken: Broken,
    tables: Mutex<Tables>,
}

/// How the operator is broken, to see that the model can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The planner forgets what was latched.
    Unlatched,
    /// The status is written over any version.
    StatusOverAnyVersion,
    /// A Secret is written over any version.
    SecretOverAnyVersion,
    /// A credential whose record failed is left behind.
    NoUndo,
    /// A Secret is deleted by its name alone.
    DeletedByName,
    /// A view that shows another task is believed.
    OldViewsBelieved,
    /// What is gone leaves its Secret.
    NoSweep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    user: u8,
    /// Turns of the decision point's mind.
    risk: u8,
    task: u8,
    clock: u8,
    crashes: u8,
    /// Deletions of the Secret, by the garbage collector or by a person.
    deletions: u8,
    /// Passes that each replica begins.
    passes: [u8; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// A pass begins, after the views have caught up so far.
    Look {
        replica: usize,
        identity: usize,
        views: Views,
    },
    /// A Secret whose identity isn't there any more is looked at.
    Sweep {
        replica: usize,
        views: Views,
    },
    /// The next request of a pass.
    Request {
        replica: usize,
    },
    Crash {
        replica: usize,
    },
    Want {
        identity: usize,
        desired: Want,
    },
    DeleteIdentity {
        identity: usize,
    },
    /// The decision point suspends it for its risk, or brings it back.
    Risk {
        identity: usize,
    },
    EndTask(Stands),
    DeleteTask,
    ReplaceTask,
    DeleteSecret,
    Tick,
}

impl Cluster {
    fn new(identities: usize, budget: Budget, broken: Broken) -> Self {
        Self {
            identities,
            budget,
            broken,
            tables: Mutex::new(Tables::new()),
        }
    }

    fn recorded(&self, id: StatusId) -> Arc<Recorded> {
        Arc::clone(&self.tables.lock().unwrap().records[usize::from(id)])
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        for replica in 0..2 {
            let viewer = &state.replicas[replica];
            if viewer.does != Does::Nothing {
                acts.push(Act::Request { replica });
            } else if state.left.passes[replica] > 0 {
                for views in state.views(viewer) {
                    for identity in 0..self.identities {
                        let views = views.clone();
                        acts.push(Act::Look {
                            replica,
                            identity,
                            views,
                        });
                    }
                    acts.push(Act::Sweep { replica, views });
                }
            }
            if state.left.crashes > 0 && viewer.does != Does::Nothing {
                acts.push(Act::Crash { replica });
            }
        }
        self.environment(state, acts);
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        match act {
            Act::Look {
                replica,
                identity,
                views,
            } => {
                self.look(&mut state, replica, identity, &views);
                state.left.passes[replica] -= 1;
                // A pass that asks for nothing leaves views that the next one may have as well.
                if state.replicas[replica].does == Does::Nothing {
                    return None;
                }
            }
            Act::Sweep { replica, views } => {
                self.sweep(&mut state, replica, &views);
                state.left.passes[replica] -= 1;
                if state.replicas[replica].does == Does::Nothing {
                    return None;
                }
            }
            Act::Request { replica } => self.request(&mut state, replica),
            Act::Crash { replica } => {
                state.left.crashes -= 1;
                state.replicas[replica] = Replica::started(self.identities);
            }
            Act::Want { identity, desired } => {
                state.left.user -= 1;
                let object = state.identities[identity].live()?.changed(|it| {
                    it.desired = desired;
                    it.generation += 1;
                });
                state.identities[identity].push(Some(object));
            }
            Act::DeleteIdentity { identity } => {
                state.left.user -= 1;
                state.identities[identity].push(None);
            }
            Act::Risk { identity } => {
                state.left.risk -= 1;
                let object = state.identities[identity].live()?;
                let object = object.changed(|it| it.risky = !it.risky);
                state.identities[identity].push(Some(object));
            }
            Act::EndTask(stands) => {
                state.left.task -= 1;
                let task = Task {
                    stands,
                    ..state.task.live()?
                };
                state.task.push(Some(task));
            }
            Act::DeleteTask => {
                state.left.task -= 1;
                state.task.push(None);
            }
            Act::ReplaceTask => {
                state.left.task -= 1;
                let task = Task {
                    uid: state.task.live()?.uid + 1,
                    stands: Stands::Running,
                };
                state.task.push(Some(task));
            }
            Act::DeleteSecret => {
                state.left.deletions -= 1;
                state.secret.push(None);
            }
            Act::Tick => {
                state.left.clock -= 1;
                state.now += 1;
            }
        }
        state.forget();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, state: &State| {
                state.wrong.is_none()
            }),
            Property::always(
                "a label names whom the certificate is for",
                |it: &Self, state: &State| {
                    state.secret.0.iter().flatten().all(|secret| {
                        let tables = it.tables.lock().unwrap();
                        let certificate = &tables.certificates[usize::from(secret.certificate)];
                        let whose = format!(
                            "/{}/identity-{}",
                            task_uid(secret.task),
                            secret.held.identity
                        );
                        certificate.spiffe_id.ends_with(&whose)
                    })
                },
            ),
            Property::always(
                "once faults stop, all is soon as it should be",
                |it: &Self, state: &State| it.settle(state).is_some_and(|end| it.is_right(&end)),
            ),
            Property::sometimes(SOMETIMES[0], |_, state: &State| {
                state.secret.live().is_some()
            }),
            Property::sometimes(SOMETIMES[1], |_, state: &State| {
                state
                    .replicas
                    .iter()
                    .any(|it| matches!(it.does, Does::Delete { .. }))
            }),
        ]
    }
}

impl Cluster {
    fn environment(&self, state: &State, acts: &mut Vec<Act>) {
        let task = state.task.live();
        if state.left.user > 0 {
            for identity in 0..self.identities {
                let Some(object) = state.identities[identity].live() else {
                    continue;
                };
                for desired in [Want::Active, Want::Suspended, Want::Revoked] {
                    if desired != object.desired && object.desired != Want::Revoked {
                        acts.push(Act::Want { identity, desired });
                    }
                }
                acts.push(Act::DeleteIdentity { identity });
            }
        }
        for identity in (0..self.identities).filter(|_| state.left.risk > 0) {
            if state.identities[identity].live().is_some() {
                acts.push(Act::Risk { identity });
            }
        }
        if state.left.task > 0
            && let Some(task) = task
        {
            if task.stands == Stands::Running {
                acts.push(Act::EndTask(Stands::Succeeded));
                acts.push(Act::EndTask(Stands::Failed));
            }
            acts.push(Act::DeleteTask);
            acts.push(Act::ReplaceTask);
        }
        if let Some(secret) = state.secret.live() {
            // Kubernetes' collector, since its owner is gone; or a person.
            let orphan = task.is_none_or(|task| task.uid != secret.task);
            if state.left.deletions > 0 && (orphan || self.budget.task == 0) {
                acts.push(Act::DeleteSecret);
            }
        }
        if state.left.clock > 0 && usize::from(state.now) + 1 < MOMENTS.len() {
            acts.push(Act::Tick);
        }
    }
}

/// What should be possible at all.
const SOMETIMES: [&str; 2] = ["a credential is issued", "a credential is taken back"];
