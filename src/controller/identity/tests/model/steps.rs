//! `observe`, `execute` and `sweep`, one request at a time.

use super::super::super::observed::Recorded;
use super::replica::{Does, Replica, Then};
use super::settled::invented;
use super::tables::{Look, Order, Sight, StatusId, Step, Where, task_uid};
use super::world::{Held, Secret, State, Version, Views};
use super::{Broken, Cluster};

impl Cluster {
    /// `observe`, from a replica's views.
    pub(super) fn observe(&self, state: &State, replica: usize, which: usize) -> Option<Look> {
        let viewer = &state.replicas[replica];
        let object = viewer.identity(state, which)?;
        let recorded = self.recorded(object.status);
        let task = if recorded.completed.is_some() {
            Sight::NotYet
        } else {
            self.see_task(state, viewer, &recorded)
        };
        let held = viewer.secret(state);
        let ours = held.filter(|held| held.identity == which);
        let claims = recorded.completed.is_none() && object.wanted();
        let taken = claims && ours.is_none() && self.rival(state, viewer, which, held);
        let credential = match (ours, held) {
            _ if taken => Where::Taken,
            (Some(held), _) => {
                let as_recorded = recorded.certificate.is_some()
                    && recorded.secret.as_ref() == Some(&held.version.out());
                if as_recorded {
                    Where::AsRecorded
                } else {
                    Where::Unread(held.version)
                }
            }
            (None, Some(_)) => Where::Foreign,
            (None, None) => Where::Missing,
        };
        Some(Look {
            now: state.now,
            identity: which,
            object,
            task,
            credential,
        })
    }

    pub(super) fn see_task(&self, state: &State, viewer: &Replica, recorded: &Recorded) -> Sight {
        let seen = state.task.0[viewer.task];
        let Some(bound) = &recorded.task_uid else {
            return seen.map_or(Sight::Missing, Sight::Found);
        };
        let live = state.task.live();
        match seen {
            Some(task) if task_uid(task.uid) == *bound => Sight::Found(task),
            Some(task) if self.broken == Broken::OldViewsBelieved => Sight::Found(task),
            // Absence and replacement end it for good: only the API server itself may say so.
            _ => match live {
                None => Sight::Missing,
                Some(live) if task_uid(live.uid) == *bound => Sight::NotYet,
                Some(live) if seen == Some(live) => Sight::Found(live),
                Some(_) if seen.is_some() => Sight::Found(seen.unwrap()),
                Some(_) => Sight::NotYet,
            },
        }
    }

    /// Has another identity the better claim?
    pub(super) fn rival(
        &self,
        state: &State,
        viewer: &Replica,
        which: usize,
        held: Option<Held>,
    ) -> bool {
        let rank = |which: usize| (held.is_none_or(|held| held.identity != which), which);
        (0..self.identities)
            .filter(|other| *other != which)
            .any(|other| {
                let object = viewer.identity(state, other);
                let live = object.is_some_and(|it| self.recorded(it.status).completed.is_none());
                live && rank(other) < rank(which)
            })
    }

    /// Plans, up to the next request.
    pub(super) fn pursue(&self, state: &mut State, replica: usize, look: Look) {
        let decision = self.tables.lock().unwrap().decide(look, self.broken);
        let status = |then| {
            let differs = decision
                .status
                .filter(|status| *status != look.object.status);
            match (differs, then) {
                (Some(status), then) => Does::PutStatus { look, status, then },
                (None, Then::Delete(uid)) => Does::Delete { uid },
                (None, _) => Does::Nothing,
            }
        };
        state.replicas[replica].does = match decision.credential {
            Step::Keep => status(Then::Done),
            Step::Read => Does::ReadIdentity(look),
            Step::Issue(order) => Does::PutSecret(look, order),
            Step::Remove => {
                let recorded = self.recorded(look.object.status);
                let uid = match look.credential {
                    Where::Unread(it) | Where::Adoptable(_, it) | Where::Tampered(it) => it.uid,
                    _ => Version::of(recorded.secret.as_ref().unwrap()).uid,
                };
                status(Then::Delete(uid))
            }
        };
    }

