//! Everything that is watched, on its way to the engine.
//!
//! ```text
//!  AgentIdentity, AgentOwner, Delegation ──reduce──▶ changed ──▶ Engine's world
//!  ConfigMaps with bundles ───────────────────────▶ Bundle, TrustedKeys ──▶ Engine's world
//!  AgentPolicy, ClusterAgentPolicy ───────────────▶ compiled, all together ──▶ Engine's world
//!  Lease of the operator, silence of watches ─────▶ Freshness
//! ```

mod bundle;
mod freshness;
mod handed;
mod hop;
pub(crate) mod identity;
mod owner;
pub(crate) mod pods;
mod policies;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_api as api;
use countersign_decision::{Engine, Feed as _, Freshness, HopFacts, HopState, OwnerFacts, Rules};
use countersign_runtime::{
    Clients, ObjectKey, Store, Supervisor, WatchMetrics, WatchProgress, watch_into,
};
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher::Config;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::metrics::Metrics;
use freshness::{Heartbeat, LEASE, freshness};
use handed::Handed;
use pods::{Owned, Pods};
use policies::Policies;

/// What the operator writes.
const MANAGED: &str = "app.kubernetes.io/managed-by=countersign";
/// How often freshness is looked at.
const EVERY: Duration = Duration::from_millis(200);
/// A watch that brings nothing for so many times its longest life hangs.
const WATCH_BOUND: f64 = 2.5;

/// All stores.
pub(crate) struct Stores {
    pub(crate) identities: Arc<Store<identity::Seen>>,
    owners: Arc<Store<OwnerFacts>>,
    hops: Arc<Store<Hop>>,
    bundles: Arc<Store<bundle::Seen>>,
    lease: Arc<Store<freshness::Beat>>,
    policies: Arc<Policies>,
    pods: Arc<Store<Owned>>,
}

/// What is kept of a Delegation.
#[derive(Debug, PartialEq)]
struct Hop {
    uid: String,
    state: HopState,
    facts: Handed<HopFacts>,
}

/// What feeding takes.
pub(crate) struct Feed {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clients: Clients,
    pub(crate) namespace: String,
    pub(crate) watch_seconds: u32,
    pub(crate) metrics: Metrics,
    pub(crate) watch_metrics: WatchMetrics,
    pub(crate) changes: Arc<watch::Sender<u64>>,
    /// Certificates of those who may not act now.
    pub(crate) taken: Mutex<identity::Taken>,
    /// Does somebody name agents by their pods?
    pub(crate) by_pods: bool,
    pub(crate) pods: Pods,
    /// Those that the engine has, for whoever tells risks.
    pub(crate) rules: Arc<ArcSwap<Rules>>,
}

impl Feed {
    /// Starts all watches.
    pub(crate) fn start(self: &Arc<Self>, to: &mut Supervisor) -> Arc<Stores> {
        let stores = Arc::new(Stores {
            identities: Arc::new(Store::new()),
            owners: Arc::new(Store::new()),
            hops: Arc::new(Store::new()),
            bundles: Arc::new(Store::new()),
            lease: Arc::new(Store::new()),
            policies: Arc::new(Policies::default()),
            pods: Arc::new(Store::new()),
        });
        self.identities(&stores, to);
        self.owners(&stores, to);
        self.hops(&stores, to);
        self.bundles(&stores, to);
        stores.policies.start(self, to);
        if self.by_pods {
            Pods::start(self, &stores, to);
        }
        stores
    }

    /// Says for ever how fresh everything is.
    pub(crate) async fn keep_fresh(
        self: Arc<Self>,
        stores: Arc<Stores>,
        progress: WatchProgress,
        bound: Duration,
    ) -> Infallible {
        let heartbeat = Arc::new(Heartbeat::default());
        let beating = {
            let heartbeat = Arc::clone(&heartbeat);
            let api: Api<Lease> =
                Api::namespaced(self.clients.reads.clone(), self.namespace.as_str());
            let config = self.config().fields(&format!("metadata.name={LEASE}"));
            let reduce = |object: Lease| freshness::reduce(&object);
            let changed = move |_: &ObjectKey, _: Option<&_>, now: Option<&_>| {
                if now.is_some() {
                    heartbeat.beats();
                }
            };
            let (store, metrics) = (Arc::clone(&stores.lease), self.watch_metrics.clone());
            watch_into("leases", api, config, store, reduce, changed, metrics)
        };
        let telling = self.tell(&stores, &heartbeat, &progress, bound);
        futures::join!(beating, telling).0
    }

    async fn tell(
        &self,
        stores: &Stores,
        heartbeat: &Heartbeat,
        progress: &WatchProgress,
        bound: Duration,
    ) -> Infallible {
        while !stores.synced() {
            sleep(Duration::from_millis(20)).await;
        }
        let watch_bound = Duration::from_secs(self.watch_seconds.into()).mul_f64(WATCH_BOUND);
        let mut before = Freshness::NotReady;
        loop {
            let now = freshness(heartbeat, progress, bound, watch_bound.max(bound));
            match (before, now) {
                (Freshness::Fresh, Freshness::Stale(age)) => {
                    warn!("nothing was heard of the operator or a watch for {age:#}: denying");
                }
                (Freshness::NotReady | Freshness::Stale(_), Freshness::Fresh) => {
                    info!("all facts are there and fresh");
                }
                _ => {}
            }
            let age = match now {
                Freshness::Stale(age) => age,
                _ => SignedDuration::ZERO,
            };
            self.metrics.age(age.unsigned_abs());
            self.engine.world().set_freshness(now);
            if std::mem::discriminant(&before) != std::mem::discriminant(&now) {
                self.changed();
            }
            before = now;
            sleep(EVERY).await;
        }
    }

