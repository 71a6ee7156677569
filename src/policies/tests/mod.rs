//! What counts, of what was written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod counts;
mod merged;
mod read;

use countersign_api::{AgentPolicy, ClusterAgentPolicy};
use serde_json::{Value, json};

pub(crate) const READ: &str =
    r#"permit (principal, action == Countersign::Action::"read", resource);"#;
pub(crate) const TYPO: &str =
    "forbid (principal, action, resource)\nwhen { resource.sensitvity > 2 };";

/// An AgentPolicy in the namespace `finance`, of this generation.
pub(crate) fn policy(generation: i64, cedar: &str) -> AgentPolicy {
    of(json!({
        "metadata": {
            "name": "readers", "namespace": "finance", "uid": "uid-1", "generation": generation,
        },
        "spec": {"policies": [{"id": "one", "cedar": cedar}]},
    }))
}

/// A ClusterAgentPolicy that sets `spec` beside one policy.
pub(crate) fn cluster_policy(name: &str, spec: Value) -> ClusterAgentPolicy {
    let mut object = json!({
        "metadata": {"name": name, "uid": name, "generation": 1},
        "spec": {"policies": [{"id": "one", "cedar": READ}]},
    });
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    of(object)
}

pub(crate) fn of<K: serde::de::DeserializeOwned + kube::Resource<DynamicType = ()>>(
    mut object: Value,
) -> K {
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    serde_json::from_value(object).unwrap()
}