    /// `judge`.
    pub(super) fn judge(&self, state: &mut State, replica: usize, look: Look) -> Where {
        let found = state.secret.live();
        let held = state.replicas[replica].secret(state);
        let mut viewer = state.replicas[replica].clone();
        let Some(secret) = found else {
            if let Some(held) = held {
                viewer.deleted_secret(state, held.version.uid);
            }
            state.replicas[replica] = viewer;
            return Where::Missing;
        };
        if secret.held.identity != look.identity {
            return Where::Foreign;
        }
        viewer.wrote_secret(state, secret.held);
        state.replicas[replica] = viewer;
        let expected = match look.task {
            Sight::Found(task) => Some(task_uid(task.uid)),
            _ => self.recorded(look.object.status).task_uid.clone(),
        };
        if expected == Some(task_uid(secret.task)) {
            Where::Adoptable(secret.certificate, secret.held.version)
        } else {
            Where::Tampered(secret.held.version)
        }
    }

    /// One request to the API server, and what follows from its answer.
    pub(super) fn request(&self, state: &mut State, replica: usize) {
        match state.replicas[replica].does {
            Does::Nothing => {}
            Does::ReadIdentity(look) => {
                let live = state.identities[look.identity].live();
                let mut viewer = state.replicas[replica].clone();
                if let Some(live) = live {
                    viewer.wrote(state, look.identity, live);
                }
                let known = live.is_some_and(|live| live.version == look.object.version);
                viewer.does = if known {
                    Does::ReadSecret(look)
                } else {
                    Does::Nothing
                };
                state.replicas[replica] = viewer;
            }
            Does::ReadSecret(look) => {
                let credential = self.judge(state, replica, look);
                self.pursue(state, replica, Look { credential, ..look });
            }
            Does::PutSecret(look, order) => self.put_secret(state, replica, look, order),
            Does::PutStatus { look, status, then } => {
                self.put_status(state, replica, look, status, then);
            }
            Does::Refresh { identity, written } => {
                let live = state.identities[identity].live();
                if let Some(live) = live {
                    let mut viewer = state.replicas[replica].clone();
                    viewer.wrote(state, identity, live);
                    state.replicas[replica] = viewer;
                }
                let wanted = live.is_some_and(|live| {
                    self.recorded(live.status).completed.is_none() && live.wanted()
                });
                let undone = self.broken != Broken::NoUndo;
                state.replicas[replica].does = match written {
                    Some(uid) if !wanted && undone => Does::Delete { uid },
                    _ => Does::Nothing,
                };
                let left = written.filter(|_| !wanted && !undone);
                let there = state.secret.live().map(|it| it.held.version.uid);
                let left = left.is_some() && there == left;
                state.blame(left, "a credential of what ended meanwhile was left behind");
            }
            Does::Delete { uid } => {
                let live = state.secret.live();
                let by_name = self.broken == Broken::DeletedByName;
                if let Some(live) = live.filter(|it| by_name || it.held.version.uid == uid) {
                    state.secret.push(None);
                    let another = live.held.version.uid != uid;
                    state.blame(another, "another Secret of the same name was deleted");
                }
                let mut viewer = state.replicas[replica].clone();
                viewer.deleted_secret(state, uid);
                viewer.does = Does::Nothing;
                state.replicas[replica] = viewer;
            }
            Does::AskIdentity { held } => {
                let gone = state.identities[held.identity].live().is_none();
                state.replicas[replica].does = if gone {
                    Does::Delete {
                        uid: held.version.uid,
                    }
                } else {
                    Does::Nothing
                };
            }
        }
    }

