//! What is known of an identity.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{bounds, schema};

/// What the operator found and did, and what the decision point found of its risk. Default: `Ready` is Unknown, since nobody has looked at it yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentityStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// The SPIFFE ID in the certificate, or in those that its pods may have, made of facts of the API
    /// server only:
    /// `spiffe://<trust domain>/ns/<namespace>/agent/<name>/task/<task UID>/<identity UID>`.
    #[serde(default, rename = "spiffeID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub spiffe_id: Option<String>,
    /// The task that was found, and how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskStatus>,
    /// When the first certificate was issued, or could be to its pods: `activeDeadlineSeconds` counts
    /// from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub first_issue_time: Option<Time>,
    /// When the identity ends at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub deadline_time: Option<Time>,
    /// When the identity was last resumed, to the second: certificates in its pods that were issued
    /// before don't count any more. For delivery `Workload` only; absent: it was never suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub resumed_time: Option<Time>,
    /// The Secret that holds the credential, as the operator wrote it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretStatus>,
    /// The certificate that was issued last. Absent once it is taken away, and for delivery
    /// `Workload`, where nothing is written when one is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateStatus>,
    /// The agent's risk, as the decision point wrote it last: when it rose to the threshold, and
    /// when it came back. Absent: it never rose so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskStatus>,
    /// `Ready`: the task runs and the certificate is good, or its pods may have one; removed when the
    /// identity is completed or suspended. `Completed`: it is over, and why. `Stalled`: refused until
    /// a person acts. `Reconciling`: something is awaited. `Suspended`: the credential is taken away
    /// for now.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// The task of an identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// The task's UID, kept from the first certificate on: another task of the same name doesn't
    /// count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: Option<String>,
    /// What became of the task. Anything but Running is kept for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<TaskOutcome>,
    /// When the operator saw the task's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub finished_time: Option<Time>,
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum TaskOutcome {
    /// It isn't over.
    Running,
    /// It is over, and well.
    Succeeded,
    /// It is over, and not well.
    Failed,
    /// It was deleted, or is about to be.
    Deleted,
    /// Another task has its name.
    Replaced,
    /// The identity's deadline came first.
    DeadlineExceeded,
}

/// What an agent's risk came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RiskStatus {
    /// Whether the risk suspends the identity. `Suspended`: its credential is taken away until it is
    /// `Normal` again.
    pub state: RiskState,
    /// The risk, from 0 to 100: the worst signal, faded.
    #[schemars(range(min = 0, max = 100))]
    pub score: i64,
    /// How far the agent is from its own behaviour, from 0 to 100.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub anomaly: i64,
    /// What it is made of: kinds of signals, the worst first, such as
    /// `caep/risk-level-change, behaviour/rate`; or who brought it back.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// When that was.
    #[schemars(schema_with = "schema::time")]
    pub observed_time: Time,
}

/// Does its risk suspend an identity?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum RiskState {
    /// It doesn't.
    Normal,
    /// It does.
    Suspended,
}

/// The Secret of an identity, as written last: whatever differs was written by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// The Secret's name.
    #[schemars(length(max = bounds::MAX_NAME))]
    pub name: String,
    /// The Secret's UID.
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: String,
    /// The Secret's resourceVersion.
    #[schemars(length(max = 64))]
    pub resource_version: String,
    /// The sequence number of the trust domain's bundle in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub bundle_sequence: Option<i64>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// The serial number: lower-case hex without separators.
    #[schemars(length(max = 64), regex(pattern = bounds::HEX))]
    pub serial_number: String,
    /// From when on it is valid.
    #[schemars(schema_with = "schema::time")]
    pub not_before: Time,
    /// Until when it is valid.
    #[schemars(schema_with = "schema::time")]
    pub not_after: Time,
    /// When it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub renewal_time: Option<Time>,
    /// SHA-256 of its public key (the DER of SubjectPublicKeyInfo): lower-case hex.
    #[serde(rename = "publicKeySHA256")]
    #[schemars(length(max = 64), regex(pattern = bounds::HEX))]
    pub public_key_sha256: String,
    /// The authority that signed it, by its id in the trust domain's `status.authorities`.
    #[serde(rename = "authorityID")]
    #[schemars(length(max = 128))]
    pub authority_id: String,
    /// The certificate and its intermediates as PEM, for delivery `Request`. No secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub chain: Option<String>,
}
