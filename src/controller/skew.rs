//! Does this machine's clock agree with the API server's?

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use countersign_runtime::{Clock, server_time};
use jiff::SignedDuration;
use kube::Client;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// Clocks that differ by more are off. A certificate begins 10 s before its issue, so that less
/// than that does no harm; three times as much is no noise of the network.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// How often they are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// A comparison that takes longer says nothing.
const LIMIT: Duration = Duration::from_secs(3);

/// The last comparison.
#[derive(Debug, Default)]
pub(crate) struct Skew {
    off: AtomicBool,
    seconds: AtomicI64,
}

impl Skew {
    /// Are the clocks too far apart?
    pub(crate) fn off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// By how many seconds this clock is ahead of the API server's.
    pub(crate) fn seconds(&self) -> i64 {
        self.seconds.load(Ordering::Relaxed)
    }

    /// Compares once. True when the verdict changed.
    pub(crate) async fn compare(&self, client: &Client, clock: &Clock) -> bool {
        let Ok(Ok(server)) = timeout(LIMIT, server_time(client)).await else {
            return false; // an API server that doesn't answer tells nothing about clocks
        };
        let skew = server.skew_of(clock.now());
        let off = skew.at_least() > TOLERANCE;
        let ahead = skew.most;
        self.seconds.store(ahead.as_secs(), Ordering::Relaxed);
        let changed = self.off.swap(off, Ordering::Relaxed) != off;
        if changed && off {
            warn!(
                seconds_ahead = ahead.as_secs(),
                "clocks are apart: nothing is issued"
            );
        } else if changed {
            info!("clocks agree again");
        }
        changed
    }

    /// Compares for ever, and tells of each change.
    pub(crate) async fn follow(&self, client: &Client, clock: &Clock, changed: impl Fn()) {
        loop {
            sleep(COMPARE_EVERY).await;
            if self.compare(client, clock).await {
                changed();
            }
        }
    }
}
