//! Objects that are fine.

use serde_json::{Value, json};

pub(crate) fn identity(name: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": name},
        "spec": {
            "trustDomainRef": {"name": "example.org"},
            "ownerRef": {"name": "alice"},
            "taskRef": {"group": "batch", "resource": "jobs", "name": "reconcile"},
        },
    })
}

/// From an owner.
pub(crate) fn root(name: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {"name": name},
        "spec": {
            "from": {"owner": {"name": "alice"}},
            "to": {"name": "planner"},
            "grants": [{"actions": ["read"], "resources": ["ledger/*"]}],
        },
    })
}

/// From an agent, below another delegation.
pub(crate) fn hop(name: &str) -> Value {
    let mut hop = root(name);
    hop["spec"]["from"] = json!({"agent": {"name": "planner"}});
    hop["spec"]["to"] = json!({"name": "invoice-reader"});
    hop["spec"]["parentRef"] = json!({"name": "alice-to-planner"});
    hop
}

pub(crate) fn trust_domain(name: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "TrustDomain",
        "metadata": {"name": name},
        "spec": {"authority": {"builtIn": {}}},
    })
}

pub(crate) fn owner(name: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentOwner",
        "metadata": {"name": name},
        "spec": {
            "type": "Person",
            "subjects": [{"kind": "User", "name": "alice@example.com"}],
            "grants": [
                {"actions": ["read", "*"], "resources": ["ledger/*", "*", "ledger/*/lines"]},
                {"actions": ["read"], "resources": ["payroll/*"], "constraints": {
                    "maxDataClass": "Confidential",
                    "audiences": ["https://reports.example.org", "billing"],
                    "notAfter": "2026-11-30T18:00:00Z",
                    "maxCalls": 100,
                }},
            ],
        },
    })
}

pub(crate) fn task_kind(name: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "TaskKind",
        "metadata": {"name": name},
        "spec": {"version": "v1", "succeeded": "object.status.phase == 'Done'"},
    })
}
