//! What is decided about: a cluster with an operator, agents, chains of three delegations, and
//! policies.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::opa;
use crate::bed::{Bed, Programs};
use crate::delegating::Tree;
use crate::objects::{NAMESPACE, delegations, identities, secrets};
use crate::operator::Operator;

/// Delegations at each depth below the root: the last ones are the ends of chains of three.
const BELOW: [usize; 2] = [10, 50];

/// A certificate of an agent, with its key and its roots, in PEM.
pub(super) struct Credential {
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
    pub(super) ca_pem: String,
}

/// All of it, up and running.
pub(super) struct Scene {
    bed: Bed,
    operator: Operator,
    dir: TempDir,
    identities: Vec<Value>,
    owners: Vec<Value>,
    hops: Vec<Value>,
    questions: Vec<Value>,
}

impl Scene {
    /// So many more agents than those of the chains.
    pub(super) async fn set(programs: &Programs, more: usize) -> Result<Self> {
        let bed = Bed::make(programs).await?;
        for (kind, object) in [
            ("clusteragentpolicies", guard()),
            (&format!("namespaces/{NAMESPACE}/agentpolicies"), permits()),
        ] {
            let path = format!("/apis/countersign.dev/v1alpha1/{kind}");
            bed.api().create(&path, &object).await?;
        }
        let operator = bed.operator(programs).await?;
        let mut agents = Tree::agents(&BELOW);
        agents.extend((0..more).map(|it| format!("other-{it:04}")));
        bed.agents(&agents).await?;
        let tree = Tree::of("chain", &BELOW);
        tree.grow(&bed).await?;
        let mut scene = Self {
            identities: list(&bed, &identities()).await?,
            owners: list(&bed, "/apis/countersign.dev/v1alpha1/agentowners").await?,
            hops: list(&bed, &delegations()).await?,
            questions: Vec::new(),
            dir: tempfile::tempdir()?,
            operator,
            bed,
        };
        scene.questions = scene.ask_all()?;
        ensure!(!scene.questions.is_empty(), "there are no chains");
        Ok(scene)
    }

    pub(super) fn bed(&self) -> &Bed {
        &self.bed
    }

    /// Bodies of AuthZEN evaluations: an agent at the end of a chain wants to read one file each.
    pub(super) fn questions(&self) -> &[Value] {
        &self.questions
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn opa_data(&self) -> Result<Value> {
        opa::data(&self.identities, &self.owners, &self.hops)
    }

    /// Of the agent that the first question is about.
    pub(super) async fn credential(&self) -> Result<Credential> {
        let id = self.questions.first().map(|it| &it["subject"]["id"]);
        let agent = self.identities.iter();
        let agent = agent.filter(|it| Some(&it["status"]["spiffeID"]) == id);
        let name = agent.map(|it| &it["metadata"]["name"]).next();
        let name = name.and_then(Value::as_str).context("no such agent")?;
        let path = format!("{}/{name}-identity", secrets());
        let secret: k8s_openapi::api::core::v1::Secret = self.bed.api().fetch(&path).await?;
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            let bytes = data
                .get(key)
                .with_context(|| format!("no {key} in a Secret"))?;
            anyhow::Ok(String::from_utf8(bytes.0.clone())?)
        };
        Ok(Credential {
            chain_pem: text("tls.crt")?,
            key_pem: text("tls.key")?,
            ca_pem: text("ca.crt")?,
        })
    }

    pub(super) async fn end(self) -> Result<()> {
        self.operator.stop().await
    }

    fn ask_all(&self) -> Result<Vec<Value>> {
        let last = self.hops.iter().filter(|it| it["status"]["depth"] == 3);
        let ask = |(number, hop): (usize, &Value)| {
            let to = &hop["spec"]["to"]["name"];
            let agent = self
                .identities
                .iter()
                .find(|it| it["metadata"]["name"] == *to);
            let agent = agent.context("a chain's agent is missing")?;
            Ok(json!({
                "subject": {"type": "agent", "id": agent["status"]["spiffeID"]},
                "action": {"name": "read"},
                "resource": {
                    "type": "document",
                    "id": format!("ledger/invoices/2026/11/{number}"),
                },
                "context": {"delegation": hop["status"]["digest"], "sourceIP": "10.1.2.3"},
            }))
        };
        last.enumerate().map(|it| ask((it.0, it.1))).collect()
    }
}

async fn list(bed: &Bed, path: &str) -> Result<Vec<Value>> {
    let list: Value = bed.api().fetch(path).await?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

/// Four guards. OPA has the same in `authz.rego`.
pub(crate) fn guard() -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "ClusterAgentPolicy",
        "metadata": {"name": "guard"},
        "spec": {
            "resources": [{"pattern": "ledger/*", "sensitivity": "Internal"}],
            "policies": GUARDS.map(|(id, cedar)| json!({"id": id, "cedar": cedar})),
        },
    })
}

/// Two permits. OPA has the same in `authz.rego`.
pub(crate) fn permits() -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": "ledger"},
        "spec": {"policies": PERMITS.map(|(id, cedar)| json!({"id": id, "cedar": cedar}))},
    })
}

/// Name and text.
pub(super) const GUARDS: [(&str, &str); 4] = [
    (
        "risk",
        "forbid (principal, action, resource) \
         when { context.signals.risk + 25 * resource.sensitivity > 100 };",
    ),
    (
        "destructive",
        "forbid (principal, action, resource) when { context.call.destructive && \
         (context.signals.anomaly >= 60 || context.signals.ageMilliseconds > 5000) };",
    ),
    (
        "network",
        "forbid (principal, action, resource) when { resource.sensitivity >= 2 } \
         unless { context has sourceIP && context.sourceIP.isInRange(ip(\"10.0.0.0/8\")) };",
    ),
    (
        "depth",
        "forbid (principal, action == Countersign::Action::\"delete\", resource) \
         when { context has delegation && context.delegation.depth > 4 };",
    ),
];

/// Name and text.
pub(super) const PERMITS: [(&str, &str); 2] = [
    (
        "read",
        "permit (principal in Countersign::Namespace::\"agents\", \
         action in [Countersign::Action::\"read\", Countersign::Action::\"list\"], \
         resource in Countersign::Collection::\"ledger\") when { resource.sensitivity <= 2 };",
    ),
    (
        "invoke",
        "permit (principal in Countersign::Namespace::\"agents\", \
         action == Countersign::Action::\"invoke\", \
         resource in Countersign::Collection::\"ledger\") \
         when { context.call has tool && context.call.tool == \"post_entry\" };",
    ),
];
