//! How old what is known may be: by another process' Lease, which its leader renews, and the silence
//! of watches.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::runtime::watcher::Config;
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::leader::lease::caught_up;
use crate::progress::WatchProgress;
use crate::store::{ObjectKey, Store};
use crate::version;
use crate::watch::watch_into;
use crate::watch_metrics::WatchMetrics;

/// May what is known be relied upon?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The leader was never heard of. That is no age.
    NotReady,
    /// Yes.
    Fresh,
    /// Nothing was heard for so long.
    Stale(Duration),
}

/// When a Lease was last seen to be renewed, by this process' own clock: those of others may differ.
#[derive(Debug, Default)]
pub struct Heartbeat(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    last: Option<Instant>,
    /// The last renewal by a holder who had looked at all that was there.
    caught_up: Option<Instant>,
}

/// One renewal of the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Beat {
    version: String,
    caught_up: bool,
}

impl Heartbeat {
    /// Watches the Lease of this name for ever. `config` says how long a watch stays open; what it
    /// selects is ignored.
    pub async fn follow(
        self: Arc<Self>,
        client: Client,
        namespace: &str,
        lease: &str,
        config: Config,
        metrics: WatchMetrics,
    ) -> Infallible {
        let api: Api<Lease> = Api::namespaced(client, namespace);
        let config = config.fields(&format!("metadata.name={lease}"));
        let reduce = |object: Lease| beat(&object, lease);
        let changed = |_: &ObjectKey, before: Option<&Arc<Beat>>, now: Option<&Arc<Beat>>| {
            if let (Some(before), Some(now)) = (before, now) {
                self.changed(before, now);
            }
        };
        let store = Arc::new(Store::new());
        watch_into("leases", api, config, store, reduce, changed, metrics).await
    }

    /// Fresh while a renewal was seen within `bound`, no watch has been failing for as long
    /// (`failing`), and none of `progress` hangs for longer than `watch_bound`.
    pub fn freshness(
        &self,
        progress: &WatchProgress,
        failing: Option<Duration>,
        bound: Duration,
        watch_bound: Duration,
    ) -> Freshness {
        let Some(last) = self.0.lock().last else {
            return Freshness::NotReady;
        };
        let silent = Instant::now().saturating_duration_since(last);
        let hung = progress.stalest().map(|it| it.1);
        let hung = hung.filter(|it| *it > watch_bound);
        let late = [Some(silent), failing].into_iter().flatten();
        match late.filter(|it| *it > bound).chain(hung).max() {
            None => Freshness::Fresh,
            Some(age) => Freshness::Stale(age),
        }
    }

    /// Was it renewed since `moment`, by a holder who had looked at all that was there? Each renewal
    /// rests on the one before. So none of a time before etcd was set back comes after one that was
    /// seen since, and what the holder says is about the objects that are there now.
    pub fn caught_up_since(&self, moment: Instant) -> bool {
        self.0.lock().caught_up.is_some_and(|it| it > moment)
    }

    /// It is renewed if it was seen before, and is newer now. One that is seen for the first time may
    /// have been left by a leader that is long gone, and an older one is a restored etcd's.
    fn changed(&self, before: &Beat, now: &Beat) {
        if version::newer(&now.version, &before.version) {
            let mut heard = self.0.lock();
            heard.last = Some(Instant::now());
            if now.caught_up {
                heard.caught_up = heard.last;
            }
        }
    }
}

/// `None` for another Lease, and for one that nobody holds.
fn beat(object: &Lease, name: &str) -> Option<Beat> {
    let spec = object.spec.as_ref()?;
    spec.holder_identity.as_ref().filter(|it| !it.is_empty())?;
    (object.name_any() == name).then(|| Beat {
        version: object.resource_version().unwrap_or_default(),
        caught_up: caught_up(object),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn beat(version: &str, caught_up: bool) -> Beat {
        Beat {
            version: version.to_owned(),
            caught_up,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn facts_are_fresh_while_the_leader_is_heard_of_and_every_watch_works() {
        let (heartbeat, progress) = (Heartbeat::default(), WatchProgress::new());
        let renewed = || heartbeat.changed(&beat("9", true), &beat("10", true));
        let now = |failing| heartbeat.freshness(&progress, failing, BOUND, BOUND);
        assert_eq!(now(None), Freshness::NotReady);
        renewed();
        assert_eq!(now(None), Freshness::Fresh);
        assert_eq!(now(Some(BOUND)), Freshness::Fresh);
        // One that is forbidden is no silent one: it was never opened.
        let late = BOUND + Duration::from_secs(1);
        assert_eq!(now(Some(late)), Freshness::Stale(late));
        tokio::time::advance(late).await;
        assert_eq!(now(None), Freshness::Stale(late));
        renewed();
        assert_eq!(now(None), Freshness::Fresh);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_of_an_etcd_that_was_set_back_is_no_renewal_and_who_catches_up_vouches_for_nothing()
     {
        let (heartbeat, start) = (Heartbeat::default(), Instant::now());
        tokio::time::advance(BOUND).await;
        heartbeat.changed(&beat("1000", true), &beat("480", true));
        assert_eq!(heartbeat.0.lock().last, None);
        heartbeat.changed(&beat("480", true), &beat("490", false));
        assert_eq!(heartbeat.0.lock().last, Some(Instant::now()));
        assert!(!heartbeat.caught_up_since(start));
        heartbeat.changed(&beat("490", false), &beat("500", true));
        assert!(heartbeat.caught_up_since(start));
        assert!(!heartbeat.caught_up_since(Instant::now()));
    }

    #[test]
    fn a_lease_of_another_name_or_of_nobody_beats_for_nobody() {
        let lease = |name: &str, holder: &str| {
            let mut lease = Lease::default();
            lease.metadata.name = Some(name.to_owned());
            lease.spec.get_or_insert_default().holder_identity = Some(holder.to_owned());
            lease
        };
        assert!(super::beat(&lease("operator", "one"), "operator").is_some());
        assert!(super::beat(&lease("operator", ""), "operator").is_none());
        assert!(super::beat(&lease("other", "one"), "operator").is_none());
        assert!(super::beat(&Lease::default(), "operator").is_none());
    }
}
