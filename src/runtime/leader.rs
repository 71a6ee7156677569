//! One leader at a time, by a Lease.

use std::convert::Infallible;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::Instant;

/// Which lease, and for whom.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub lease: String,
    /// Who we are; unique for each process.
    pub identity: String,
}

/// A process's part in the election. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Leadership {}

/// Leave to act as the leader until a moment.
#[derive(Debug, Clone, Copy)]
pub struct Permit {
    valid_until: Instant,
}

/// Another leads, or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the leader")]
pub struct NotLeader;

impl Candidate {
    /// A candidate with an identity of its own: `<hostname>_<random>`.
    pub fn new(namespace: impl Into<String>, lease: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            lease: lease.into(),
            identity: String::new(),
        }
    }
}

impl Leadership {
    /// Takes part once [`Leadership::run`] runs. `client` should be one without retries.
    pub fn new(client: Client, candidate: Candidate) -> Self {
        let _ = (client, candidate);
        unimplemented!()
    }

    /// Leads for ever without a lease: a single process, tests.
    pub fn always() -> Self {
        unimplemented!()
    }

    /// Whether this process leads now.
    pub fn is_leader(&self) -> bool {
        self.deadline().is_some()
    }

    /// Leave to act, good until the leadership's present deadline.
    ///
    /// # Errors
    /// This process doesn't lead now.
    pub fn permit(&self) -> Result<Permit, NotLeader> {
        let valid_until = self.deadline().ok_or(NotLeader)?;
        Ok(Permit { valid_until })
    }

    /// Until when this process leads if no further renewal succeeds; `None` if it doesn't.
    pub fn deadline(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// Whether this process leads, as it changes.
    pub fn changes(&self) -> watch::Receiver<bool> {
        unimplemented!()
    }

    /// Takes part in the election for ever.
    pub async fn run(self) -> Infallible {
        unimplemented!()
    }

    /// Gives the lease up for good.
    pub async fn release(&self) {
        unimplemented!()
    }
}

impl Permit {
    /// Whether it is still good. Ask right before each write.
    pub fn is_valid(&self) -> bool {
        Instant::now() < self.valid_until
    }

    /// How long it is still good, at most `limit`: the time limit of a write.
    ///
    /// # Errors
    /// It isn't good any more.
    pub fn limit(&self, limit: Duration) -> Result<Duration, NotLeader> {
        let left = self.valid_until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(NotLeader)
        } else {
            Ok(left.min(limit))
        }
    }
}
