//! Does this machine's clock agree with the API server's?

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_runtime::{Clock, server_time};
use jiff::SignedDuration;
use kube::Client;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// As the operator's: a certificate begins 10 s before its issue, so that less than that does no harm;
/// three times as much is no noise of the network.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// How often they are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// A comparison that takes longer says nothing.
const LIMIT: Duration = Duration::from_secs(3);

/// The last comparison.
#[derive(Debug, Default)]
pub(crate) struct Skew(AtomicBool);

impl Skew {
    /// Are the clocks too far apart?
    pub(crate) fn off(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Compares for ever.
    pub(super) async fn follow(&self, client: &Client, clock: &Clock) -> Infallible {
        loop {
            self.compare(client, clock).await;
            sleep(COMPARE_EVERY).await;
        }
    }

    async fn compare(&self, client: &Client, clock: &Clock) {
        let Ok(Ok(server)) = timeout(LIMIT, server_time(client)).await else {
            return; // an API server that doesn't answer tells nothing about clocks
        };
        let skew = server.skew_of(clock.now());
        let off = skew.at_least() > TOLERANCE;
        if self.0.swap(off, Ordering::Relaxed) == off {
            return;
        }
        if off {
            let seconds_ahead = skew.most.as_secs();
            warn!(seconds_ahead, "clocks are apart: nothing is issued");
        } else {
            info!("clocks agree again");
        }
    }
}
