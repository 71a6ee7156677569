//! One leader at a time, by a Lease of `coordination.k8s.io/v1`.
//!
//! ```text
//!  leader:   renews every 2 s; leads until 8.5 s after it *sent* the last renewal that succeeded
//!  standby:  looks every 0.5 s; takes over 10 s after it *saw* the last change, or once released
//! ```
//!
//! Each measures by its own monotonic clock, from a moment that is on the safe side for it: the
//! leader from before the write, the standby from after. So wall clocks may differ, and the leader
//! stops at least 1.5 s before another can begin. Only the rate of clocks counts, and a machine
//! that is suspended with its monotonic clock (hibernated, paused with its hypervisor): that one
//! may act for the rest of its permit. Who writes must hence also make the API server refuse what
//! is stale (resourceVersion, UID).

mod election;
mod hold;
pub(crate) mod lease;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::Instant;

use election::Election;
use hold::Hold;

/// Which lease, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The lease's namespace, which must exist.
    pub namespace: String,
    /// The lease's name; it is made if missing.
    pub lease: String,
    /// Who we are: no two processes may share it.
    pub identity: String,
}

/// A process's part in the election. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Leadership {
    hold: Arc<Hold>,
    election: Option<Arc<Election>>,
}

/// Leave to act as the leader until a moment that later renewals don't move.
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
            identity: format!("{}_{:016x}", hostname(), rand::random::<u64>()),
        }
    }
}

impl Leadership {
    /// Takes part once [`Leadership::run`] runs. `client` should be one without retries, as
    /// [`Clients::writes`](crate::Clients::writes).
    pub fn new(client: Client, candidate: Candidate) -> Self {
        let hold = Arc::new(Hold::new());
        let leases: Api<Lease> = Api::namespaced(client, &candidate.namespace);
        let election = Election::new(leases, candidate, Arc::clone(&hold));
        Self {
            hold,
            election: Some(Arc::new(election)),
        }
    }

    /// Leads for ever without a lease, until it is released: a single process, tests.
    pub fn always() -> Self {
        let hold = Hold::new();
        hold.extend(Instant::now() + AGES);
        Self {
            hold: Arc::new(hold),
            election: None,
        }
    }

    /// Asks `caught_up` at each renewal, and has the lease say whether its holder has looked at all
    /// that is there: see [`Heartbeat`](crate::Heartbeat). It must be quick.
    pub fn vouch(&self, caught_up: impl Fn() -> bool + Send + Sync + 'static) {
        self.hold.vouch(caught_up);
    }

    /// Shows in `registry` whether this process leads, as the gauge `leader`.
    pub fn register(&self, registry: &mut Registry) {
        let help = "1 while this process leads";
        registry.register("leader", help, self.hold.gauge().clone());
    }

    /// Whether this process leads now.
    pub fn is_leader(&self) -> bool {
        self.deadline().is_some()
    }

    /// Leave to act, good until the leadership's present [deadline](Leadership::deadline).
    ///
    /// # Errors
    /// This process doesn't lead now.
    pub fn permit(&self) -> Result<Permit, NotLeader> {
        let valid_until = self.deadline().ok_or(NotLeader)?;
        Ok(Permit { valid_until })
    }

    /// Until when this process leads if no further renewal succeeds; `None` if it doesn't lead.
    /// It is right even if the process was stopped for hours and [`Leadership::run`] hasn't
    /// noticed yet.
    pub fn deadline(&self) -> Option<Instant> {
        self.hold.deadline()
    }

    /// Whether this process leads, as it changes. For waiting; to act takes a permit.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.hold.changes()
    }

    /// Takes part in the election for ever: tries to become the leader, and to remain it.
    pub async fn run(self) -> Infallible {
        if let Some(election) = &self.election {
            election.run().await
        } else {
            std::future::pending().await
        }
    }

    /// Gives the lead up for good and tells the next, which then needs no 10 s to take over. Call
    /// it when nothing acts on a permit any more; [`Leadership::run`] may still run. Takes a few
    /// seconds at most; if the API server can't be told, the lease expires.
    pub async fn release(&self) {
        self.hold.release();
        if let Some(election) = &self.election {
            election.release().await;
        }
    }
}

impl Permit {
    /// Whether it is still good. Ask right before each write.
    pub fn is_valid(&self) -> bool {
        Instant::now() < self.valid_until
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.valid_until
    }

    /// The time limit of a write under this permit: what is left of it, at most `limit`.
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

/// Longer than any process runs, and short enough to be added to any moment.
const AGES: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The pod's name, within a pod.
fn hostname() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok());
    let named = named.map(|name| name.trim().to_owned());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_candidates_share_an_identity() {
        let candidate = || Candidate::new("ns", "lease").identity;
        assert!(candidate().contains('_'));
        assert_ne!(candidate(), candidate());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leads_always_leads_until_it_releases() {
        let leadership = Leadership::always();
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert!(leadership.permit().unwrap().is_valid());
        assert!(*leadership.changes().borrow());
        leadership.release().await;
        assert_eq!(leadership.permit().err(), Some(NotLeader));
        assert!(!*leadership.changes().borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_ends_at_its_deadline_even_if_the_lead_goes_on() {
        let hold = Arc::new(Hold::new());
        let leadership = Leadership {
            hold: Arc::clone(&hold),
            election: None,
        };
        let second = Duration::from_secs(1);
        hold.extend(Instant::now() + 8 * second);
        let permit = leadership.permit().unwrap();
        assert_eq!(permit.limit(5 * second), Ok(5 * second));
        tokio::time::advance(6 * second).await;
        assert_eq!(permit.limit(5 * second), Ok(2 * second));
        hold.extend(Instant::now() + 8 * second);
        tokio::time::advance(2 * second).await;
        assert!(!permit.is_valid());
        assert_eq!(permit.limit(second), Err(NotLeader));
        assert!(leadership.is_leader());
        tokio::time::advance(6 * second).await;
        assert!(!leadership.is_leader());
    }
}
