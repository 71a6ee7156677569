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

const READ: &str = r#"permit (principal, action == Countersign::Action::"read", resource);"#;

/// With every field, and a status as the operator writes it.
pub(crate) fn agent_policy(name: &str) -> Value {
    let policies = policies();
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name},
        "spec": {"mode": "Enforce", "policies": policies, "tests": [test()]},
        "status": {"inEffect": {
            "generation": 1, "digest": digest(), "mode": "Enforce", "policies": policies,
        }},
    })
}

/// With every field, and a status as the operator writes it.
pub(crate) fn cluster_agent_policy(name: &str) -> Value {
    let mut test = test();
    test["request"]["principal"]["namespace"] = json!("finance");
    let mut spec = json!({
        "mode": "Enforce",
        "policies": policies(),
        "tests": [test],
        "resources": [
            {"pattern": "ledger/*", "sensitivity": "Confidential", "residency": ["eu", "eu-central-1"]},
            {"pattern": "ledger/*/lines", "sensitivity": "Internal"},
        ],
        "risk": {"suspendAt": 80, "resumeBelow": 30},
        "recordFirst": "Confidential",
        "onStale": "UntilCertificatesExpire",
    });
    let mut in_effect = spec.clone();
    in_effect["generation"] = json!(1);
    in_effect["digest"] = json!(digest());
    in_effect.as_object_mut().unwrap().remove("tests");
    spec["resources"][1]["residency"] = json!([]);
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "ClusterAgentPolicy",
        "metadata": {"name": name},
        "spec": spec,
        "status": {"inEffect": in_effect},
    })
}

fn digest() -> String {
    format!("sha256:{}", "0".repeat(64))
}

fn policies() -> Value {
    json!([{
        "id": "readers",
        "description": "all may read",
        "cedar": READ,
        "obligations": [{"type": "step-up", "properties": {"acr_value": "urn:agents:loa:3"}}],
    }])
}

fn test() -> Value {
    json!({
        "name": "a reader reads",
        "request": {
            "principal": {"name": "reader", "owner": "alice", "attributes": {"purpose": "audit"}},
            "action": "read",
            "resource": {
                "path": "ledger/invoices/7", "type": "document", "sensitivity": "Internal",
                "residency": ["eu"], "properties": {"ownerID": "reader"},
            },
            "context": {
                "risk": 10, "anomaly": 0, "codes": ["falco/shell"], "delegationDepth": 2,
                "tool": "post_entry", "effect": "Destructive", "sourceIP": "10.0.0.9",
            },
        },
        "expect": {"decision": "Allow", "policies": ["readers"]},
    })
}
