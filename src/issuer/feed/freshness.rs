//! How old what is known may be: by the operator's heartbeat and the silence of watches.

use std::time::Duration;

use countersign_runtime::WatchProgress;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The operator's Lease, which its leader renews every two seconds. An operator that is gone sees no
/// task end.
pub(super) const LEASE: &str = "countersign-operator";

/// May what is known be relied upon?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Not everything is there yet, or the operator was never heard of.
    NotReady,
    /// Yes.
    Fresh,
    /// Nothing was heard for so long.
    Stale(Duration),
}

/// One renewal of the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beat(String);

/// When the Lease was last seen to be renewed, by this process' own clock: those of others may
/// differ.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Mutex<Option<Instant>>);

impl Heartbeat {
    /// It was renewed: was seen before, and is another now. One that is seen for the first time may
    /// have been left by an operator that is long gone.
    pub(super) fn beats(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    fn silent(&self) -> Option<Duration> {
        let last = *self.0.lock();
        last.map(|it| Instant::now().saturating_duration_since(it))
    }
}

/// `None` for another Lease, and for one that nobody holds.
pub(super) fn reduce(object: &Lease) -> Option<Beat> {
    let spec = object.spec.as_ref()?;
    spec.holder_identity.as_ref().filter(|it| !it.is_empty())?;
    (object.name_any() == LEASE).then(|| Beat(object.resource_version().unwrap_or_default()))
}

/// Fresh while a heartbeat came within `bound`, no watch has been failing for as long (`failing`), and
/// none hangs for longer than `watch_bound`.
pub(super) fn freshness(
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
        Some(age) => Freshness::Stale(age),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn facts_are_fresh_while_the_operator_is_heard_of_and_every_watch_works() {
        let (heartbeat, progress) = (Heartbeat::default(), WatchProgress::new());
        let now = |failing| freshness(&heartbeat, &progress, failing, BOUND, BOUND);
        assert_eq!(now(None), Freshness::NotReady);
        heartbeat.beats();
        assert_eq!(now(None), Freshness::Fresh);
        assert_eq!(now(Some(BOUND)), Freshness::Fresh);
        let late = BOUND + Duration::from_secs(1);
        assert_eq!(now(Some(late)), Freshness::Stale(late));
        tokio::time::advance(late).await;
        assert_eq!(now(None), Freshness::Stale(late));
        heartbeat.beats();
        assert_eq!(now(None), Freshness::Fresh);
    }
}
