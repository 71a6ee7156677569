//! The audit log as passes use it: what grants waits for its record, what ends never does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_audit::{Entry, Log};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info};

use crate::context::Context;
use crate::delegation::{self, Delegations};
use crate::follow;
use crate::identity::{self, Identities, Refusal};
use crate::retired::{Before, Retired};

/// A record takes a few milliseconds. While one takes longer than this, further grants are refused
/// rather than made to wait.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often the log's health is asked for.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// The reason of whatever isn't granted because it can't be recorded.
const UNAVAILABLE: &str = "AuditUnavailable";

/// The log.
#[derive(Debug)]
pub(crate) struct Audit {
    log: Log,
    /// Those who wait for a record never are all workers: ends go on.
    places: Semaphore,
    /// Since when each of those waits.
    waiting: Mutex<BTreeMap<u64, Instant>>,
    next: AtomicU64,
    /// Something was refused since the last look.
    refused: AtomicBool,
    /// It is known how far the chains had come, by what is published.
    recalled: AtomicBool,
    identities: Retired<identity::Object>,
    delegations: Retired<delegation::Object>,
}

/// Which of the objects that are granted something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Identity,
    Delegation,
}

/// One who waits for a record.
struct Place<'a> {
    audit: &'a Audit,
    number: u64,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.audit.waiting.lock().remove(&self.number);
    }
}

impl Audit {
    /// `workers` is how many passes go on at once.
    pub(crate) fn new(
        log: Log,
        workers: usize,
        identities: &Identities,
        delegations: &Delegations,
    ) -> Self {
        Self {
            log,
            places: Semaphore::new(workers.saturating_mul(3).div_ceil(4).max(1)),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            recalled: AtomicBool::new(false),
            identities: Retired::new(Arc::clone(identities.seen())),
            delegations: Retired::new(Arc::clone(delegations.objects.seen())),
        }
    }

    /// Nothing is granted before it is known how far the chains had come: one that was cut off
    /// must not go on as if nothing had been.
    pub(crate) fn set_recalled(&self, recalled: bool) {
        self.recalled.store(recalled, Ordering::Release);
    }

    pub(crate) fn is_recalled(&self) -> bool {
        self.recalled.load(Ordering::Acquire)
    }

    /// Records what is about to be granted. Without its record nothing is.
    pub(crate) async fn granting(&self, of: Of, entry: Entry) -> Result<(), Refusal> {
        let recorded = self.record(of, entry).await;
        recorded.map_err(|why| {
            self.refused.store(true, Ordering::Release);
            unavailable(&why)
        })
    }

    async fn record(&self, of: Of, entry: Entry) -> Result<(), String> {
        self.log.health()?;
        if !self.is_recalled() {
            return Err("the published checkpoints have not been read yet".to_owned());
        }
        if self.told(of, &entry.object.uid) != Before::NotEnded {
            return Err("whether it ended before is being looked up".to_owned());
        }
        let slow = || "the audit log is slow".to_owned();
        let overdue = |at: &Instant| at.elapsed() > PATIENCE;
        if self
            .waiting
            .lock()
            .first_key_value()
            .is_some_and(|(_, at)| overdue(at))
        {
            return Err(slow());
        }
        let permit = timeout(PATIENCE, self.places.acquire()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(slow());
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert(number, Instant::now());
        let _place = Place {
            audit: self,
            number,
            _permit: permit,
        };
        let appended = self.log.append(entry).await;
        appended.map(|_| ()).map_err(|why| why.to_string())
    }

    /// Records what has ended or was refused, as soon as the log can be written. What belongs to no
    /// trust domain was never granted, and nobody could sign for its record.
    pub(crate) fn later(&self, entry: Entry) {
        if !entry.trust_domain.is_empty() {
            self.log.later(entry);
        }
    }

    /// What the log tells of the end of the object with this UID. While the log can't be read, passes
    /// go on as if it told of none, and say that: nothing is granted then.
    pub(crate) fn before(&self, of: Of, uid: &str) -> Before {
        let failing = || match of {
            Of::Identity => self.identities.is_failing(),
            Of::Delegation => self.delegations.is_failing(),
        };
        match self.told(of, uid) {
            Before::NotKnown if self.log.health().is_err() || failing() => Before::NotEnded,
            before => before,
        }
    }

    fn told(&self, of: Of, uid: &str) -> Before {
        match of {
            Of::Identity => self.identities.before(uid),
            Of::Delegation => self.delegations.before(uid),
        }
    }

    /// What the log tells of the ends of identities.
    pub(crate) fn identities(&self) -> &Retired<identity::Object> {
        &self.identities
    }

    /// What the log tells of the ends of delegations.
    pub(crate) fn delegations(&self) -> &Retired<delegation::Object> {
        &self.delegations
    }

    /// The log itself.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }
}

fn unavailable(why: &str) -> Refusal {
    Refusal {
        reason: UNAVAILABLE,
        message: format!(
            "{why}. Nothing is granted until it can be recorded, and then by itself: see that the store of --audit is there and has room. What ends goes on to end"
        ),
    }
}

/// Looks at everything again when the log can be written again. Never returns.
pub(crate) async fn watch(ctx: &Context) {
    let log = &ctx.audit.log;
    let mut failures = 0_u32;
    loop {
        let health = log.health();
        ctx.metrics.audit(health.is_ok(), log.waiting());
        match health {
            Ok(()) => {
                if failures > 0 {
                    info!("the audit log can be written");
                    ctx.revocations.outdated(); // what ended meanwhile may lack its record
                }
                // A failure may be shorter than the time between two looks.
                if ctx.audit.refused.swap(false, Ordering::AcqRel) || failures > 0 {
                    follow::everything(ctx);
                }
                failures = 0;
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                // Once, and not for the moment that the first connection takes.
                if failures == 2 {
                    error!(
                        "the audit log can't be written, nothing is granted: {why} (see --audit)"
                    );
                }
            }
        }
        sleep(CHECK_EVERY).await;
    }
}
