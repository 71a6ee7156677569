//! Everything that is watched, as what may be issued is decided by it.
//!
//! ```text
//!  AgentIdentity (delivery Workload) ──▶ Index: by task, by service account
//!  Pod (metadata; those that are over are left out) ──▶ Store
//!  TrustDomain, Secrets with its authority and its keys, ConfigMap with its bundle ──▶ Domain
//!  Lease of the operator, silence of watches ──▶ Freshness
//! ```

pub(crate) mod authority;
mod domain;
pub(crate) mod identity;
mod index;
pub(crate) mod pod;
mod signing_keys;
mod skew;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_api as api;
use countersign_lists::{Crls, Lists};
pub(crate) use countersign_runtime::Freshness;
use countersign_runtime::{
    Clients, Clock, Heartbeat, ObjectKey, Store, Supervisor, WatchMetrics, WatchProgress,
    watch_into,
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Api;
use kube::api::PartialObjectMeta;
use kube::runtime::watcher::Config;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::oidc::{Face, Faces};
pub(crate) use domain::{Domain, Domains, Trusted};
pub(crate) use identity::Seen;
use index::{Index, Told};
use signing_keys::SigningKeys;

/// The operator's Lease, which its leader renews every two seconds. An operator that is gone sees no
/// task end.
const LEASE: &str = "countersign-operator";
/// What the operator writes.
const MANAGED: &str = "app.kubernetes.io/managed-by=countersign";
/// Marks a Secret as the authority of the trust domain that is its value.
const AUTHORITY_LABEL: &str = "countersign.dev/authority";
/// A pod that has ended asks for nothing. The rest of a pod's status isn't watched.
const NOT_OVER: &str = "status.phase!=Succeeded,status.phase!=Failed";
/// How often freshness is looked at.
const EVERY: Duration = Duration::from_millis(200);
/// A watch that brings nothing for so many times its longest life hangs.
const WATCH_BOUND: f64 = 2.5;

/// What is known.
pub(crate) struct Feed {
    clients: Clients,
    namespace: String,
    clock: Clock,
    identities: Arc<Store<Seen>>,
    pods: Arc<Store<pod::Seen>>,
    trust_domains: Arc<Store<domain::Wanted>>,
    authorities: Arc<Store<authority::Stored>>,
    signing_keys: Arc<Store<SigningKeys>>,
    bundles: Arc<Store<domain::Published>>,
    index: Index,
    told: Told,
    domains: Domains,
    lists: Option<Arc<Lists>>,
    freshness: RwLock<Freshness>,
    /// The listing of identities that the operator has looked at since. One may show what has ended
    /// as if it hadn't, where etcd was set back: the operator ends that again, by the audit log.
    vouched: RwLock<Option<u64>>,
    skew: skew::Skew,
    changes: watch::Sender<u64>,
}

impl Feed {
    /// Of the operator in this namespace. Nothing is known before it was [started](Self::start).
    pub(crate) fn new(
        clients: Clients,
        namespace: String,
        clock: Clock,
        lists: Option<Arc<Lists>>,
    ) -> Self {
        Self {
            clients,
            namespace,
            clock,
            identities: Arc::default(),
            pods: Arc::default(),
            trust_domains: Arc::default(),
            authorities: Arc::default(),
            signing_keys: Arc::default(),
            bundles: Arc::default(),
            index: Index::default(),
            told: Told::default(),
            domains: Domains::default(),
            lists,
            freshness: RwLock::new(Freshness::NotReady),
            vouched: RwLock::new(None),
            skew: skew::Skew::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Starts all watches.
    pub(crate) fn start(
        self: &Arc<Self>,
        settings: &Watching,
        progress: WatchProgress,
        to: &mut Supervisor,
    ) {
        self.watch_identities(settings, to);
        self.watch_pods(settings, to);
        self.watch_trust_domains(settings, to);
        self.watch_authorities(settings, to);
        self.watch_signing_keys(settings, to);
        self.watch_bundles(settings, to);
        if let Some(lists) = self.lists.clone() {
            let feed = Arc::clone(self);
            // Nothing waits for them.
            let read = |_: &str| {};
            to.spawn(
                "read revocation lists",
                lists.run(move || feed.synced(), read),
            );
        }
        let feed = Arc::clone(self);
        to.spawn("compare clocks", async move {
            feed.skew.follow(&feed.clients.reads, &feed.clock).await
        });
        to.spawn(
            "tell how fresh the facts are",
            Arc::clone(self).keep_fresh(settings.clone(), progress),
        );
    }

    /// Was everything listed?
    pub(crate) fn synced(&self) -> bool {
        self.identities.synced()
            && self.pods.synced()
            && self.trust_domains.synced()
            && self.authorities.synced()
            && self.signing_keys.synced()
            && self.bundles.synced()
    }

    /// May what is known be relied upon?
    pub(crate) fn freshness(&self) -> Freshness {
        let listing = self.identities.listing();
        if listing.is_none() || listing != *self.vouched.read() {
            return Freshness::NotReady;
        }
        *self.freshness.read()
    }

    /// Could it be relied upon at least once?
    pub(crate) fn was_fresh(&self) -> bool {
        self.vouched.read().is_some() && *self.freshness.read() != Freshness::NotReady
    }

    /// Is this machine's clock too far from the API server's?
    pub(crate) fn clock_off(&self) -> bool {
        self.skew.off()
    }

    /// A pod that is there and isn't over.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<Arc<pod::Seen>> {
        self.pods.get(&ObjectKey::new(Some(namespace), name))
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn domains(&self) -> &Domains {
        &self.domains
    }

    /// The revocation lists of a trust domain; none where they aren't to be had.
    pub(crate) fn crls(&self, trust_domain: &str) -> Crls {
        let lists = self.lists.as_ref();
        lists.map(|it| it.crls(trust_domain)).unwrap_or_default()
    }

    /// Changes with the identities.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes with whatever is told to those of one namespace.
    pub(crate) fn changes_in(&self, namespace: &str) -> watch::Receiver<u64> {
        self.told.subscribe(namespace)
    }

    fn watch_identities(self: &Arc<Self>, settings: &Watching, to: &mut Supervisor) {
        let api: Api<api::AgentIdentity> = Api::all(self.clients.reads.clone());
        let (feed, settings) = (Arc::clone(self), settings.clone());
        to.spawn("watch identities", async move {
            let reduce = |object| identity::reduce(&object);
            let changed = |key: &ObjectKey, old: Option<&Arc<Seen>>, new: Option<&Arc<Seen>>| {
                feed.index.change(old, new);
                feed.changes.send_modify(|it| *it = it.wrapping_add(1));
                feed.told.tell(key.namespace());
            };
            let (store, metrics) = (Arc::clone(&feed.identities), settings.metrics.clone());
            let config = settings.config();
            watch_into(
                "agentidentities",
                api,
                config,
                store,
                reduce,
                changed,
                metrics,
            )
            .await
        });
    }

    fn watch_pods(self: &Arc<Self>, settings: &Watching, to: &mut Supervisor) {
        let api: Api<PartialObjectMeta<Pod>> = Api::all(self.clients.reads.clone());
        let (feed, settings) = (Arc::clone(self), settings.clone());
        to.spawn("watch pods", async move {
            let reduce = |object: PartialObjectMeta<Pod>| pod::reduce(object.metadata);
            let changed = |key: &ObjectKey, old: Option<&_>, _: Option<&_>| {
                // One that is new has told nobody to listen yet.
                if old.is_some() {
                    feed.told.tell(key.namespace());
                }
            };
            let (store, metrics) = (Arc::clone(&feed.pods), settings.metrics.clone());
            let config = settings.config().fields(NOT_OVER);
            watch_into("pods", api, config, store, reduce, changed, metrics).await
        });
    }

    fn watch_trust_domains(self: &Arc<Self>, settings: &Watching, to: &mut Supervisor) {
        let api: Api<api::TrustDomain> = Api::all(self.clients.reads.clone());
        let (feed, settings) = (Arc::clone(self), settings.clone());
        to.spawn("watch trust domains", async move {
            let reduce = |object| domain::reduce(&object);
            let changed = |key: &ObjectKey, _: Option<&_>, _: Option<&_>| {
                feed.domain_changed(&key.name);
            };
            let (store, metrics) = (Arc::clone(&feed.trust_domains), settings.metrics.clone());
            let config = settings.config();
            watch_into("trustdomains", api, config, store, reduce, changed, metrics).await
        });
    }

    fn watch_authorities(self: &Arc<Self>, settings: &Watching, to: &mut Supervisor) {
        let api: Api<Secret> = Api::namespaced(self.clients.reads.clone(), self.namespace.as_str());
        let (feed, settings) = (Arc::clone(self), settings.clone());
        to.spawn("watch authorities", async move {
            let clock = feed.clock.clone();
            let reduce =
                move |object: Secret| authority::reduce(object, AUTHORITY_LABEL, clock.now());
            let changed = |_: &ObjectKey, old: Option<&Arc<_>>, new: Option<&Arc<_>>| {
                let both = [old, new].into_iter().flatten();
                for it in both.map(|it: &Arc<authority::Stored>| it.trust_domain.clone()) {
                    feed.domain_changed(&it);
                }
            };
            let (store, metrics) = (Arc::clone(&feed.authorities), settings.metrics.clone());
            let config = settings.config().labels(AUTHORITY_LABEL);
            watch_into("authorities", api, config, store, reduce, changed, metrics).await
        });
    }

    fn watch_signing_keys(self: &Arc<Self>, settings: &Watching, to: &mut Supervisor) {
        let api: Api<Secret> = Api::namespaced(self.clients.reads.clone(), self.namespace.as_str());
        let (feed, settings) = (Arc::clone(self), settings.clone());
        to.spawn("watch signing keys", async move {
            let changed = |_: &ObjectKey, old: Option<&Arc<_>>, new: Option<&Arc<_>>| {
                let both = [old, new].into_iter().flatten();
                for it in both.map(|it: &Arc<SigningKeys>| it.trust_domain.clone()) {
                    feed.domain_changed(&it);
                }
            };
            let (store, metrics) = (Arc::clone(&feed.signing_keys), settings.metrics.clone());
            let config = settings.config().labels(signing_keys::LABEL);
            let reduce = signing_keys::reduce;
            watch_into("signingkeys", api, config, store, reduce, changed, metrics).await
        });
    }

    fn watch_bundles(self: &Arc<Self>, settings: &Watching, to: &mut Supervisor) {
        let api: Api<ConfigMap> =
            Api::namespaced(self.clients.reads.clone(), self.namespace.as_str());
        let (feed, settings) = (Arc::clone(self), settings.clone());
        to.spawn("watch bundles", async move {
            let reduce = |object| domain::published(&object);
            let changed = |_: &ObjectKey, old: Option<&Arc<_>>, new: Option<&Arc<_>>| {
                let either: Option<&Arc<domain::Published>> = new.or(old);
                if let Some(it) = either {
                    feed.domain_changed(&it.trust_domain);
                }
            };
            let (store, metrics) = (Arc::clone(&feed.bundles), settings.metrics.clone());
            let config = settings.config().labels(MANAGED);
            watch_into("bundles", api, config, store, reduce, changed, metrics).await
        });
    }

    /// Puts a trust domain together again.
    fn domain_changed(&self, name: &str) {
        self.domains.put_together(name, || {
            let wanted = self.trust_domains.get(&ObjectKey::new(None, name))?;
            let here = |name: &str| ObjectKey::new(Some(&self.namespace), name);
            let authority = self.authorities.get(&here(&wanted.secret));
            let keys = self.signing_keys.get(&here(&signing_keys::secret(name)));
            let bundle = self.bundles.get(&here(&domain::config_map(name)));
            Some(Domain::of(
                name,
                &wanted,
                authority.as_deref(),
                keys.as_deref(),
                bundle.as_deref(),
            ))
        });
        if let Some(lists) = &self.lists {
            let domain = self.domains.get(name);
            lists.set_domain(name, domain.and_then(|it| it.lists()));
        }
        self.told.tell_all();
    }

    async fn keep_fresh(
        self: Arc<Self>,
        settings: Watching,
        progress: WatchProgress,
    ) -> Infallible {
        let heartbeat = Arc::new(Heartbeat::default());
        let beating = Arc::clone(&heartbeat).follow(
            self.clients.reads.clone(),
            &self.namespace,
            LEASE,
            settings.config(),
            settings.metrics.clone(),
        );
        let telling = self.tell(&settings, &heartbeat, &progress);
        futures::join!(beating, telling).0
    }

    async fn tell(
        &self,
        settings: &Watching,
        heartbeat: &Heartbeat,
        progress: &WatchProgress,
    ) -> Infallible {
        while !self.synced() {
            sleep(Duration::from_millis(20)).await;
        }
        let bound = settings.stale_after;
        let watch_bound = Duration::from_secs(settings.seconds.into()).mul_f64(WATCH_BOUND);
        let mut listed = None;
        loop {
            let before = self.freshness();
            self.vouch(heartbeat, &mut listed);
            let failing = self.failing();
            let now = heartbeat.freshness(progress, failing, bound, watch_bound.max(bound));
            *self.freshness.write() = now;
            match (before, self.freshness()) {
                (Freshness::Fresh, Freshness::Stale(age)) => {
                    warn!(
                        ?age,
                        "nothing was heard of the operator or a watch: refusing"
                    );
                }
                (Freshness::NotReady | Freshness::Stale(_), Freshness::Fresh) => {
                    info!("all facts are there and fresh");
                }
                _ => {}
            }
            sleep(EVERY).await;
        }
    }

    /// Relies on a listing once the operator has said, after it, that it looked at what is there.
    /// `listed` is the last one, and when it was there.
    fn vouch(&self, heartbeat: &Heartbeat, listed: &mut Option<(u64, Instant)>) {
        let Some(listing) = self.identities.listing() else {
            return;
        };
        let (_, since) = *match listed {
            Some(known) if known.0 == listing => known,
            other => other.insert((listing, Instant::now())),
        };
        if heartbeat.caught_up_since(since) {
            *self.vouched.write() = Some(listing);
        }
    }

    /// For how long the watch that has failed longest has brought nothing.
    fn failing(&self) -> Option<Duration> {
        let troubles = [
            self.identities.trouble(),
            self.pods.trouble(),
            self.trust_domains.trouble(),
            self.authorities.trouble(),
            self.signing_keys.trouble(),
            self.bundles.trouble(),
        ];
        let since = troubles.into_iter().flatten().map(|it| it.since).min()?;
        Some(Instant::now().saturating_duration_since(since))
    }
}

impl Faces for Feed {
    fn faces(&self) -> Arc<Vec<Face>> {
        let all = self.domains.all();
        Arc::new(all.values().filter_map(|it| it.face.clone()).collect())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// How things are watched.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    /// How long a watch stays open at most.
    pub(crate) seconds: u32,
    /// What wasn't heard of for so long counts no more.
    pub(crate) stale_after: Duration,
    pub(crate) metrics: WatchMetrics,
}

impl Watching {
    fn config(&self) -> Config {
        Config::default().timeout(self.seconds)
    }
}
