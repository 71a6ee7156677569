//! Delegation: a part of what one has, handed on.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delegation_status::DelegationStatus;
use crate::grant::Grant;
use crate::reference::{NamespacedReference, Reference};
use crate::requester::Requester;
use crate::{bounds, immutable, schema};

/// A namespace with this label, and `true` as its value, lets agents of other namespaces delegate
/// to its own.
pub const ACCEPT_DELEGATIONS_LABEL: &str = "countersign.dev/accept-delegations";

/// Who hands what on to whom, and until when. Immutable but for `desiredState`.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "Delegation",
    plural = "delegations",
    singular = "delegation",
    shortname = "deleg",
    category = "countersign",
    namespaced,
    status = "DelegationStatus",
    derive = "PartialEq",
    doc = "Delegation hands a part of what an owner or an agent may do on to an agent. A root comes from an AgentOwner and is in the namespace of its delegate; a hop comes from an agent and is in that agent's namespace. The trust domain countersigns it; it ends with its parent, and with either agent's task.",
    selectable = ".spec.from.owner.name",
    selectable = ".spec.from.agent.name",
    selectable = ".spec.to.name",
    selectable = ".spec.parentRef.name",
    selectable = ".spec.desiredState",
    printcolumn(name = "From", type_ = "string", json_path = ".spec.from.*.name", description = "Who delegates: an owner at depth 1, an agent below"),
    printcolumn(name = "To", type_ = "string", json_path = ".spec.to.name", description = "The agent that gets it"),
    printcolumn(name = "Depth", type_ = "integer", json_path = ".status.depth", description = "How many delegations lead here, this one included"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "It is countersigned and in force; empty when completed or suspended"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.conditions[?(@.status==\"True\")].type", description = "The first condition that is true: Ready, Completed, Stalled, Reconciling or Suspended"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expirationTime", description = "When it ends at the latest"),
    printcolumn(name = "Root", type_ = "string", json_path = ".status.root.owner.name", description = "The owner whom it all comes from"),
    printcolumn(name = "Reason", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.status==\"True\")].reason", description = "Why it is in this state"),
    printcolumn(name = "Parent", type_ = "string", priority = 1, json_path = ".spec.parentRef.name", description = "The delegation above"),
    printcolumn(name = "Requester", type_ = "string", priority = 1, json_path = ".spec.requester.username", description = "Who created it"),
    printcolumn(name = "Digest", type_ = "string", priority = 1, json_path = ".status.digest", description = "The digest of its statement"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    validation = Rule::new("!has(self.spec.parentRef) || has(self.spec.parentRef.namespace) || self.spec.parentRef.name != self.metadata.name")
        .message("must not be the delegation itself")
        .field_path(".spec.parentRef.name")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = immutable::always_there("from"),
    validation = immutable::always_there("to"),
    validation = immutable::optional("parentRef"),
    validation = immutable::always_there("grants"),
    validation = immutable::always_there("expiresAfterSeconds"),
    validation = immutable::always_there("maxDepth"),
    validation = immutable::optional("statement"),
    validation = immutable::once_there("requester"),
    validation = Rule::new("oldSelf.desiredState != 'Revoked' || self.desiredState == 'Revoked'")
        .message("must not be changed: Revoked is for good; delete the object and create another")
        .field_path(".desiredState")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(self.from.agent) || has(self.parentRef)")
        .message("`parentRef` must be set when `from` is an agent: it is the delegation that the agent holds itself")
        .field_path(".parentRef"),
    validation = Rule::new("!has(self.from.owner) || !has(self.parentRef)")
        .message("`parentRef` must not be set when `from` is an owner: nothing is above a root")
        .field_path(".parentRef"),
    validation = Rule::new("!has(self.from.owner) || !has(self.to.namespace)")
        .message("`to.namespace` must not be set when `from` is an owner: a root is in the namespace of its delegate")
        .field_path(".to.namespace"),
    validation = Rule::new("!has(self.from.owner) || !has(self.statement)")
        .message("`statement` must not be set when `from` is an owner: only agents have keys")
        .field_path(".statement"),
    validation = Rule::new("!has(self.from.agent) || has(self.to.namespace) || self.from.agent.name != self.to.name")
        .message("must not be the delegator itself")
        .field_path(".to.name")
)]
pub struct DelegationSpec {
    /// Who delegates: exactly one of `owner` and `agent`. Immutable.
    pub from: Delegator,
    /// The AgentIdentity that gets it. Its namespace is that of this object unless `namespace` says
    /// otherwise; another one must carry the label `countersign.dev/accept-delegations: "true"`.
    /// Immutable.
    pub to: NamespacedReference,
    /// The Delegation above, whose delegate is the agent that delegates here: required for a hop,
    /// and for it only. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<NamespacedReference>,
    /// What is handed on: within what the delegator holds and no less constrained than that, or the
    /// delegation is Stalled. Immutable.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub grants: Vec<Grant>,
    /// How long it lives at most, in seconds from its creation on. It ends earlier with its parent,
    /// with either agent's task, or after the trust domain's `maxDelegationLifetimeSeconds`.
    /// Default: 900. Immutable.
    #[serde(default = "expires_after_seconds")]
    #[schemars(range(min = 1, max = bounds::YEAR_SECONDS))]
    pub expires_after_seconds: i64,
    /// How many hops there may be below this one: less than the parent's. Default: 0, the delegate
    /// can't hand it on. Immutable.
    #[serde(default)]
    #[schemars(range(min = 0, max = bounds::MAX_DEPTH - 1))]
    pub max_depth: i64,
    /// The delegation as a statement signed by the delegator's own key, with its certificate chain:
    /// a compact JWS (RFC 7515). For a hop only. Default: absent, the trust domain's signature
    /// alone. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 16384), regex(pattern = bounds::COMPACT_JWS))]
    pub statement: Option<String>,
    /// What is wanted now. `Revoked`: it ends, and all below it, for good. Default: Active. May be
    /// changed.
    #[serde(default)]
    pub desired_state: DelegationState,
    /// Who created the delegation: for an owner one of its subjects, or a holder of the verb `bind`
    /// on `agentowners/<name>`; for an agent its owner, or a holder of the verb `delegate` on
    /// `agentidentities/<name>`. Stamped at admission, whatever was written; leave it out.
    /// Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Requester>,
}

/// Who delegates: exactly one of `owner` and `agent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.owner), has(self.agent)].exists_one(it, it)")
    .message("exactly one of `owner` and `agent` must be set"))]
pub struct Delegator {
    /// An AgentOwner: the delegation is a root. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Reference>,
    /// An AgentIdentity in the same namespace: the delegation is a hop below `parentRef`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Reference>,
}

/// What is wanted of a delegation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::undescribed)]
pub enum DelegationState {
    /// It is in force until it expires.
    #[default]
    Active,
    /// It is no more.
    Revoked,
}

fn expires_after_seconds() -> i64 {
    900
}