    /// Answers may be others from now on.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|it| *it = it.wrapping_add(1));
    }

    fn config(&self) -> Config {
        Config::default().timeout(self.watch_seconds)
    }

    fn identities(self: &Arc<Self>, stores: &Stores, to: &mut Supervisor) {
        let api: Api<api::AgentIdentity> = Api::all(self.clients.reads.clone());
        let (store, feed) = (Arc::clone(&stores.identities), Arc::clone(self));
        to.spawn("watch identities", async move {
            let reduce = |object| identity::reduce(&object);
            let changed = |_: &ObjectKey, old: Option<&_>, new: Option<&_>| {
                feed.identity_changed(old.map(Arc::as_ref), new.map(Arc::as_ref));
            };
            let (config, metrics) = (feed.config(), feed.watch_metrics.clone());
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

    fn identity_changed(&self, old: Option<&identity::Seen>, new: Option<&identity::Seen>) {
        let world = self.engine.world();
        if let Some(taken) = self.taken.lock().changed(old, new) {
            world.revoke_serial(&taken.serial_number, taken.not_after);
        }
        if self.by_pods {
            let signals = self.engine.signals();
            let gone = old.filter(|old| new.is_none_or(|new| new.uid != old.uid));
            if let Some((task, id)) = gone.and_then(identity::Seen::runs_for) {
                self.pods.agent_gone(task, id);
            }
            if let Some((task, id)) = new.and_then(identity::Seen::runs_for) {
                self.pods.agent_there(signals, task, id);
            }
        }
        // Another object of the same name has another UID.
        if let Some(old) = old
            && new.is_none_or(|new| new.uid != old.uid || new.facts.is_none())
        {
            world.remove_identity(&old.uid);
        }
        if let Some(facts) = new.and_then(|it| it.facts.as_ref()?.take()) {
            world.put_identity(facts);
        }
        self.changed();
    }

    fn owners(self: &Arc<Self>, stores: &Stores, to: &mut Supervisor) {
        let api: Api<api::AgentOwner> = Api::all(self.clients.reads.clone());
        let (store, feed) = (Arc::clone(&stores.owners), Arc::clone(self));
        to.spawn("watch owners", async move {
            let reduce = |object| owner::reduce(&object);
            let changed =
                |_: &ObjectKey, old: Option<&Arc<OwnerFacts>>, new: Option<&Arc<OwnerFacts>>| {
                    let world = feed.engine.world();
                    match (old, new) {
                        (_, Some(new)) => {
                            world.put_owner(OwnerFacts::clone(new));
                        }
                        (Some(old), None) => {
                            world.remove_owner(&old.name);
                        }
                        (None, None) => {}
                    }
                    feed.changed();
                };
            let (config, metrics) = (feed.config(), feed.watch_metrics.clone());
            watch_into("agentowners", api, config, store, reduce, changed, metrics).await
        });
    }

    fn hops(self: &Arc<Self>, stores: &Stores, to: &mut Supervisor) {
        let api: Api<api::Delegation> = Api::all(self.clients.reads.clone());
        let (store, feed) = (Arc::clone(&stores.hops), Arc::clone(self));
        to.spawn("watch delegations", async move {
            let reduce = |object| {
                let facts = hop::reduce(&object)?;
                Some(Hop {
                    uid: facts.uid.clone(),
                    state: facts.state,
                    facts: Handed::new(facts),
                })
            };
            let changed = |_: &ObjectKey, old: Option<&Arc<Hop>>, new: Option<&Arc<Hop>>| {
                if let Some(old) = old
                    && new.is_none_or(|new| new.uid != old.uid)
                {
                    feed.engine.world().remove_hop(&old.uid);
                }
                if let Some(facts) = new.and_then(|it| it.facts.take()) {
                    feed.engine.world().put_hop(facts);
                }
                feed.changed();
            };
            let (config, metrics) = (feed.config(), feed.watch_metrics.clone());
            watch_into("delegations", api, config, store, reduce, changed, metrics).await
        });
    }

    fn bundles(self: &Arc<Self>, stores: &Stores, to: &mut Supervisor) {
        let api: Api<ConfigMap> =
            Api::namespaced(self.clients.reads.clone(), self.namespace.as_str());
        let (store, feed) = (Arc::clone(&stores.bundles), Arc::clone(self));
        to.spawn("watch bundles", async move {
            let reduce = |object| bundle::reduce(&object);
            let changed = |_: &ObjectKey, old: Option<&Arc<bundle::Seen>>, new: Option<&Arc<_>>| {
                match (new.and_then(|it| bundle::facts(it)), old.or(new)) {
                    (Some(facts), _) => feed.engine.world().put_trust_domain(facts),
                    (None, Some(it)) => feed.engine.world().remove_trust_domain(&it.trust_domain),
                    (None, None) => {}
                }
                feed.changed();
            };
            let config = feed.config().labels(MANAGED);
            let metrics = feed.watch_metrics.clone();
            watch_into("bundles", api, config, store, reduce, changed, metrics).await
        });
    }
}

impl Stores {
    /// Was everything listed, and are all policies compiled?
    pub(crate) fn synced(&self) -> bool {
        self.identities.synced()
            && self.owners.synced()
            && self.hops.synced()
            && self.bundles.synced()
            && self.policies.ready()
    }
}
