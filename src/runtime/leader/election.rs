//! How a candidate gets the lease and keeps it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::Candidate;
use super::hold::Hold;
use super::lease::{self, LEASE, duration, held, holder};
use crate::client::{WriteError, is_already_exists, is_conflict, within};
use crate::clock::Clock;
use crate::version;

/// The leader's time between two renewals: four can fail before it stops.
const RENEW: Duration = Duration::from_secs(2);
/// The leader stops so much before the lease can be another's: for clocks that run at different
/// rates, and for what it started right before.
const MARGIN: Duration = Duration::from_millis(1500);
/// How often a standby looks, and how soon the leader tries again: a released lease is taken well
/// within a second, at two small reads a second.
const LOOK: Duration = Duration::from_millis(500);
/// A standby whose call failed waits longer, as it has nothing to lose.
const STANDBY_RETRY: Duration = Duration::from_secs(2);
/// No call takes longer, so that a connection that hangs leaves time for another.
const CALL: Duration = Duration::from_secs(3);
/// How often to try to hand the lease over.
const RELEASE_TRIES: usize = 3;

/// One candidate's side of the election.
#[derive(Debug)]
pub(super) struct Election {
    leases: Api<Lease>,
    candidate: Candidate,
    hold: Arc<Hold>,
    /// Locked during calls: a release waits for the call in flight, which may yet get the lease.
    seen: Mutex<Option<Seen>>,
}

/// The lease as we last saw it.
#[derive(Debug)]
struct Seen {
    lease: Lease,
    /// When its present version was first seen.
    since: Instant,
    /// It is older than what was seen before: etcd was set back.
    went_back: bool,
}

impl Election {
    pub(super) fn new(leases: Api<Lease>, candidate: Candidate, hold: Arc<Hold>) -> Self {
        Self {
            leases,
            candidate,
            hold,
            seen: Mutex::new(None),
        }
    }

    pub(super) async fn run(&self) -> Infallible {
        loop {
            let wait = {
                let mut seen = self.seen.lock().await;
                if self.hold.is_released() {
                    break;
                }
                match self.round(&mut seen).await {
                    Ok(wait) => wait,
                    Err(error) => self.after(&error),
                }
            };
            // Never sleep over the end of the lead: whoever waits for it should be told.
            sleep(wait.min(self.left().unwrap_or(wait))).await;
            if self.left().is_none() {
                self.hold.lose();
            }
        }
        std::future::pending().await
    }

    /// Gives the lease back, if we have it.
    pub(super) async fn release(&self) {
        for _ in 0..RELEASE_TRIES {
            match self.give_back().await {
                Ok(()) => return,
                Err(WriteError::Kube(error)) if is_conflict(&error) => {}
                Err(error) => tracing::warn!(%error, "the lease couldn't be released"),
            }
        }
    }

    async fn give_back(&self) -> Result<(), WriteError> {
        // A call in flight has a limit of its own, but its task may be stuck.
        let _seen = timeout(CALL, self.seen.lock()).await;
        let name = &self.candidate.lease;
        let Some(present) = within(CALL, self.leases.get_opt(name)).await? else {
            return Ok(());
        };
        if !self.is_ours(&present) {
            return Ok(());
        }
        let released = lease::released(&present, Clock::system().now());
        let params = PostParams::default();
        let replace = self.leases.replace(name, &params, &released);
        within(CALL, replace).await.map(|_| ())
    }

    /// One step; returns how long to wait until the next.
    async fn round(&self, seen: &mut Option<Seen>) -> Result<Duration, WriteError> {
        if self.left().is_some()
            && let Some(ours) = seen.take_if(|seen| self.is_ours(&seen.lease))
        {
            // Taken: if this fails, what the lease is now must be read first.
            return self.write(Some(&ours.lease), seen).await;
        }
        let present = self.leases.get_opt(&self.candidate.lease);
        let Some(present) = within(self.limit(), present).await? else {
            // Deleted by hand: whoever led still does, and makes it anew.
            let others = seen.as_ref().filter(|_| self.left().is_none());
            let wait = others.and_then(|known| self.blocked(known));
            return match wait {
                Some(wait) => Ok(wait),
                None => self.write(None, seen).await,
            };
        };
        let known = note(seen, present);
        let Some(wait) = self.blocked(known) else {
            let lease = known.lease.clone();
            return self.write(Some(&lease), seen).await;
        };
        self.hold.lose();
        Ok(wait)
    }

