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

/// Fresh while a heartbeat came within `bound` and no watch hangs for longer than `watch_bound`.
/// That nobody has seen a heartbeat yet is no age: it isn't ready.
pub(crate) fn freshness(
    heartbeat: &Heartbeat,
    progress: &WatchProgress,
    bound: Duration,
    watch_bound: Duration,
) -> Freshness {
    let Some(silent) = heartbeat.silent() else {
        return Freshness::NotReady;
    };
    let hung = progress.stalest().map_or(Duration::ZERO, |it| it.1);
    let hung = Some(hung).filter(|it| *it > watch_bound);
    match hung
        .into_iter()
        .chain((silent > bound).then_some(silent))
        .max()
    {
        None => Freshness::Fresh,
        Some(age) => Freshness::Stale(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX)),
    }
}
