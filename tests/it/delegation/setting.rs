//! Agents to delegate to, delegations, and the wait for what becomes of them.

use std::time::{Duration, Instant};

use countersign_api::{AgentIdentity, Delegation, DelegationStatus};
use countersign_authority::Bundle;
use countersign_statement::{Chain, Options, TrustedKeys, verify_chain};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::harness::{DOMAIN, OWNER, Space, World, identity, job};
use crate::support::{OPERATOR_NAMESPACE, Tasks, User, create, find, is, uid, unique, until, with};

/// The Job that all agents of a space live for, unless a test ends one of them.
pub(super) const WORK: &str = "work";

/// All that [`OWNER`] may hand on.
pub(super) fn everything() -> Value {
    json!([{"actions": ["read", "list"], "resources": ["ledger/*"]}])
}

/// A part of it.
pub(super) fn invoices() -> Value {
    json!([{"actions": ["read"], "resources": ["ledger/invoices/*"]}])
}

/// From the owner to an agent.
pub(super) fn root(name: &str, to: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {"name": name},
        "spec": {
            "from": {"owner": {"name": OWNER}},
            "to": {"name": to},
            "grants": everything(),
            "maxDepth": 15,
        },
    })
}

/// From an agent to another.
pub(super) fn hop(name: &str, parent: &str, from: &str, to: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {"name": name},
        "spec": {
            "from": {"agent": {"name": from}},
            "to": {"name": to},
            "parentRef": {"name": parent},
            "grants": invoices(),
            "maxDepth": 15,
        },
    })
}

/// `object` with `spec` merged over its own.
pub(super) fn but(object: Value, spec: Value) -> Value {
    with(&object, &json!({"spec": spec}))
}

impl Space {
    pub(crate) fn delegations(&self) -> Api<Delegation> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The same, in whatever form.
    pub(super) fn untyped_delegations(&self) -> Tasks {
        self.objects("countersign.dev", "v1alpha1", "Delegation", "delegations")
    }

    /// Issued identities for one Job, which may do all that the owner may.
    pub(crate) async fn agents(&self, names: &[&str]) -> Vec<AgentIdentity> {
        if self.jobs().get_opt(WORK).await.unwrap().is_none() {
            self.create_job(&job(WORK)).await;
        }
        for name in names {
            self.create_identity(&agent(name, WORK)).await;
        }
        let mut issued = Vec::new();
        for name in names {
            issued.push(self.until_ready(name).await);
        }
        issued
    }

    /// An agent with a Job of its own, `<name>-job`.
    pub(super) async fn agent_with_task(&self, name: &str) -> AgentIdentity {
        let grants = json!({"spec": {"grants": everything()}});
        self.running(name, grants).await
    }

    pub(super) async fn delegate(&self, object: Value) -> Delegation {
        create(&self.delegations(), object).await.unwrap()
    }

    /// Delegates from the owner to the first and on from each to the next: `to-<agent>`, all ready.
    pub(crate) async fn chain(&self, agents: &[&str]) -> Vec<Delegation> {
        let mut made = Vec::new();
        for (place, to) in agents.iter().enumerate() {
            let name = format!("to-{to}");
            let object = match place.checked_sub(1) {
                None => root(&name, to),
                Some(above) => {
                    let from = agents[above];
                    hop(&name, &format!("to-{from}"), from, to)
                }
            };
            self.delegate(object).await;
            made.push(self.until_in_force(&name).await);
        }
        made
    }

    pub(super) async fn until_delegation(
        &self,
        name: &str,
        what: &str,
        good: impl Fn(&Delegation) -> bool,
    ) -> Delegation {
        until(&self.delegations(), name, what, good).await
    }

    pub(super) async fn until_in_force(&self, name: &str) -> Delegation {
        self.until_delegation(name, "Ready", |it| is(it, "Ready"))
            .await
    }

    /// Waits for a condition with one of these reasons.
    pub(super) async fn until_reason(&self, name: &str, kind: &str, reasons: &[&str]) -> Condition {
        let found = |it: &Delegation| {
            find(it, kind).filter(|it| it.status == "True" && reasons.contains(&it.reason.as_str()))
        };
        let what = format!("{kind} for {reasons:?}");
        let it = self
            .until_delegation(name, &what, |it| found(it).is_some())
            .await;
        found(&it).unwrap()
    }

    /// Waits for a refusal; gives its message. Nothing was countersigned.
    pub(super) async fn until_not_granted(&self, name: &str, reason: &str) -> String {
        let message = self.until_reason(name, "Stalled", &[reason]).await.message;
        let it = self.delegations().get(name).await.unwrap();
        let status = status(&it);
        assert!(status.statement.is_none() && status.digest.is_none());
        assert!(status.ancestors.is_empty());
        assert!(!is(&it, "Ready"));
        message
    }

    /// Waits for its end for one of these reasons.
    pub(super) async fn until_ended(&self, name: &str, reasons: &[&str]) -> Delegation {
        self.until_reason(name, "Completed", reasons).await;
        let it = self.delegations().get(name).await.unwrap();
        assert_ended(&it);
        it
    }