    /// Makes the lease ours for another 10 s.
    async fn write(
        &self,
        before: Option<&Lease>,
        seen: &mut Option<Seen>,
    ) -> Result<Duration, WriteError> {
        let caught_up = self.hold.caught_up();
        let lease = held(before, &self.candidate, caught_up, Clock::system().now());
        let params = PostParams::default();
        let sent = Instant::now();
        let written = match before {
            Some(_) => {
                let replace = self.leases.replace(&self.candidate.lease, &params, &lease);
                within(self.limit(), replace).await?
            }
            None => within(self.limit(), self.leases.create(&params, &lease)).await?,
        };
        note(seen, written);
        // From before the request: others count from after its effect.
        self.hold.extend(sent + LEASE - MARGIN);
        Ok(RENEW.saturating_sub(sent.elapsed()))
    }

    /// How long to wait after an error.
    fn after(&self, error: &WriteError) -> Duration {
        match error.kube() {
            // Someone was faster, or an earlier write of ours came through: look at once, nearly.
            Some(error) if is_conflict(error) || is_already_exists(error) => LOOK / 10,
            _ => {
                tracing::warn!(%error, "the lease couldn't be read or written");
                if self.left().is_some() {
                    LOOK
                } else {
                    STANDBY_RETRY
                }
            }
        }
    }

    /// How long to wait until the next look; `None` if the lease may be taken: it is ours, or
    /// nobody's, or its holder gave no sign of life for its duration. One that was ours in an etcd of
    /// before is not ours now: whoever led until the end may go on for the rest of its permit.
    fn blocked(&self, known: &Seen) -> Option<Duration> {
        let holder = holder(&known.lease)?;
        let ours = holder == self.candidate.identity && !known.went_back;
        let expiry = known.since + duration(&known.lease);
        let left = expiry.saturating_duration_since(Instant::now());
        (!ours && !left.is_zero()).then(|| LOOK.min(left))
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        holder(lease) == Some(self.candidate.identity.as_str())
    }

    /// What is left of our lead.
    fn left(&self) -> Option<Duration> {
        let end = self.hold.deadline()?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// The limit of a call: never beyond our lead, so that its end is noticed.
    fn limit(&self) -> Duration {
        CALL.min(self.left().unwrap_or(CALL))
    }
}

/// Notes what was read. Any change of the lease counts as a sign of life of its holder.
fn note(seen: &mut Option<Seen>, lease: Lease) -> &Seen {
    let of = |lease: &Lease| lease.metadata.resource_version.clone().unwrap_or_default();
    let (since, went_back) = match seen {
        Some(seen) if of(&seen.lease) == of(&lease) => (seen.since, seen.went_back),
        Some(seen) => {
            let went_back = version::newer(&of(&seen.lease), &of(&lease));
            (Instant::now(), went_back)
        }
        None => (Instant::now(), false),
    };
    seen.insert(Seen {
        lease,
        since,
        went_back,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(version: &str, holder: &Candidate) -> Lease {
        let mut lease = held(None, holder, true, jiff::Timestamp::UNIX_EPOCH);
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_ours_again_since_etcd_was_set_back_is_waited_for() {
        let [ours, theirs] = [(); 2].map(|()| Candidate::new("ns", "lease"));
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let leases = Api::namespaced(kube::Client::try_from(nowhere).unwrap(), "ns");
        let election = Election::new(leases, ours.clone(), Arc::new(Hold::new()));
        let mut seen = None;
        note(&mut seen, lease("100", &theirs));
        let back = note(&mut seen, lease("40", &ours));
        assert!(election.blocked(back).is_some());
        tokio::time::advance(LEASE - Duration::from_secs(1)).await;
        let still = note(&mut seen, lease("40", &ours));
        assert!(election.blocked(still).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(election.blocked(seen.as_ref().unwrap()), None);
        // A write of ours that got through though nobody answered is ours at once.
        let mut seen = None;
        note(&mut seen, lease("100", &theirs));
        let written = note(&mut seen, lease("101", &ours));
        assert_eq!(election.blocked(written), None);
    }
}
