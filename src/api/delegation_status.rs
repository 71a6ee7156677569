//! What is known of a delegation.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::grant::Grant;
use crate::{bounds, schema};

/// What the operator found and did. Default: `Ready` is Unknown, since nobody has looked at it yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegationStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// How many delegations lead from the owner here, this one included: 1 for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = bounds::MAX_DEPTH))]
    pub depth: Option<i64>,
    /// Where it all comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootStatus>,
    /// Who delegates, kept from the first look on: another object of the same name doesn't count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegator: Option<DelegatorStatus>,
    /// Who gets it, kept from the first look on: another object of the same name doesn't count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<DelegateStatus>,
    /// The delegation above, kept from the first look on: another object of the same name doesn't
    /// count. Absent at a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<DelegationReference>,
    /// What is in effect: the delegation's grants within all that is above them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub grants: Vec<Grant>,
    /// When it was countersigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub issue_time: Option<Time>,
    /// When it ends at the latest: the least of its own life, its parent's end, the agents'
    /// deadlines and what the trust domain allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expiration_time: Option<Time>,
    /// The digest of its statement, by which the statements below it and the lists of what is
    /// revoked name it: SHA-256 in base64url without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 43), regex(pattern = bounds::DIGEST))]
    pub digest: Option<String>,
    /// Its statement, countersigned by the trust domain: a compact JWS (RFC 7515). No secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::MAX_STATEMENT), regex(pattern = bounds::COMPACT_JWS))]
    pub statement: Option<String>,
    /// The statements before it, from the owner's grants on: with `statement` they are the whole
    /// chain, which verifies without the API server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::statements")]
    pub ancestors: Vec<String>,
    /// When the operator saw its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub finished_time: Option<Time>,
    /// `Ready`: it is countersigned and in force; removed when it is completed or suspended.
    /// `Completed`: it is over, and why. `Stalled`: refused until a person acts. `Reconciling`:
    /// something is awaited. `Suspended`: not in force for now, as something above isn't.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Where a chain of delegations comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootStatus {
    /// The root delegation.
    pub delegation: DelegationReference,
    /// The owner who delegates there.
    pub owner: RootOwner,
    /// The authenticated user who created the root delegation. Absent when it carries no stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<RootRequester>,
}

/// An AgentOwner, by the one object that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootOwner {
    /// The AgentOwner's name.
    #[schemars(length(max = bounds::MAX_NAME))]
    pub name: String,
    /// The AgentOwner's UID.
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: String,
}

/// A user, without the groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootRequester {
    /// The user's name.
    #[schemars(length(max = 1024))]
    pub username: String,
    /// The user's UID. Absent when the authenticator gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: Option<String>,
}

/// A Delegation, by the one object that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegationReference {
    /// The Delegation's namespace.
    #[schemars(length(max = bounds::MAX_LABEL))]
    pub namespace: String,
    /// The Delegation's name.
    #[schemars(length(max = bounds::MAX_NAME))]
    pub name: String,
    /// The Delegation's UID.
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: String,
}

/// Who delegates: an AgentOwner, or an AgentIdentity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegatorStatus {
    /// The AgentIdentity's namespace. Absent for an AgentOwner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::MAX_LABEL))]
    pub namespace: Option<String>,
    /// The object's name.
    #[schemars(length(max = bounds::MAX_NAME))]
    pub name: String,
    /// The object's UID.
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: String,
    /// The agent's SPIFFE ID. Absent for an AgentOwner.
    #[serde(default, rename = "spiffeID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub spiffe_id: Option<String>,
}

/// Who gets it: an AgentIdentity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegateStatus {
    /// The AgentIdentity's namespace.
    #[schemars(length(max = bounds::MAX_LABEL))]
    pub namespace: String,
    /// The AgentIdentity's name.
    #[schemars(length(max = bounds::MAX_NAME))]
    pub name: String,
    /// The AgentIdentity's UID.
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: String,
    /// The agent's SPIFFE ID. Absent until its task is known.
    #[serde(default, rename = "spiffeID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub spiffe_id: Option<String>,
}
