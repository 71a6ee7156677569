//! AgentIdentity: the identity of an agent for as long as one task.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent_identity_status::AgentIdentityStatus;
use crate::credential::CredentialSpec;
use crate::grant::Grant;
use crate::reference::{Reference, TaskReference};
use crate::requester::Requester;
use crate::{bounds, immutable, schema};

/// What the agent is to have. Immutable but for `desiredState`, `credential.certificateTTLSeconds`
/// and `ttlSecondsAfterFinished`.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "AgentIdentity",
    plural = "agentidentities",
    singular = "agentidentity",
    shortname = "agid",
    category = "countersign",
    namespaced,
    status = "AgentIdentityStatus",
    derive = "PartialEq",
    doc = "AgentIdentity is an identity that an agent has for as long as one task: a short-lived mTLS certificate, bound to the agent, its accountable owner and its task. When the task is over, the credential is gone.",
    selectable = ".spec.ownerRef.name",
    selectable = ".spec.taskRef.name",
    selectable = ".spec.trustDomainRef.name",
    selectable = ".spec.desiredState",
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.ownerRef.name", description = "Who answers for the agent"),
    printcolumn(name = "Task", type_ = "string", json_path = ".spec.taskRef.name", description = "The task it lives for"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "The certificate is good; empty when completed or suspended"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.conditions[?(@.status==\"True\")].type", description = "The first condition that is true: Ready, Completed, Stalled, Reconciling or Suspended"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.certificate.notAfter", description = "When the certificate ends"),
    printcolumn(name = "Reason", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.status==\"True\")].reason", description = "Why it is in this state"),
    printcolumn(name = "TrustDomain", type_ = "string", priority = 1, json_path = ".spec.trustDomainRef.name", description = "The trust domain"),
    printcolumn(name = "SPIFFE-ID", type_ = "string", priority = 1, json_path = ".status.spiffeID", description = "The SPIFFE ID"),
    printcolumn(name = "Serial", type_ = "string", priority = 1, json_path = ".status.certificate.serialNumber", description = "The certificate's serial number"),
    printcolumn(name = "Renewal", type_ = "string", priority = 1, json_path = ".status.certificate.renewalTime", description = "When the certificate is renewed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    validation = Rule::new("self.spec.credential.delivery != 'Secret' || has(self.spec.credential.secret) || self.metadata.name.size() <= 244")
        .message("`metadata.name` must not be longer than 244 characters unless `spec.credential.secret.name` is set: the Secret is named <name>-identity")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = immutable::always_there("trustDomainRef"),
    validation = immutable::always_there("ownerRef"),
    validation = immutable::always_there("taskRef"),
    validation = immutable::always_there("grants"),
    validation = immutable::always_there("attributes"),
    validation = immutable::optional("activeDeadlineSeconds"),
    validation = immutable::once_there("requester"),
    validation = Rule::new("oldSelf.desiredState != 'Revoked' || self.desiredState == 'Revoked'")
        .message("must not be changed: Revoked is for good; delete the object and create another")
        .field_path(".desiredState")
        .reason(Reason::FieldValueForbidden)
)]
pub struct AgentIdentitySpec {
    /// The trust domain that the identity is part of. Immutable.
    pub trust_domain_ref: Reference,
    /// The AgentOwner who answers for the agent. The requester must be one of its subjects, or hold
    /// the verb `bind` on `agentowners/<name>`. Immutable.
    pub owner_ref: Reference,
    /// The task that the identity lives for, in the same namespace. The requester must be allowed
    /// to update it. Immutable.
    pub task_ref: TaskReference,
    /// What the agent may do: within the owner's grants and no less constrained than those, or the
    /// identity is Stalled. Default: empty, nothing. Immutable.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub grants: Vec<Grant>,
    /// What is claimed of the agent, for policies and logs: never a fact. Keys have 1 to 63
    /// characters. Default: empty. Immutable.
    #[serde(default)]
    #[schemars(schema_with = "schema::attributes")]
    pub attributes: BTreeMap<String, String>,
    /// What the agent is given, and how. Default: a Secret named `<name>-identity`.
    #[serde(default)]
    pub credential: CredentialSpec,
    /// How long the identity lives at most, in seconds from its first certificate on, task or no
    /// task. Default: absent, the trust domain's `maxIdentityLifetimeSeconds`, which is its cap
    /// too. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = bounds::YEAR_SECONDS))]
    pub active_deadline_seconds: Option<i64>,
    /// How long this object stays after its end, in seconds. Default: absent, it stays. A GitOps
    /// tool would make it again: leave it absent there. May be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::YEAR_SECONDS))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// What is wanted now. `Suspended`: the credential is taken away until it is `Active` again,
    /// which takes the requester or the verb `bind` on the owner. `Revoked`: it is taken away for
    /// good. Default: Active. May be changed.
    #[serde(default)]
    pub desired_state: DesiredState,
    /// Who created the identity. Stamped at admission, whatever was written; leave it out.
    /// Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Requester>,
}

/// What is wanted of an identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum DesiredState {
    /// It has a credential while its task runs.
    #[default]
    Active,
    /// It has none for now.
    Suspended,
    /// It has none any more.
    Revoked,
}
