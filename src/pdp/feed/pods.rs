//! Which agents a pod is: those whose task is among its owners. What notices something of a process,
//! such as Falco, names it by its pod.
//!
//! An owner reference is written by whoever creates the pod: who may create pods in a namespace can
//! be its agents, and bring them into discredit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use countersign_decision::Signals;
use countersign_runtime::{ObjectKey, Supervisor, watch_into};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PartialObjectMeta;
use parking_lot::Mutex;

use super::{Feed, Stores};

/// The UIDs of a pod's owners.
#[derive(Debug, PartialEq)]
pub(crate) struct Owned(Vec<String>);

/// Both sides of the relation, by the task's UID.
#[derive(Debug, Default)]
pub(crate) struct Pods(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    agents: HashMap<String, HashSet<String>>,
    pods: HashMap<String, HashSet<ObjectKey>>,
}

impl Pods {
    /// Follows pods. To be started only where somebody names agents by them: it takes the right to
    /// list all pods.
    pub(super) fn start(feed: &Arc<Feed>, stores: &Stores, to: &mut Supervisor) {
        let api: Api<PartialObjectMeta<Pod>> = Api::all(feed.clients.reads.clone());
        let (feed, store) = (Arc::clone(feed), Arc::clone(&stores.pods));
        to.spawn("watch pods", async move {
            let reduce = |object: PartialObjectMeta<Pod>| {
                let owners = object.metadata.owner_references.unwrap_or_default();
                let uids: Vec<String> = owners.into_iter().map(|it| it.uid).collect();
                (!uids.is_empty()).then_some(Owned(uids))
            };
            let changed = |key: &ObjectKey, old: Option<&Arc<Owned>>, new: Option<&Arc<Owned>>| {
                let signals = feed.engine.signals();
                if let Some(old) = old {
                    feed.pods.pod_gone(signals, key, old);
                }
                if let Some(new) = new {
                    feed.pods.pod_there(signals, key, new);
                }
            };
            let (config, metrics) = (feed.config(), feed.watch_metrics.clone());
            watch_into("pods", api, config, store, reduce, changed, metrics).await
        });
    }

    /// An agent lives for this task.
    pub(super) fn agent_there(&self, signals: &Signals, task: &str, spiffe_id: &str) {
        let mut known = self.0.lock();
        let agents = known.agents.entry(task.to_owned()).or_default();
        agents.insert(spiffe_id.to_owned());
        for pod in known.pods.get(task).into_iter().flatten() {
            signals.set_pod(pod.namespace(), &pod.name, spiffe_id);
        }
    }

    pub(super) fn agent_gone(&self, task: &str, spiffe_id: &str) {
        let mut known = self.0.lock();
        if let Some(agents) = known.agents.get_mut(task) {
            agents.remove(spiffe_id);
            if agents.is_empty() {
                known.agents.remove(task);
            }
        }
    }

    fn pod_there(&self, signals: &Signals, key: &ObjectKey, owned: &Owned) {
        let mut known = self.0.lock();
        for task in &owned.0 {
            let pods = known.pods.entry(task.clone()).or_default();
            pods.insert(key.clone());
            for agent in known.agents.get(task).into_iter().flatten() {
                signals.set_pod(key.namespace(), &key.name, agent);
            }
        }
    }

    fn pod_gone(&self, signals: &Signals, key: &ObjectKey, owned: &Owned) {
        signals.remove_pod(key.namespace(), &key.name);
        let mut known = self.0.lock();
        for task in &owned.0 {
            if let Some(pods) = known.pods.get_mut(task) {
                pods.remove(key);
                if pods.is_empty() {
                    known.pods.remove(task);
                }
            }
        }
    }
}
