//! How old what is known may be: by the operator's heartbeat and the silence of watches.

use std::time::Duration;

use countersign_decision::Freshness;
use countersign_runtime::WatchProgress;
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The operator's Lease, which its leader renews every two seconds.
pub(crate) const LEASE: &str = "countersign-operator";

/// One renewal of the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat(String);

/// When the Lease was last seen to be renewed, by this process' own clock: those of others may
/// differ.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat(Mutex<Option<Instant>>);

impl Heartbeat {
    /// It was renewed: was seen before, and is another now. One that is seen for the first time may
    /// have been left by an operator that is long gone.
    pub(crate) fn beats(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    fn silent(&self) -> Option<Duration> {
        let last = *self.0.lock();
        last.map(|it| Instant::now().saturating_duration_since(it))
    }
}

/// `None` for another Lease, and for one that nobody holds.
pub(crate) fn reduce(object: &Lease) -> Option<Beat> {
    let spec = object.spec.as_ref()?;
    spec.holder_identity.as_ref().filter(|it| !it.is_empty())?;
    (object.name_any() == LEASE).then(|| Beat(object.resource_version().unwrap_or_default()))
}

/// Fresh while a heartbeat came within `bound`, no watch has been failing for as long (`failing`), and
/// none hangs for longer than `watch_bound`. That nobody has seen a heartbeat yet is no age: it isn't
/// ready.
pub(crate) fn freshness(
    heartbeat: &Heartbeat,
    progress: &WatchProgress,
    failing: Option<Duration>,
    bound: Duration,
    watch_bound: Duration,
) -> Freshness {
    let Some(silent) = heartbeat.silent() else {
        return Freshness::NotReady;
    };
    let hung = progress.stalest().map(|it| it.1);
    let hung = hung.filter(|it| *it > watch_bound);
    let late = [Some(silent), failing].into_iter().flatten();
    match late.filter(|it| *it > bound).chain(hung).max() {
        None => Freshness::Fresh,
        Some(age) => Freshness::Stale(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn facts_are_fresh_while_the_operator_is_heard_of_and_every_watch_works() {
        let (heartbeat, progress) = (Heartbeat::default(), WatchProgress::new());
        let now = |failing| freshness(&heartbeat, &progress, failing, BOUND, BOUND);
        assert_eq!(now(None), Freshness::NotReady);
        heartbeat.beats();
        assert_eq!(now(None), Freshness::Fresh);
        assert_eq!(now(Some(seconds(30))), Freshness::Fresh);
        // One that is forbidden is no silent one: it was never opened.
        assert_eq!(
            now(Some(seconds(31))),
            Freshness::Stale(SignedDuration::from_secs(31))
        );
    }
}
