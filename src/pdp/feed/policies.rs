//! All policies, compiled together when one of them changed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_api as api;
use countersign_decision::Feed as _;
use countersign_policies::{Good, PolicyObject, in_force, rules_of};
use countersign_policy::{Compiled, Mode, PolicySet, PolicySource, PolicyText, compile};
use countersign_runtime::{ObjectKey, Store, Supervisor, Trouble, watch_into};
use kube::{Api, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

use super::Feed;

/// Changes within this time are taken together: thousands may be applied at once.
const TOGETHER: Duration = Duration::from_millis(20);

/// Both kinds, and what of them is in force.
#[derive(Default)]
pub(super) struct Policies {
    namespaced: Arc<Store<api::AgentPolicy>>,
    cluster: Arc<Store<api::ClusterAgentPolicy>>,
    changed: Arc<Notify>,
    /// By UID: what was in force last, which stays where the object's spec doesn't compile.
    known: Mutex<HashMap<String, Known>>,
    ready: AtomicBool,
}

/// What is known of an object.
#[derive(Clone)]
struct Known {
    /// The spec that was looked at.
    generation: i64,
    /// What counts of it.
    good: Option<Good>,
    /// What takes the place of policies that counted and are lost: it forbids all that they were about.
    instead: Option<Compiled>,
}

impl Policies {
    pub(super) fn start(self: &Arc<Self>, feed: &Arc<Feed>, to: &mut Supervisor) {
        let watching: Api<api::AgentPolicy> = Api::all(feed.clients.reads.clone());
        let (all, f) = (Arc::clone(self), Arc::clone(feed));
        to.spawn("watch policies", async move {
            let changed = |_: &ObjectKey, old: Option<&Arc<_>>, new: Option<&Arc<_>>| {
                all.changed_to(old.map(Arc::as_ref), new.map(Arc::as_ref));
            };
            let (store, metrics) = (Arc::clone(&all.namespaced), f.watch_metrics.clone());
            watch_into(
                "agentpolicies",
                watching,
                f.config(),
                store,
                Some,
                changed,
                metrics,
            )
            .await
        });
        let watching: Api<api::ClusterAgentPolicy> = Api::all(feed.clients.reads.clone());
        let (all, f) = (Arc::clone(self), Arc::clone(feed));
        to.spawn("watch cluster policies", async move {
            let changed = |_: &ObjectKey, old: Option<&Arc<_>>, new: Option<&Arc<_>>| {
                all.changed_to(old.map(Arc::as_ref), new.map(Arc::as_ref));
            };
            let (store, metrics) = (Arc::clone(&all.cluster), f.watch_metrics.clone());
            let config = f.config();
            watch_into(
                "clusteragentpolicies",
                watching,
                config,
                store,
                Some,
                changed,
                metrics,
            )
            .await
        });
        let (all, f) = (Arc::clone(self), Arc::clone(feed));
        to.spawn("compile policies", async move { all.keep(&f).await });
    }

    /// Has all compiled again, unless it is the status alone that changed: what was looked at once isn't
    /// looked at again for that, and the operator writes thousands of them.
    fn changed_to<K: PolicyObject>(&self, old: Option<&K>, new: Option<&K>) {
        let spec = |object: &K| (object.meta().uid.clone(), object.meta().generation);
        if old.map(spec) != new.map(spec) {
            self.changed.notify_one();
        }
    }

    /// What is wrong with the watches.
    pub(super) fn troubles(&self) -> [Option<Trouble>; 2] {
        [self.namespaced.trouble(), self.cluster.trouble()]
    }

    /// Are those that were listed first in force?
    pub(super) fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    async fn keep(self: &Arc<Self>, feed: &Arc<Feed>) -> Infallible {
        while !(self.namespaced.synced() && self.cluster.synced()) {
            sleep(TOGETHER).await;
        }
        loop {
            let (all, f) = (Arc::clone(self), Arc::clone(feed));
            // Thousands take seconds, and answering goes on meanwhile.
            if tokio::task::spawn_blocking(move || all.compile(&f))
                .await
                .is_err()
            {
                warn!("compiling the policies broke off: those before stay");
            }
            self.changed.notified().await;
            sleep(TOGETHER).await;
        }
    }

    fn compile(&self, feed: &Feed) {
        let mut known = HashMap::new();
        let mut cluster = Vec::new();
        self.cluster.for_each(|_, it| cluster.push(Arc::clone(it)));
        let mut namespaced = Vec::new();
        self.namespaced
            .for_each(|_, it| namespaced.push(Arc::clone(it)));
        known.extend(cluster.iter().map(|it| self.look(&**it)));
        known.extend(namespaced.iter().map(|it| self.look(&**it)));
        let good = || known.values().filter_map(|it| it.good.as_ref());
        let instead = known.values().filter_map(|it| it.instead.clone());
        let set = PolicySet::of(good().map(|it| it.compiled.clone()).chain(instead));
        feed.metrics.policies("in_force", good().count());
        feed.metrics.policies("none", known.len() - good().count());
        let rules = rules_of(good());
        feed.rules.store(Arc::new(rules.clone()));
        feed.engine.world().set_rules(rules);
        feed.engine.world().set_policies(Arc::new(set));
        *self.known.lock() = known;
        self.ready.store(true, Ordering::Release);
        feed.changed();
    }

    /// What counts of an object: of its newest spec that compiles.
    fn look<K: PolicyObject>(&self, object: &K) -> (String, Known) {
        let uid = object.meta().uid.clone().unwrap_or_default();
        let generation = object.meta().generation.unwrap_or_default();
        let known = self.known.lock().get(&uid).cloned();
        if let Some(known) = known.as_ref().filter(|it| it.generation == generation) {
            return (uid, known.clone());
        }
        let found = in_force(object, known.as_ref().and_then(|it| it.good.as_ref()));
        if let Some(problem) = found.problems.first() {
            let (name, more) = (object.name_any(), found.problems.len() - 1);
            warn!(
                object = name,
                more, "policies are refused, what was in force stays: {problem}"
            );
        }
        let known = Known {
            generation,
            good: found.good,
            instead: found.lost.then(|| forbid_all(object.source())).flatten(),
        };
        (uid, known)
    }
}

fn forbid_all(source: PolicySource) -> Option<Compiled> {
    let forbid = PolicyText {
        id: "lost".to_owned(),
        cedar: "forbid (principal, action, resource);".to_owned(),
        obligations: Vec::new(),
    };
    let source = PolicySource {
        mode: Mode::Enforce,
        policies: vec![forbid],
        tests: Vec::new(),
        ..source
    };
    compile(&source)
        .inspect_err(|_| warn!("what should forbid everything doesn't compile"))
        .ok()
}
