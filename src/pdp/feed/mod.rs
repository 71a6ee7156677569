//! Everything that is watched, on its way to the engine.
//!
//! ```text
//!  AgentIdentity, AgentOwner, Delegation ──reduce──▶ changed ──▶ Engine's world
//!  TrustDomain, ConfigMap with its bundle ────────▶ Bundle, TrustedKeys ──▶ Engine's world
//!  AgentPolicy, ClusterAgentPolicy ───────────────▶ compiled, all together ──▶ Engine's world
//!  Lease of the operator, silence of watches ─────▶ Freshness
//! ```

mod bundle;
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
use countersign_decision::{Engine, Feed as _, Freshness, HopFacts, OwnerFacts, Rules};
use countersign_lists::{Lists, Wanted};
use countersign_runtime::{
    Clients, Heartbeat, ObjectKey, Store, Supervisor, WatchMetrics, WatchProgress, watch_into,
};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher::Config;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::metrics::Metrics;
use handed::Handed;
use pods::{Owned, Pods};
use policies::Policies;

/// The operator's Lease, which its leader renews every two seconds. An operator that is gone sees no
/// task end.
const LEASE: &str = "countersign-operator";
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
    domains: Arc<Store<Signing>>,
    bundles: Arc<Store<bundle::Seen>>,
    policies: Arc<Policies>,
    pods: Arc<Store<Owned>>,
}

/// What is kept of a TrustDomain: the ids of the authorities that sign.
#[derive(Debug, PartialEq, Eq)]
struct Signing(Vec<String>);

/// What is kept of a Delegation.
#[derive(Debug, PartialEq)]
struct Hop {
    uid: String,
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
    /// Held while a trust domain is put together.
    pub(crate) domains: Mutex<()>,
    /// Certificates of those who may not act now.
    pub(crate) taken: Mutex<identity::Taken>,
    /// Does somebody name agents by their pods?
    pub(crate) by_pods: bool,
    pub(crate) pods: Pods,
    /// What was revoked before, where an operator serves it.
    pub(crate) lists: Option<Arc<Lists>>,
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
            domains: Arc::new(Store::new()),
            bundles: Arc::new(Store::new()),
            policies: Arc::new(Policies::default()),
            pods: Arc::new(Store::new()),
        });
        self.identities(&stores, to);
        self.owners(&stores, to);
        self.hops(&stores, to);
        self.domains(&stores, to);
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
        let beating = Arc::clone(&heartbeat).follow(
            self.clients.reads.clone(),
            &self.namespace,
            LEASE,
            self.config(),
            self.watch_metrics.clone(),
        );
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
        while !self.complete(stores) {
            sleep(Duration::from_millis(20)).await;
        }
        let watch_bound = Duration::from_secs(self.watch_seconds.into()).mul_f64(WATCH_BOUND);
        let mut before = Freshness::NotReady;
        loop {
            let failing = stores.failing();
            let now = heartbeat.freshness(progress, failing, bound, watch_bound.max(bound));
            let now = match now {
                countersign_runtime::Freshness::NotReady => Freshness::NotReady,
                countersign_runtime::Freshness::Fresh => Freshness::Fresh,
                countersign_runtime::Freshness::Stale(age) => {
                    Freshness::Stale(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX))
                }
            };
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

    /// Is everything there that answers are made of?
    pub(crate) fn complete(&self, stores: &Stores) -> bool {
        stores.synced() && self.lists.as_ref().is_none_or(|it| it.ready())
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

    fn domains(self: &Arc<Self>, stores: &Arc<Stores>, to: &mut Supervisor) {
        let api: Api<api::TrustDomain> = Api::all(self.clients.reads.clone());
        let (feed, stores) = (Arc::clone(self), Arc::clone(stores));
        to.spawn("watch trust domains", async move {
            let reduce = |object| signing(&object);
            let changed = |key: &ObjectKey, _: Option<&_>, _: Option<&_>| {
                feed.domain_changed(&stores, &key.name);
            };
            let (config, store) = (feed.config(), Arc::clone(&stores.domains));
            let metrics = feed.watch_metrics.clone();
            watch_into("trustdomains", api, config, store, reduce, changed, metrics).await
        });
    }

    fn bundles(self: &Arc<Self>, stores: &Arc<Stores>, to: &mut Supervisor) {
        let api: Api<ConfigMap> =
            Api::namespaced(self.clients.reads.clone(), self.namespace.as_str());
        let (feed, stores) = (Arc::clone(self), Arc::clone(stores));
        to.spawn("watch bundles", async move {
            let reduce = |object| bundle::reduce(&object);
            let changed = |_: &ObjectKey, old: Option<&Arc<bundle::Seen>>, new: Option<&Arc<_>>| {
                if let Some(it) = new.or(old) {
                    feed.domain_changed(&stores, &it.trust_domain);
                }
            };
            let (config, store) = (feed.config().labels(MANAGED), Arc::clone(&stores.bundles));
            let metrics = feed.watch_metrics.clone();
            watch_into("bundles", api, config, store, reduce, changed, metrics).await
        });
    }

    /// A trust domain is known while it exists, its bundle is published (one that was deleted leaves a
    /// bundle behind) and, where lists are read, its lists were.
    pub(crate) fn domain_changed(&self, stores: &Stores, name: &str) {
        // Two watches come here: whoever is last has seen both.
        let _one = self.domains.lock();
        let there = stores.domains.get(&ObjectKey::new(None, name));
        let bundle = ObjectKey::new(Some(&self.namespace), &bundle::config_map(name));
        let bundle = stores.bundles.get(&bundle).filter(|_| there.is_some());
        let facts = bundle.and_then(|it| bundle::facts(&it));
        let mut answered = true;
        if let Some(lists) = &self.lists {
            let wanted = facts.as_ref().zip(there.as_ref());
            let wanted = wanted.map(|(facts, signing)| Wanted {
                bundle: Arc::clone(&facts.bundle),
                keys: Some(Arc::clone(&facts.keys)),
                signing: signing.0.clone(),
            });
            answered = lists.set_domain(name, wanted);
        }
        match facts.filter(|_| answered) {
            Some(facts) => self.engine.world().put_trust_domain(facts),
            None => self.engine.world().remove_trust_domain(name),
        }
        self.changed();
    }
}

/// `None` for one that is being deleted.
fn signing(object: &api::TrustDomain) -> Option<Signing> {
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = object.status.iter();
    let authorities = status.flat_map(|it| &it.authorities);
    let active = authorities.filter(|it| it.slot == api::SlotState::Active);
    Some(Signing(active.map(|it| it.id.clone()).collect()))
}

impl Stores {
    /// Was everything listed, and are all policies compiled?
    pub(crate) fn synced(&self) -> bool {
        self.identities.synced()
            && self.owners.synced()
            && self.hops.synced()
            && self.domains.synced()
            && self.bundles.synced()
            && self.policies.ready()
    }

    /// Each trust domain's name, and its bundle as it was published.
    pub(crate) fn published(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        self.bundles
            .for_each(|_, it| all.push((it.trust_domain.clone(), it.json.clone())));
        all
    }

    /// For how long the watch that has failed longest has brought nothing.
    fn failing(&self) -> Option<Duration> {
        let troubles = [
            self.identities.trouble(),
            self.owners.trouble(),
            self.hops.trouble(),
            self.domains.trouble(),
            self.bundles.trouble(),
        ];
        let all = troubles.into_iter().chain(self.policies.troubles());
        let since = all.flatten().map(|it| it.since).min()?;
        Some(Instant::now().saturating_duration_since(since))
    }
}
