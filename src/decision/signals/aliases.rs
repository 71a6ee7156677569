//! Which agents a pod is, and by which names an owner goes.

use std::collections::HashMap;
use std::sync::Arc;

use super::subject::pod;

/// The most pods. Beyond, a pod's signals find nobody.
const MAX_PODS: usize = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// A pod's agents, by its name among all.
    agents: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// An agent's pods, by its SPIFFE ID.
    pods: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// An owner's other names, by its name.
    owners: HashMap<String, Vec<String>>,
}

impl Aliases {
    pub(super) fn set_pod(&mut self, namespace: &str, name: &str, spiffe_id: &str) {
        let pod: Arc<str> = pod(namespace, name).into();
        if self.agents.len() >= MAX_PODS && !self.agents.contains_key(&pod) {
            return;
        }
        let agent: Arc<str> = spiffe_id.into();
        add(self.pods.entry(Arc::clone(&agent)).or_default(), &pod);
        add(self.agents.entry(pod).or_default(), &agent);
    }

    pub(super) fn remove_pod(&mut self, namespace: &str, name: &str) {
        let pod = pod(namespace, name);
        let agents = self.agents.remove(pod.as_str()).unwrap_or_default();
        for agent in agents {
            let Some(pods) = self.pods.get_mut(&agent) else {
                continue;
            };
            pods.retain(|it| **it != *pod);
            if pods.is_empty() {
                self.pods.remove(&agent);
            }
        }
    }

    pub(super) fn set_owner(&mut self, owner: &str, names: Vec<String>) {
        if names.is_empty() {
            self.owners.remove(owner);
        } else {
            self.owners.insert(owner.to_owned(), names);
        }
    }

    pub(super) fn pods_of(&self, spiffe_id: &str) -> &[Arc<str>] {
        self.pods.get(spiffe_id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn agents_of(&self, pod: &str) -> &[Arc<str>] {
        self.agents.get(pod).map_or(&[], Vec::as_slice)
    }

    pub(super) fn names_of(&self, owner: &str) -> &[String] {
        self.owners.get(owner).map_or(&[], Vec::as_slice)
    }
}

fn add(all: &mut Vec<Arc<str>>, one: &Arc<str>) {
    if !all.contains(one) {
        all.push(Arc::clone(one));
    }
}
