//! The API of Countersign: its kinds, the admission policies that guard them, and the manifests of
//! both.
//!
//! ```text
//!  a file for each kind ──derive──▶ crds() ──────┐
//!      schema.rs, bounds.rs ─────────▲           ├─▶ manifests() ──▶ crds/*.yaml
//!                      admission::policies() ────┘
//!                      admission::Shipped ──▶ is what a cluster has what was shipped?
//! ```
//!
//! A field's documentation is what `kubectl explain` shows: it says the unit, the default and what
//! can't be changed. Every string, list, map and number is bounded.
//!
//! What it must not do: talk to an API server, or decide anything. What an object means is the
//! controller's.

#![allow(
    unreachable_pub,
    reason = "KubeSchema derives a second struct of each, with the visibility of the first"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "columns of one type and rules of one form are no duplicates"
)]

pub mod admission;
mod agent_identity;
mod agent_identity_status;
mod agent_owner;
mod agent_policy;
mod agent_policy_status;
mod agent_policy_test;
mod bounds;
mod closed;
mod cluster_agent_policy;
mod crds;
mod credential;
mod delegation;
mod delegation_status;
mod domain;
mod grant;
mod immutable;
mod manifests;
mod reference;
mod requester;
mod schema;
mod task_kind;
mod trust_domain;

pub use agent_identity::{AgentIdentity, AgentIdentitySpec, DesiredState};
pub use agent_identity_status::{
    AgentIdentityStatus, CertificateStatus, RiskState, RiskStatus, SecretStatus, TaskOutcome,
    TaskStatus,
};
pub use agent_owner::{
    AgentOwner, AgentOwnerSpec, AgentOwnerStatus, OwnerState, OwnerType, Subject, SubjectKind,
};
pub use agent_policy::{AgentPolicy, AgentPolicySpec, Policy, PolicyMode, PolicyObligation};
pub use agent_policy_status::{
    AgentPolicyStatus, ClusterAgentPolicyStatus, ClusterPoliciesInEffect, PoliciesInEffect,
};
pub use agent_policy_test::{
    CallEffect, PolicyTest, TestContext, TestDecision, TestExpectation, TestPrincipal, TestRequest,
    TestResource,
};
pub use cluster_agent_policy::{
    ClusterAgentPolicy, ClusterAgentPolicySpec, OnStale, ResourceClass, RiskThreshold,
};
pub use crds::crds;
pub use credential::{
    CredentialSpec, Delivery, KeyAlgorithm, RequestDelivery, SecretDelivery, WorkloadDelivery,
    WorkloadPods,
};
pub use delegation::{
    ACCEPT_DELEGATIONS_LABEL, Delegation, DelegationSpec, DelegationState, Delegator,
};
pub use delegation_status::{
    DelegateStatus, DelegationReference, DelegationStatus, DelegatorStatus, RootOwner,
    RootRequester, RootStatus,
};
pub use domain::{class_to_domain, of_domain, to_domain};
pub use grant::{Constraints, DataClass, Grant};
pub use manifests::manifests;
pub use reference::{NamespacedReference, Reference, TaskReference};
pub use requester::{MAX_GROUP_LENGTH, MAX_GROUPS, Requester};
pub use task_kind::{TaskKind, TaskKindSpec, TaskKindStatus};
pub use trust_domain::{
    AuthoritySpec, AuthorityStatus, BuiltInAuthority, SigningKeyPurpose, SigningKeyStatus,
    SlotState, TrustDomain, TrustDomainSpec, TrustDomainStatus,
};

/// The API group of all kinds.
pub const GROUP: &str = "countersign.dev";
