//! The runtime on a real control plane.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should panic"
)]

mod client;
mod election;
mod progress;
mod trouble;
mod watch;

use std::time::Duration;

use countersign_runtime::{Clients, WatchProgress};
use tokio::time::{Instant, sleep};

/// Waits until something holds, for what takes a moment.
async fn until(what: &str, limit: Duration, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn clients(config: kube::Config) -> Clients {
    Clients::connect(config, &WatchProgress::new()).unwrap()
}

const SOON: Duration = Duration::from_secs(20);
