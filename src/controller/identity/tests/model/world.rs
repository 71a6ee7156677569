//! The API server: objects, and all of their states that some replica has yet to see.

use super::replica::Replica;
use super::tables::{CertificateId, StatusId};
use super::{Budget, Cluster};

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) now: u8,
    pub(super) left: Budget,
    pub(super) identities: Vec<History<Identity>>,
    pub(super) task: History<Task>,
    pub(super) secret: History<Secret>,
    /// The last resourceVersion given to a Secret; the first one of each is its UID too.
    pub(super) last_version: u8,
    pub(super) replicas: [Replica; 2],
    /// The first promise that was broken.
    pub(super) wrong: Option<&'static str>,
}

/// All states of an object that some replica has yet to see, and the live one, last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct History<T>(pub(super) Vec<Option<T>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) version: u8,
    pub(super) generation: u8,
    pub(super) desired: Want,
    /// `status.risk.state` is Suspended.
    pub(super) risky: bool,
    pub(super) status: StatusId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Want {
    Active,
    Suspended,
    Revoked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub(super) uid: u8,
    pub(super) stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stands {
    Running,
    Succeeded,
    Failed,
}

/// The Secret, as the watch of metadata shows it, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Secret {
    pub(super) held: Held,
    pub(super) certificate: CertificateId,
    pub(super) task: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) version: Version,
    pub(super) identity: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub(super) uid: u8,
    pub(super) version: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Views {
    pub(super) identities: Vec<usize>,
    pub(super) task: usize,
    pub(super) secret: usize,
}

impl<T: Copy> History<T> {
    pub(super) fn live(&self) -> Option<T> {
        self.0[self.0.len() - 1]
    }

    pub(super) fn newest(&self) -> usize {
        self.0.len() - 1
    }

    pub(super) fn push(&mut self, next: Option<T>) {
        self.0.push(next);
    }
}

impl Identity {
    /// Is it to have a credential, as far as people and the decision point say?
    pub(super) fn wanted(self) -> bool {
        self.desired == Want::Active && !self.risky
    }

    pub(super) fn changed(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.version += 1;
        self
    }
}

impl State {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let identity = Identity {
            version: 1,
            generation: 1,
            desired: Want::Active,
            risky: false,
            status: 0,
        };
        let replica = Replica::started(cluster.identities);
        Self {
            now: 0,
            left: cluster.budget,
            identities: vec![History(vec![Some(identity)]); cluster.identities],
            task: History(vec![Some(Task {
                uid: 1,
                stands: Stands::Running,
            })]),
            secret: History(vec![None]),
            last_version: 0,
            replicas: [replica.clone(), replica],
            wrong: None,
        }
    }

    pub(super) fn newest(&self) -> Views {
        Views {
            identities: self.identities.iter().map(History::newest).collect(),
            task: self.task.newest(),
            secret: self.secret.newest(),
        }
    }

    pub(super) fn blame(&mut self, broken: bool, promise: &'static str) {
        if broken {
            self.wrong = self.wrong.or(Some(promise));
        }
    }

    /// Forgets what both replicas have seen: a restart reads at the furthest what the other one
    /// still sees.
    pub(super) fn forget(&mut self) {
        for which in 0..self.identities.len() {
            let least = self.replicas.iter().map(|it| it.identities[which]).min();
            let least = least.unwrap_or(0);
            self.identities[which].0.drain(..least);
            for replica in &mut self.replicas {
                replica.identities[which] -= least;
            }
        }
        let least = self.replicas.iter().map(|it| it.task).min().unwrap_or(0);
        self.task.0.drain(..least);
        let other = self.replicas.iter().map(|it| it.secret).min().unwrap_or(0);
        self.secret.0.drain(..other);
        for replica in &mut self.replicas {
            replica.task -= least;
            replica.secret -= other;
        }
    }

    /// All views that `replica` may have next.
    pub(super) fn views(&self, replica: &Replica) -> Vec<Views> {
        let mut all = vec![Views {
            identities: replica.identities.clone(),
            task: replica.task,
            secret: replica.secret,
        }];
        for which in 0..self.identities.len() {
            let newest = self.identities[which].newest();
            all = spread(all, replica.identities[which], newest, |views, at| {
                views.identities[which] = at;
            });
        }
        all = spread(all, replica.task, self.task.newest(), |views, at| {
            views.task = at
        });
        spread(all, replica.secret, self.secret.newest(), |views, at| {
            views.secret = at
        })
    }
}

pub(super) fn spread(
    all: Vec<Views>,
    from: usize,
    to: usize,
    set: impl Fn(&mut Views, usize),
) -> Vec<Views> {
    let mut wider = Vec::new();
    for views in all {
        for at in from..=to {
            let mut views = views.clone();
            set(&mut views, at);
            wider.push(views);
        }
    }
    wider
}
