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
            "grants": [{"actions": ["read", "*"], "resources": ["ledger/*", "*", "ledger/*/lines"]}],
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
