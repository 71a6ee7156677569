//! AgentPolicy: what the agents of one namespace may do, and what not.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent_policy_status::AgentPolicyStatus;
use crate::agent_policy_test::PolicyTest;
use crate::{bounds, schema};

/// Policies in Cedar about the agents of this namespace.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "AgentPolicy",
    plural = "agentpolicies",
    singular = "agentpolicy",
    shortname = "agpol",
    category = "countersign",
    namespaced,
    status = "AgentPolicyStatus",
    derive = "PartialEq",
    doc = "AgentPolicy permits and forbids, in Cedar, what the agents of its namespace ask for: those and no others, and never more than owner, identity and delegations grant. What is neither permitted nor forbidden is denied. A change takes effect when all of it compiles and its tests pass; until then what was before stays in effect.",
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
    validation = Rule::new("self.tests.all(test, !has(test.request.principal.namespace))")
        .message("`request.principal.namespace` must not be set: it is always the namespace of the object")
        .field_path(".tests")
)]
pub struct AgentPolicySpec {
    /// Whether it decides. `Enforce`: it does. `Audit`: what it would have denied is told with each
    /// answer and changes none. `Disabled`: it is checked, and no more. Default: Enforce. May be
    /// changed.
    #[serde(default)]
    pub mode: PolicyMode,
    /// The policies. May be changed.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub policies: Vec<Policy>,
    /// What must hold of these policies alone, before they take effect. Default: empty. May be
    /// changed.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tests: Vec<PolicyTest>,
}

/// Does a set of policies decide?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum PolicyMode {
    /// It does.
    #[default]
    Enforce,
    /// It is logged what it would have decided.
    Audit,
    /// It is checked, and no more.
    Disabled,
}

/// One policy: one `permit` or one `forbid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Its name within the object: a DNS label. Decisions name it
    /// `<namespace>/<object>/<id>`, or `cluster/<object>/<id>`.
    #[schemars(length(min = 1, max = bounds::MAX_LABEL), regex(pattern = bounds::DNS_LABEL))]
    pub id: String,
    /// What it is for, for people. Default: absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// The policy in Cedar (<https://docs.cedarpolicy.com/policies/syntax-policy.html>): exactly one
    /// `permit` or `forbid`, no template, and nothing but what the schema of Countersign has. At
    /// most 10240 bytes.
    #[schemars(length(min = 1, max = bounds::MAX_POLICY))]
    pub cedar: String,
    /// What whoever asked must do along with the answer when this policy decided it; who doesn't
    /// know how must deny. Default: empty.
    #[serde(default)]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub obligations: Vec<PolicyObligation>,
}

/// What must be done along with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyObligation {
    /// What it is, such as `step-up`, `notification` or `session_termination`, as the AuthZEN profile
    /// of obligations has them.
    #[serde(rename = "type")]
    #[schemars(
        length(min = 1, max = bounds::MAX_LABEL),
        regex(pattern = bounds::OBLIGATION_TYPE)
    )]
    pub type_: String,
    /// Its properties, such as `acr_value` of a `step-up`. Keys have 1 to 63 characters. Default:
    /// empty.
    #[serde(default)]
    #[schemars(schema_with = "schema::attributes")]
    pub properties: std::collections::BTreeMap<String, String>,
}
