//! Where it all comes to rest, and whether that is right.

use countersign_core::Outcome;

use super::super::super::observed::Recorded;
use super::super::fixture::at;
use super::Cluster;
use super::replica::{Does, Replica};
use super::tables::{MOMENTS, task_uid};
use super::world::{Stands, State, Want};

/// Passes in which everything must be in order again, once faults have stopped.
pub(super) const ROUNDS: usize = 4;

impl Cluster {
    /// Faults stop, replica 0 is alone and its views are current: after how many rounds of passes
    /// does one write nothing? `None`: not within [`ROUNDS`].
    pub(super) fn settle(&self, state: &State) -> Option<State> {
        let mut state = state.clone();
        state.replicas[1] = Replica::started(self.identities);
        state.replicas[1].catch_up(&state.clone(), &state.newest());
        state.replicas[0].does = Does::Nothing;
        for _ in 0..=ROUNDS {
            let before = (state.identities.clone(), state.secret.clone());
            for identity in 0..self.identities {
                let newest = state.newest();
                self.look(&mut state, 0, identity, &newest);
                self.run(&mut state, 0)?;
            }
            let newest = state.newest();
            self.sweep(&mut state, 0, &newest);
            self.run(&mut state, 0)?;
            if before == (state.identities.clone(), state.secret.clone()) {
                return Some(state);
            }
        }
        None
    }

    pub(super) fn run(&self, state: &mut State, replica: usize) -> Option<()> {
        for _ in 0..10 {
            if state.replicas[replica].does == Does::Nothing {
                return Some(());
            }
            self.request(state, replica);
        }
        None
    }

    /// Is everything as it should be, in a world that a further pass leaves alone?
    pub(super) fn is_right(&self, state: &State) -> bool {
        let secret = state.secret.live();
        let task = state.task.live();
        let now = at(MOMENTS[usize::from(state.now)]);
        let entitled: Vec<usize> = (0..self.identities)
            .filter(|which| {
                state.identities[*which].live().is_some_and(|it| {
                    let recorded = self.recorded(it.status);
                    recorded.completed.is_none() && it.wanted() && task.is_some()
                })
            })
            .collect();
        let latched = (0..self.identities).all(|which| {
            state.identities[which].live().is_none_or(|it| {
                let recorded = self.recorded(it.status);
                let late = recorded.deadline.is_some_and(|deadline| deadline <= now);
                let bound = recorded.task_uid.as_ref();
                let replaced =
                    bound.is_some_and(|bound| task.is_none_or(|task| task_uid(task.uid) != *bound));
                let over = task.is_some_and(|task| task.stands != Stands::Running);
                let ended = late || replaced || over || it.desired == Want::Revoked;
                recorded.completed.is_some() == ended
            })
        });
        let served = match secret {
            // A suspended one that is older keeps its claim to the name.
            None => entitled.iter().all(|which| {
                let mut older = state.identities.iter().take(*which);
                older.any(|it| {
                    it.live()
                        .is_some_and(|it| self.recorded(it.status).completed.is_none())
                })
            }),
            Some(secret) => {
                let holder = secret.held.identity;
                let record = state.identities[holder]
                    .live()
                    .map(|it| self.recorded(it.status));
                entitled.contains(&holder)
                    && record.is_some_and(|record| {
                        let tables = self.tables.lock().unwrap();
                        let certificate = &tables.certificates[usize::from(secret.certificate)];
                        record.secret == Some(secret.held.version.out())
                            && record.certificate.as_ref() == Some(certificate)
                            && certificate.not_after > now
                            && task.is_some_and(|task| task.uid == secret.task)
                    })
            }
        };
        latched && served
    }
}

/// Does a status tell of an end that the task never came to?
pub(super) fn invented(state: &State, status: &Recorded) -> bool {
    let live = state.task.live();
    let running = live.is_some_and(|task| {
        task.stands == Stands::Running && Some(task_uid(task.uid)) == status.task_uid
    });
    let of_its_task = matches!(
        status.outcome,
        Some(Outcome::Succeeded | Outcome::Failed | Outcome::Deleted | Outcome::Replaced)
    );
    running && of_its_task && status.completed.is_some()
}
