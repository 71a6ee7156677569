//! ClusterAgentPolicy: what counts for all agents, and for what they act upon.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent_policy::{Policy, PolicyMode};
use crate::agent_policy_status::ClusterAgentPolicyStatus;
use crate::agent_policy_test::PolicyTest;
use crate::grant::DataClass;
use crate::{bounds, schema};

/// Policies in Cedar about all agents, and what is set beside them. Of what several objects set, the
/// strictest counts.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "ClusterAgentPolicy",
    plural = "clusteragentpolicies",
    singular = "clusteragentpolicy",
    shortname = "cagpol",
    category = "countersign",
    status = "ClusterAgentPolicyStatus",
    derive = "PartialEq",
    doc = "ClusterAgentPolicy permits and forbids, in Cedar, what any agent asks for, and says how sensitive resources are, at which risk an agent is suspended, and what must be on record before it is allowed. It permits nothing beyond what owner, identity and delegations grant. A change takes effect when all of it compiles and its tests pass; until then what was before stays in effect.",
    selectable = ".spec.mode",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        description = "Whether it decides"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "The policies as they are written count, as their mode says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "How they count, or why they don't"
    ),
    printcolumn(
        name = "SuspendAt",
        type_ = "integer",
        json_path = ".spec.risk.suspendAt",
        description = "The risk at which an agent is suspended"
    ),
    printcolumn(
        name = "InEffect",
        type_ = "integer",
        priority = 1,
        json_path = ".status.inEffect.generation",
        description = "The generation that counts"
    ),
    printcolumn(
        name = "Digest",
        type_ = "string",
        priority = 1,
        json_path = ".status.inEffect.digest",
        description = "The digest of what counts"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Since when the object exists"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.policies.map(policy, bytes(policy.cedar).size()).sum() <= 262144")
        .message("all `cedar` together must not have more than 262144 bytes: make two objects of it")
        .field_path(".policies"),
    validation = Rule::new("self.resources.map(resource, bytes(resource.pattern).size()).sum() <= 65536")
        .message("all `pattern` together must not have more than 65536 bytes: make two objects of it")
        .field_path(".resources")
)]
pub struct ClusterAgentPolicySpec {
    /// Whether it decides. `Enforce`: it does. `Audit`: what its policies would have denied is told
    /// with each answer and changes none, and nothing else in it counts. `Disabled`: it is checked,
    /// and no more. Default: Enforce. May be changed.
    #[serde(default)]
    pub mode: PolicyMode,
    /// The policies. Default: empty. May be changed.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub policies: Vec<Policy>,
    /// What must hold of these policies alone, before they take effect. Default: empty. May be
    /// changed.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tests: Vec<PolicyTest>,
    /// How sensitive resources are, and where their data may be. Of all patterns that match, also
    /// those of other objects, the most sensitive counts; what none matches is Restricted. Default:
    /// empty. May be changed.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["pattern".into()]))]
    pub resources: Vec<ResourceClass>,
    /// At which risk an agent is suspended: its certificate goes too. Of several objects the lowest
    /// counts. Default: absent, at none. May be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskThreshold>,
    /// What is allowed on resources that are so sensitive, or more, is on record before it is
    /// answered; the rest a moment later. Of several objects the least sensitive counts. Default:
    /// absent, Confidential unless another object says otherwise. May be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_first: Option<DataClass>,
    /// What a decision point does that doesn't know whether what it knows is still so. `Deny`: it
    /// denies. `UntilCertificatesExpire`: it goes on with each agent until the end of the certificate
    /// that it knows of. Of several objects Deny counts. Default: absent, Deny unless another object
    /// says otherwise. May be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stale: Option<OnStale>,
}

/// How sensitive resources are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceClass {
    /// Which resources, as in grants: `*` stands for one segment, and as the last segment for one or
    /// more.
    #[schemars(length(min = 1, max = 256), regex(pattern = bounds::RESOURCE))]
    pub pattern: String,
    /// How sensitive they are: `Public`, `Internal`, `Confidential` or `Restricted`.
    pub sensitivity: DataClass,
    /// Where their data may be, such as `eu`: policies see it as `resource.residency`. Default:
    /// empty, not said.
    #[serde(default)]
    #[schemars(
        length(max = 4),
        inner(length(min = 1, max = 32), regex(pattern = bounds::REGION))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub residency: Vec<String>,
}

/// When risk suspends an agent, and when it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.resumeBelow) || self.resumeBelow <= self.suspendAt")
    .message("must not be more than `suspendAt`")
    .field_path(".resumeBelow"))]
pub struct RiskThreshold {
    /// An agent of this risk or more is denied everything, and suspended: 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub suspend_at: i64,
    /// It comes back by itself when its risk is less than this: 1 to 99, and at most `suspendAt`.
    /// Default: absent, only a person brings it back, by `desiredState` Suspended and then Active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub resume_below: Option<i64>,
}

/// What is done with facts that may be old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum OnStale {
    /// Everything is denied.
    Deny,
    /// Each agent goes on until the end of the certificate that is known of it.
    UntilCertificatesExpire,
}
