//! What a set of policies is asked before it takes effect.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grant::DataClass;
use crate::{bounds, schema};

/// A request, and the answer that the object's own policies must give to it: no other policy is
/// asked, and grants aren't looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTest {
    /// What it shows, for people.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// What is asked.
    pub request: TestRequest,
    /// What must be answered.
    pub expect: TestExpectation,
}

/// A request, with all that a policy can look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestRequest {
    /// The agent.
    pub principal: TestPrincipal,
    /// What it wants to do: a verb, as in grants.
    #[schemars(length(min = 1, max = 64), regex(pattern = bounds::VERB))]
    pub action: String,
    /// What it wants to do it to.
    pub resource: TestResource,
    /// What else is known. What is absent is as harmless as it can be. Default: nothing is known.
    #[serde(default)]
    pub context: TestContext,
}

/// An agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestPrincipal {
    /// The name of its AgentIdentity.
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub name: String,
    /// Its namespace, for a ClusterAgentPolicy only. Default: absent, that of the AgentPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_LABEL), regex(pattern = bounds::DNS_LABEL))]
    pub namespace: Option<String>,
    /// The name of its AgentOwner. Default: absent, one that no policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub owner: Option<String>,
    /// What it claims, as in `spec.attributes` of its identity. Default: empty.
    #[serde(default)]
    #[schemars(schema_with = "schema::attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestResource {
    /// Its path, as in grants but without a wildcard: `ledger/invoices/7`.
    #[schemars(length(min = 1, max = 256), regex(pattern = bounds::PATH))]
    pub path: String,
    /// Its type, such as `document`. Default: absent, it has none.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_LABEL))]
    pub type_: Option<String>,
    /// How sensitive it is.
    pub sensitivity: DataClass,
    /// Where its data may be, such as `eu`. Default: empty, not said.
    #[serde(default)]
    #[schemars(
        length(max = 4),
        inner(length(min = 1, max = 32), regex(pattern = bounds::REGION))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub residency: Vec<String>,
    /// What an authoritative caller says of it. Keys have 1 to 63 characters. Default: empty.
    #[serde(default)]
    #[schemars(schema_with = "schema::attributes")]
    pub properties: BTreeMap<String, String>,
}

/// What else is known of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.sourceIP) || isIP(self.sourceIP)")
    .message("must be an IP address")
    .field_path(".sourceIP"))]
pub struct TestContext {
    /// The risk, from 0 to 100. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub risk: i64,
    /// How far the agent is from its own behaviour, from 0 to 100. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub anomaly: i64,
    /// The kinds of the signals that count. Default: empty.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub codes: Vec<String>,
    /// How many delegations lead to the agent. Default: absent, it acts on its own authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = bounds::MAX_DEPTH))]
    pub delegation_depth: Option<i64>,
    /// The tool that is called. Default: absent, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub tool: Option<String>,
    /// What the call does. `Destructive`: it would destroy something. Default: Harmless.
    #[serde(default)]
    pub effect: CallEffect,
    /// Where the request comes from: an IP address. Default: absent, not known.
    #[serde(default, rename = "sourceIP", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    pub source_ip: Option<String>,
}

/// What a call does to what it is made on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum CallEffect {
    /// Nothing that can't be undone.
    #[default]
    Harmless,
    /// It would destroy something.
    Destructive,
}

/// What must be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestExpectation {
    /// `Allow`, or `Deny`, which is also the answer where no policy speaks.
    pub decision: TestDecision,
    /// The `id`s of the policies that must have decided it, no more and no fewer: empty where none
    /// speaks. Default: absent, whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = bounds::MAX_LABEL), regex(pattern = bounds::DNS_LABEL))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub policies: Option<Vec<String>>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum TestDecision {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}
