//! A table of signals as plain as can be, and a clock that stands.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_decision::{Signal, SignalRefused, SignalSink};
use countersign_signals::Now;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

#[derive(Default)]
pub(crate) struct Table {
    signals: Mutex<Vec<Signal>>,
    known: Mutex<HashSet<(String, String)>>,
    pub(crate) full: AtomicBool,
}

impl SignalSink for Table {
    fn accept(&self, signal: Signal) -> Result<(), SignalRefused> {
        if self.full.load(Ordering::Relaxed) {
            return Err(SignalRefused::Full);
        }
        let name = (signal.source.clone(), signal.id.clone());
        if self.known.lock().insert(name) {
            self.signals.lock().push(signal);
        }
        Ok(())
    }

    fn all(&self) -> Vec<Signal> {
        self.signals.lock().clone()
    }
}

impl Table {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until there are so many signals.
    pub(crate) async fn has(&self, count: usize) {
        until(|| self.signals.lock().len() >= count).await;
    }
}

/// When everything in these tests happens.
pub(crate) fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub(crate) fn standing() -> Now {
    Arc::new(start)
}

pub(crate) async fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline, "it didn't come in time");
        sleep(Duration::from_millis(2)).await;
    }
}
