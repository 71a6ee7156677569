//! What all passes share.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_api as api;
use countersign_runtime::{Clients, Clock, ObjectKey, Queue, Store, Urgency};

use crate::audit::Audit;
use crate::delegation::Delegations;
use crate::event::Events;
use crate::identity::Identities;
use crate::index::Index;
use crate::installation::Installation;
use crate::metrics::Metrics;
use crate::owner::Owner;
use crate::policy::{Kind, Policies};
use crate::requester::Reviews;
use crate::revocation::{Lists, Revocations};
use crate::secret::Secrets;
use crate::skew::Skew;
use crate::task::{Kinds, Watches};
use crate::trust_domain::Domains;
use crate::write::Gate;

/// Clients, stores and queues.
pub(crate) struct Context {
    pub(crate) clients: Clients,
    pub(crate) gate: Gate,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// The operator's own namespace.
    pub(crate) namespace: String,
    /// How long a changed Secret takes to reach a running agent.
    pub(crate) propagation_seconds: u64,
    /// Endpoints issue into pods.
    pub(crate) issuing: bool,
    /// How long a watch stays open at most.
    pub(crate) watch_seconds: u32,
    /// How long a revocation list may be relied upon.
    pub(crate) revocation_seconds: u32,
    pub(crate) audit: Audit,
    pub(crate) identities: Identities,
    pub(crate) delegations: Delegations,
    pub(crate) revocations: Revocations,
    pub(crate) lists: Lists,
    pub(crate) index: Arc<Index>,
    /// The labels of each namespace.
    pub(crate) namespaces: Arc<Store<BTreeMap<String, String>>>,
    pub(crate) owners: Arc<Store<Owner>>,
    pub(crate) trust_domains: Arc<Store<api::TrustDomain>>,
    pub(crate) task_kinds: Arc<Store<api::TaskKind>>,
    pub(crate) agent_policies: Policies<api::AgentPolicy>,
    pub(crate) cluster_agent_policies: Policies<api::ClusterAgentPolicy>,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) domains: Domains,
    pub(crate) secrets: Secrets,
    pub(crate) tasks: Arc<Watches>,
    pub(crate) reviews: Reviews,
    pub(crate) installation: Installation,
    pub(crate) skew: Skew,
    /// Identities, and Secrets whose identity is gone.
    pub(crate) queue: Arc<Queue<Work>>,
    /// Trust domains by name.
    pub(crate) domain_queue: Queue<String>,
    /// AgentPolicies, and, without a namespace, ClusterAgentPolicies.
    pub(crate) policy_queue: Queue<ObjectKey>,
}

/// What a worker looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    Identity(ObjectKey),
    Delegation(ObjectKey),
    /// A Secret with our label.
    Orphan(ObjectKey),
}

impl Context {
    /// Has an identity looked at, as urgently as what is known of it asks for.
    pub(crate) fn look_at(&self, key: &ObjectKey) {
        if !self.gate.leads() {
            return;
        }
        let urgency = crate::identity::urgency(self, key);
        self.look_at_as(key, urgency);
    }

    pub(crate) fn look_at_as(&self, key: &ObjectKey, urgency: Urgency) {
        if !self.gate.leads() {
            return; // the take-over looks at everything
        }
        let lane = key.namespace.clone().unwrap_or_default();
        self.queue.push(Work::Identity(key.clone()), lane, urgency);
    }

    pub(crate) fn look_at_all(&self, keys: Vec<ObjectKey>) {
        for key in keys {
            self.look_at(&key);
        }
    }

    /// Has a delegation looked at, as urgently as what is known of it asks for.
    pub(crate) fn look_at_delegation(&self, key: &ObjectKey) {
        if !self.gate.leads() {
            return;
        }
        let urgency = crate::delegation::urgency(self, key);
        let lane = key.namespace.clone().unwrap_or_default();
        self.queue
            .push(Work::Delegation(key.clone()), lane, urgency);
    }

    /// Has delegations looked at, and all that rest on them.
    pub(crate) fn look_at_delegations(&self, keys: Vec<ObjectKey>) {
        if keys.is_empty() || !self.gate.leads() {
            return;
        }
        for key in self.delegations.with_below(keys) {
            self.look_at_delegation(&key);
        }
    }

    /// Has a Secret looked at whose identity may be gone.
    pub(crate) fn look_at_orphan(&self, secret: &ObjectKey, urgency: Urgency) {
        if !self.gate.leads() {
            return;
        }
        let lane = secret.namespace.clone().unwrap_or_default();
        self.queue.push(Work::Orphan(secret.clone()), lane, urgency);
    }

    pub(crate) fn look_at_domain(&self, name: &str) {
        if !self.gate.leads() {
            return;
        }
        self.domain_queue
            .push(name.to_owned(), Arc::from(""), Urgency::Issue);
    }

    /// Has policies looked at: a change of some that were judged before new ones.
    pub(crate) fn look_at_policy<K: Kind>(&self, key: &ObjectKey) {
        if !self.gate.leads() {
            return;
        }
        let object = K::all(self).store().get(key);
        let judged = object.is_some_and(|object| object.in_effect().is_some());
        let urgency = if judged {
            Urgency::Renew
        } else {
            Urgency::Issue
        };
        let lane = key.namespace.clone().unwrap_or_default();
        self.policy_queue.push(key.clone(), lane, urgency);
    }
}
