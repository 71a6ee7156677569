//! The audit log as passes use it: what grants waits for its record, what ends never does.

use std::time::Duration;

use countersign_audit::{Entry, Log};
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use crate::context::Context;
use crate::follow;
use crate::identity::Refusal;

/// A grant waits so long for its record, at most.
const BOUND: Duration = Duration::from_secs(3);
/// How often the log's health is asked for.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// The reason of whatever isn't granted because it can't be recorded.
pub(crate) const UNAVAILABLE: &str = "AuditUnavailable";

/// The log.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    log: Log,
}

impl Audit {
    pub(crate) fn new(log: Log) -> Self {
        Self { log }
    }

    /// Records what is about to be granted. Without its record nothing is.
    pub(crate) async fn granting(&self, entry: Entry) -> Result<(), Refusal> {
        match timeout(BOUND, self.log.append(entry)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(unavailable(&why.to_string())),
            Err(_) => Err(unavailable("no answer in time")),
        }
    }

    /// Records what has ended or was refused, as soon as the log can be written.
    pub(crate) fn later(&self, entry: Entry) {
        self.log.later(entry);
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
            "{why}: nothing is granted until it can be recorded; what ends goes on to end"
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
            Ok(()) if failures > 0 => {
                failures = 0;
                info!("the audit log can be written");
                // What couldn't be read at a take-over is made up for.
                crate::revocation::reload_or_warn(ctx).await;
                follow::everything(ctx);
            }
            Ok(()) => {}
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
