//! What became of a set of policies.
//!
//! `inEffect` holds the policies that count, whole: a change that doesn't compile may come while
//! nobody watches, and then this is all that is left of the set before.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::agent_policy::{Policy, PolicyMode};
use crate::cluster_agent_policy::{OnStale, ResourceClass, RiskThreshold};
use crate::grant::DataClass;
use crate::{bounds, schema};

/// What the operator found. Default: `Ready` is Unknown, since nobody has looked at it yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentPolicyStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// What counts: the last spec that compiled and whose tests passed. Absent: none ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_effect: Option<PoliciesInEffect>,
    /// `Ready`: the policies as they are written count, as their mode says. `Stalled`: they can't,
    /// and what counts is `inEffect`.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What the operator found. Default: `Ready` is Unknown, since nobody has looked at it yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAgentPolicyStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// What counts: the last spec that compiled and whose tests passed. Absent: none ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_effect: Option<ClusterPoliciesInEffect>,
    /// `Ready`: the policies as they are written count, as their mode says. `Stalled`: they can't,
    /// and what counts is `inEffect`.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A spec of an AgentPolicy that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoliciesInEffect {
    /// The `metadata.generation` that it was.
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub generation: i64,
    /// The digest of scope, name, mode and policies: `sha256:` and lower-case hex.
    #[schemars(length(max = 128), regex(pattern = bounds::POLICY_DIGEST))]
    pub digest: String,
    /// Its `mode`.
    pub mode: PolicyMode,
    /// Its `policies`.
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policies: Vec<Policy>,
}

/// A spec of a ClusterAgentPolicy that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPoliciesInEffect {
    /// The `metadata.generation` that it was.
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub generation: i64,
    /// The digest of scope, name, mode and policies: `sha256:` and lower-case hex.
    #[schemars(length(max = 128), regex(pattern = bounds::POLICY_DIGEST))]
    pub digest: String,
    /// Its `mode`.
    pub mode: PolicyMode,
    /// Its `policies`.
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policies: Vec<Policy>,
    /// Its `resources`.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resources: Vec<ResourceClass>,
    /// Its `risk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskThreshold>,
    /// Its `recordFirst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_first: Option<DataClass>,
    /// Its `onStale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stale: Option<OnStale>,
}
