//! The objects of the harness and where they live.

use serde_json::{Value, json};

/// The one namespace with identities.
pub(crate) const NAMESPACE: &str = "agents";

/// What the operator keeps its own things in.
pub(crate) const SYSTEM: &str = "countersign-system";

pub(crate) const TRUST_DOMAIN: &str = "bench.example";
const OWNER: &str = "bench";

/// Everything that is there before the first identity: the tasks' kind, how to tell that one is
/// over, a trust domain, an owner and the namespace.
pub(crate) const BEFORE: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tasks.bench.example}
spec:
  group: bench.example
  scope: Namespaced
  names: {kind: Task, listKind: TaskList, plural: tasks, singular: task}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status: {type: object, properties: {phase: {type: string}}}
---
apiVersion: countersign.dev/v1alpha1
kind: TaskKind
metadata: {name: tasks.bench.example}
spec:
  version: v1
  succeeded: object.status.phase == "Succeeded"
  failed: object.status.phase == "Failed"
---
apiVersion: countersign.dev/v1alpha1
kind: TrustDomain
metadata: {name: bench.example}
spec:
  authority: {builtIn: {caLifetimeSeconds: 2592000, keyAlgorithm: ECDSAP256, epoch: 1}}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: agents}}
  defaultCertificateTTLSeconds: 3600
  maxCertificateTTLSeconds: 3600
  maxIdentityLifetimeSeconds: 86400
---
apiVersion: countersign.dev/v1alpha1
kind: AgentOwner
metadata: {name: bench}
spec:
  type: Application
  subjects: [{kind: User, name: bench}]
  grants: [{actions: ["*"], resources: ["*"]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: agents}
"#;

/// How an identity's credential gets to its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Secret,
    Request,
}

/// A task that exists.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) uid: String,
}

pub(crate) fn task(name: &str) -> Value {
    json!({
        "apiVersion": "bench.example/v1",
        "kind": "Task",
        "metadata": {"name": name},
    })
}

/// An identity of the task's name. `csr` is for delivery by request.
pub(crate) fn identity(name: &str, delivery: Delivery, csr: &str) -> Value {
    let credential = match delivery {
        Delivery::Secret => json!({"delivery": "Secret", "certificateTTLSeconds": 3600}),
        Delivery::Request => json!({
            "delivery": "Request",
            "certificateTTLSeconds": 3600,
            "request": {"pkcs10": csr},
        }),
    };
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": name},
        "spec": {
            "trustDomainRef": {"name": TRUST_DOMAIN},
            "ownerRef": {"name": OWNER},
            "taskRef": {"group": "bench.example", "resource": "tasks", "name": name},
            "grants": [{"actions": ["read"], "resources": ["ledger/invoices/*"]}],
            "credential": credential,
        },
    })
}

/// Hands a part of what somebody may do on to the agent `to`. `from` is the spec's `from`, and
/// below a root its `parentRef`; `depth` is how many delegations lead here, which is how many
/// folders deep it may read; `below` is how many hops there may be below it.
pub(crate) fn delegation(
    name: &str,
    from: From<'_>,
    to: &str,
    depth: usize,
    below: usize,
) -> Value {
    const FOLDERS: [&str; 4] = ["", "2026/", "2026/11/", "2026/11/acme/"];
    let folders = FOLDERS.get(depth - 1).copied().unwrap_or("2026/11/acme/");
    let mut spec = json!({
        "to": {"name": to},
        "grants": [{"actions": ["read"], "resources": [format!("ledger/invoices/{folders}*")]}],
        "expiresAfterSeconds": 3600,
        "maxDepth": below,
    });
    match from {
        From::Owner => spec["from"] = json!({"owner": {"name": OWNER}}),
        From::Agent { name, parent } => {
            spec["from"] = json!({"agent": {"name": name}});
            spec["parentRef"] = json!({"name": parent});
        }
    }
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// Who delegates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From<'a> {
    /// The one owner.
    Owner,
    /// An agent that holds the delegation `parent`.
    Agent { name: &'a str, parent: &'a str },
}

pub(crate) fn delegations() -> String {
    format!("/apis/countersign.dev/v1alpha1/namespaces/{NAMESPACE}/delegations")
}

pub(crate) fn tasks() -> String {
    format!("/apis/bench.example/v1/namespaces/{NAMESPACE}/tasks")
}

pub(crate) fn identities() -> String {
    format!("/apis/countersign.dev/v1alpha1/namespaces/{NAMESPACE}/agentidentities")
}

pub(crate) fn secrets() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets")
}

pub(crate) fn pod_certificate_requests() -> String {
    format!("/apis/certificates.k8s.io/v1/namespaces/{NAMESPACE}/podcertificaterequests")
}

pub(crate) fn trust_domain() -> String {
    format!("/apis/countersign.dev/v1alpha1/trustdomains/{TRUST_DOMAIN}")
}
