//! AgentOwner: who answers for agents.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grant::Grant;
use crate::{bounds, schema};

/// Who the owner is, who may act as it, and the most that its agents may ever hold.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "AgentOwner",
    plural = "agentowners",
    singular = "agentowner",
    shortname = "agown",
    category = "countersign",
    status = "AgentOwnerStatus",
    derive = "PartialEq",
    doc = "AgentOwner is a person, business unit or application that answers for agents. Its grants are the most that its agents may ever hold; when it departs, their identities and delegations end.",
    selectable = ".spec.type",
    selectable = ".spec.desiredState",
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".spec.type",
        description = "What the owner is"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".spec.desiredState",
        description = "Whether its agents may have identities"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Since when the object exists"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AgentOwnerSpec {
    /// What the owner is. May be changed.
    #[serde(rename = "type")]
    pub type_: OwnerType,
    /// Who may make identities and root delegations in the owner's name, as RBAC subjects. Whoever holds the verb `bind`
    /// on `agentowners/<name>` may too. Default: empty. May be changed.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub subjects: Vec<Subject>,
    /// The most that the owner's agents may ever hold: what, on what, and within which constraints,
    /// such as `maxDataClass: Internal`. Default: empty, nothing. May be changed: an identity that
    /// holds more then gets no new certificate.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub grants: Vec<Grant>,
    /// Whether the owner's agents may have identities. `Suspended`: they are taken away for now.
    /// `Departed`: they end. Default: Active. May be changed.
    #[serde(default)]
    pub desired_state: OwnerState,
}

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum OwnerType {
    /// A human.
    Person,
    /// A part of an organisation.
    BusinessUnit,
    /// A program that makes agents.
    Application,
}

/// Whether an owner's agents may have identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum OwnerState {
    /// They may.
    #[default]
    Active,
    /// Not for now.
    Suspended,
    /// Not any more.
    Departed,
}

/// Who may act as an owner: an RBAC subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.kind != 'Group' || !self.name.startsWith('system:')")
        .message("must not be a `system:` group: those hold everybody, or Kubernetes itself")
        .field_path(".name"),
    validation = Rule::new("self.kind != 'User' || self.name != 'system:anonymous'")
        .message("must not be system:anonymous: that is everybody")
        .field_path(".name"),
    validation = Rule::new("(self.kind == 'ServiceAccount') == has(self.namespace)")
        .message("`namespace` must be set for a ServiceAccount, and for it only")
)]
pub struct Subject {
    /// What it is: a `User`, everybody in a `Group`, or a `ServiceAccount`.
    pub kind: SubjectKind,
    /// The name of the user, the group or the service account. No `system:` group.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The namespace of the service account: for kind `ServiceAccount`, and for it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_LABEL), regex(pattern = bounds::DNS_LABEL))]
    pub namespace: Option<String>,
}

/// The kinds of RBAC subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum SubjectKind {
    /// A user by name.
    User,
    /// Everybody in a group.
    Group,
    /// A service account.
    ServiceAccount,
}

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentOwnerStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// `Ready`: the operator has taken the owner in.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