    pub(super) fn put_secret(&self, state: &mut State, replica: usize, look: Look, order: Order) {
        let live = state.secret.live();
        let blind = self.broken == Broken::SecretOverAnyVersion;
        let free = match (order.replaces, live) {
            (None, None) => true,
            (Some(replaced), Some(live)) => blind || live.held.version == replaced,
            _ => blind && live.is_some(),
        };
        if !free {
            // `delivery::put` reads what is there instead.
            state.replicas[replica].does = Does::ReadSecret(look);
            return;
        }
        let foreign = live.is_some_and(|live| live.held.identity != look.identity);
        state.blame(foreign, "another identity's Secret was overwritten");
        let lost = live.is_some_and(|live| Some(live.held.version) != order.replaces);
        state.blame(lost, "a Secret that nobody had seen was overwritten");
        let latched = self.recorded(look.object.status).completed.is_some();
        state.blame(latched, "what was seen to be over was issued");
        state.last_version += 1;
        let version = Version {
            uid: live.map_or(state.last_version, |live| live.held.version.uid),
            version: state.last_version,
        };
        let held = Held {
            version,
            identity: look.identity,
        };
        state.secret.push(Some(Secret {
            held,
            certificate: order.certificate,
            task: order.task,
        }));
        let status = self.tables.lock().unwrap().issued(order, version);
        let mut viewer = state.replicas[replica].clone();
        viewer.wrote_secret(state, held);
        viewer.does = Does::PutStatus {
            look,
            status,
            then: Then::Issued(version.uid),
        };
        state.replicas[replica] = viewer;
    }

    pub(super) fn put_status(
        &self,
        state: &mut State,
        replica: usize,
        look: Look,
        status: StatusId,
        then: Then,
    ) {
        let live = state.identities[look.identity].live();
        let blind = self.broken == Broken::StatusOverAnyVersion;
        let same = live.filter(|live| blind || live.version == look.object.version);
        let Some(live) = same else {
            let written = match then {
                Then::Issued(uid) => Some(uid),
                Then::Done | Then::Delete(_) => None,
            };
            state.replicas[replica].does = Does::Refresh {
                identity: look.identity,
                written,
            };
            return;
        };
        let (before, after) = (self.recorded(live.status), self.recorded(status));
        let ended = |it: &Recorded| (it.completed.clone(), it.outcome, it.finished);
        let unlatched = before.completed.is_some() && ended(&before) != ended(&after);
        state.blame(unlatched, "a latched outcome changed");
        let bound = before.task_uid.is_some() && before.task_uid != after.task_uid;
        state.blame(bound, "an identity was bound to another task");
        let invented = before.completed.is_none() && invented(state, &after);
        state.blame(invented, "the end of a running task was invented");
        let object = live.changed(|it| it.status = status);
        state.identities[look.identity].push(Some(object));
        let mut viewer = state.replicas[replica].clone();
        viewer.wrote(state, look.identity, object);
        viewer.does = match then {
            Then::Delete(uid) => Does::Delete { uid },
            Then::Done | Then::Issued(_) => Does::Nothing,
        };
        state.replicas[replica] = viewer;
    }

    pub(super) fn look(&self, state: &mut State, replica: usize, identity: usize, views: &Views) {
        let mut viewer = state.replicas[replica].clone();
        viewer.catch_up(state, views);
        state.replicas[replica] = viewer;
        if let Some(look) = self.observe(state, replica, identity) {
            self.pursue(state, replica, look);
        }
    }

    pub(super) fn sweep(&self, state: &mut State, replica: usize, views: &Views) {
        let mut viewer = state.replicas[replica].clone();
        viewer.catch_up(state, views);
        let held = viewer.secret(state);
        let orphan = held.filter(|held| viewer.identity(state, held.identity).is_none());
        if let Some(held) = orphan.filter(|_| self.broken != Broken::NoSweep) {
            viewer.does = Does::AskIdentity { held };
        }
        state.replicas[replica] = viewer;
    }
}