    /// The same, of one whose parent was deleted: the collector may have taken it along, for it learns
    /// late of whom it is to spare.
    pub(super) async fn until_ended_or_collected(
        &self,
        name: &str,
        reasons: &[&str],
    ) -> Option<Delegation> {
        let all = self.delegations();
        crate::harness::eventually("the end of a child", async || {
            let Some(it) = all.get_opt(name).await.unwrap() else {
                return Some(None);
            };
            let completed = find(&it, "Completed");
            let over = completed.is_some_and(|it| reasons.contains(&it.reason.as_str()));
            over.then(|| {
                assert_ended(&it);
                Some(it)
            })
        })
        .await
    }

    /// Waits until all of the namespace are over; gives how long that took from `since`.
    pub(super) async fn until_all_ended(&self, count: usize, since: Instant) -> Duration {
        let all = self.delegations();
        crate::harness::eventually("the end of all delegations", async || {
            let found = all.list(&ListParams::default()).await.unwrap().items;
            let over = found.iter().filter(|it| is(*it, "Completed")).count();
            (over == count).then(|| since.elapsed())
        })
        .await
    }

    pub(super) async fn patch_delegation(&self, name: &str, spec: Value) -> Delegation {
        self.merge_delegation(name, json!({"spec": spec})).await
    }

    async fn merge_delegation(&self, name: &str, patch: Value) -> Delegation {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let delegations = self.delegations();
        delegations.patch(name, &params, &patch).await.unwrap()
    }

    pub(super) async fn revoke_delegation(&self, name: &str) {
        self.patch_delegation(name, json!({"desiredState": "Revoked"}))
            .await;
    }

    /// Deletes it and leaves what depends on it to the operator: the collector takes the owner
    /// references away, as `kubectl delete --cascade=orphan` asks it to.
    pub(super) async fn delete_delegation_alone(&self, name: &str) {
        let (delegations, all) = (self.delegations(), ListParams::default());
        for child in delegations.list(&all).await.unwrap() {
            let parent = child.spec.parent_ref.as_ref().map(|it| it.name.as_str());
            if parent == Some(name) && is(&child, "Ready") {
                self.until_delegation(&child.name_any(), "dependent", |it| {
                    !dependent_on(it).is_empty()
                })
                .await;
            }
        }
        // The collector learns of a reference a moment late.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        delegations.delete(name, &params).await.unwrap();
        crate::support::until_gone(&delegations, name).await;
    }

    /// Has the operator look at it by what decides nothing, and gives it a while to.
    pub(super) async fn stays(&self, name: &str, good: impl Fn(&Delegation) -> bool) {
        let annotated = json!({"metadata": {"annotations": {"look": unique("again")}}});
        self.merge_delegation(name, annotated).await;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            let it = self.delegations().get(name).await.unwrap();
            assert!(good(&it), "{:#?}", it.status);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl User {
    pub(crate) fn delegations(&self, space: &Space) -> Api<Delegation> {
        Api::namespaced(self.client.clone(), &space.name)
    }
}

/// An identity for a Job, which may do all that the owner may.
pub(super) fn agent(name: &str, job: &str) -> AgentIdentity {
    let grants = json!({"spec": {"grants": everything()}});
    with(&identity(name, &format!("jobs.batch/{job}")), &grants)
}

pub(super) fn status(delegation: &Delegation) -> &DelegationStatus {
    delegation.status.as_ref().unwrap()
}

pub(super) fn digest(delegation: &Delegation) -> String {
    status(delegation).digest.clone().unwrap()
}

pub(super) fn spiffe_id(identity: &AgentIdentity) -> String {
    let status = identity.status.as_ref().unwrap();
    status.spiffe_id.clone().unwrap()
}

/// What everybody may see of a delegation that is over.
pub(super) fn assert_ended(delegation: &Delegation) {
    assert!(find(delegation, "Ready").is_none(), "Ready is removed");
    assert!(status(delegation).statement.is_none(), "nothing to copy");
    assert!(status(delegation).ancestors.is_empty());
    assert!(status(delegation).finished_time.is_some());
}

/// `bundle.json` of the trust domain, as it is published.
pub(super) async fn bundle_json(client: &Client) -> String {
    let maps = Api::<ConfigMap>::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let map = maps.get(&format!("{DOMAIN}-bundle")).await.unwrap();
    map.data.unwrap()["bundle.json"].clone()
}

/// Verifies a chain as somebody without a cluster does, agents' own signatures included.
pub(super) fn verified(delegation: &Delegation, bundle_json: &str) -> Chain {
    let keys = TrustedKeys::from_bundle_json(DOMAIN, bundle_json).unwrap();
    let bundle = Bundle::from_spiffe_json(bundle_json).unwrap();
    let options = Options {
        agent_signatures: Some(&bundle),
        ..Options::default()
    };
    let status = status(delegation);
    let own = status.statement.iter();
    let statements: Vec<&str> = status.ancestors.iter().chain(own).map(|it| &**it).collect();
    verify_chain(&statements, &keys, Timestamp::now(), &options).unwrap()
}

/// The UIDs of the owners that Kubernetes' collector goes by.
pub(super) fn dependent_on(delegation: &Delegation) -> Vec<String> {
    let references = delegation.owner_references().iter();
    references.map(|it| it.uid.clone()).collect()
}

/// Is it a dependent of `parent`?
pub(super) fn depends_on(delegation: &Delegation, parent: &Delegation) -> bool {
    dependent_on(delegation) == [uid(parent)]
}

impl World {
    /// An owner of roots alone: the agents are [`OWNER`]'s, who stays as it is.
    pub(super) async fn root_owner(&self, prefix: &str) -> String {
        self.owner(prefix, json!({})).await
    }
}
