//! What pods need on a node without a network of its own, said in their place.

use serde_json::{Value, json};

/// What the policy and its binding are called.
const NAME: &str = "countersign-testbed-pods";

/// A policy that puts pods on the machine's network, where the API server is at 127.0.0.1, and its
/// binding.
pub(super) fn policy(api_port: u16) -> [Value; 2] {
    let environment = |list: &str| {
        format!(
            "Object.spec.{list}{{name: c.name, env: [
                Object.spec.{list}.env{{name: 'KUBERNETES_SERVICE_HOST', value: '127.0.0.1'}},
                Object.spec.{list}.env{{name: 'KUBERNETES_SERVICE_PORT', value: '{api_port}'}}]}}"
        )
    };
    let expression = format!(
        "Object{{spec: Object.spec{{
            hostNetwork: true,
            containers: object.spec.containers.map(c, {}),
            initContainers: object.spec.?initContainers.orValue([]).map(c, {})}}}}",
        environment("containers"),
        environment("initContainers")
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
            }]},
            "failurePolicy": "Fail",
            // Other policies add sidecars, and those need it as well.
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": expression},
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME},
    });
    [policy, binding]
}
