//! The facts that are decided by, fed by whoever watches the cluster.

pub(crate) mod calls;
pub(crate) mod classes;
pub(crate) mod held;
mod intern;
pub(crate) mod maps;
pub(crate) mod store;

pub use store::World;

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_authority::Bundle;
use countersign_core::{DataClass, Grant};
use countersign_policy::PolicySet;
use countersign_statement::{Digest, TrustedKeys};
use jiff::{SignedDuration, Timestamp};

use crate::signals::OwnerNames;

/// An AgentIdentity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityFacts {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Its trust domain.
    pub trust_domain: String,
    /// Its AgentOwner's name.
    pub owner: String,
    /// `<resource>.<group>/<name>` of its task.
    pub task: String,
    /// The user who asked for it.
    pub requester: Option<String>,
    /// What it was granted.
    pub grants: Vec<Grant>,
    /// What it claims.
    pub attributes: BTreeMap<String, String>,
    /// May it act?
    pub state: IdentityState,
    /// Its current certificate; none is good without one, unless they are issued in its pods.
    pub certificate: Option<CurrentCertificate>,
    /// Its certificates are issued in its pods and recorded nowhere: each that its trust domain
    /// signed counts.
    pub in_pods: Option<InPods>,
    /// When it ends at the latest.
    pub deadline: Option<Timestamp>,
}

/// The certificate that was issued last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CurrentCertificate {
    /// Lower-case hex.
    pub serial_number: String,
    /// Its end.
    pub not_after: Timestamp,
}

/// Which of the certificates that pods hold count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct InPods {
    /// May its pods get one now? Who vouches for the agent without showing one needs that.
    pub issuable: bool,
    /// Those that were issued then or later: the agent was suspended until then.
    pub issued_since: Option<Timestamp>,
}

/// May an identity act?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityState {
    /// It has no certificate yet.
    Pending,
    /// It may.
    Active,
    /// Not for now.
    Suspended,
    /// Not any more.
    Ended,
}

/// An AgentOwner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnerFacts {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `Person`, `BusinessUnit` or `Application`.
    pub kind: String,
    /// Is its `desiredState` Active?
    pub active: bool,
    /// The most that its agents may hold.
    pub grants: Vec<Grant>,
    /// The users who may act as it, such as `alice@example.com`: signals name it by them too.
    pub users: Vec<String>,
}

impl OwnerFacts {
    pub(crate) fn names(&self) -> OwnerNames<'_> {
        OwnerNames {
            name: &self.name,
            users: &self.users,
        }
    }
}

/// A Delegation that was countersigned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HopFacts {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The digest of its statement.
    pub digest: Digest,
    /// The UID of the Delegation above; none at a root.
    pub parent_uid: Option<String>,
    /// The UID of the identity that delegates; none at a root.
    pub delegator_uid: Option<String>,
    /// The UID of the identity that it is delegated to.
    pub delegate_uid: String,
    /// The owner of the chain's root: name and UID.
    pub root_owner: (String, String),
    /// The user who asked for the root.
    pub root_requester: Option<String>,
    /// Is it in force?
    pub state: HopState,
    /// Its end.
    pub expires: Timestamp,
    /// The whole chain, from hop 0 to its own statement.
    pub statements: Vec<String>,
}

/// Is a delegation in force?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopState {
    /// It is.
    Active,
    /// Not for now.
    Suspended,
    /// Not any more, or never was.
    Ended,
}

/// A TrustDomain's public keys, from its published bundle.
#[derive(Debug, Clone)]
pub struct TrustDomainFacts {
    /// Its name.
    pub name: String,
    /// Its X.509 roots.
    pub bundle: Arc<Bundle>,
    /// Its keys for statements.
    pub keys: Arc<TrustedKeys>,
}

/// What ClusterAgentPolicies set beside their policies, merged: the strictest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How sensitive resources are. Of all that match the most sensitive counts; a resource that none
    /// matches is `Restricted`.
    pub resources: Vec<ResourceRule>,
    /// An identity of this risk and more is denied, and suspended; `None`: policies alone judge.
    pub suspend_at: Option<u8>,
    /// It comes back by itself below this; `None`: only by a person.
    pub resume_below: Option<u8>,
    /// An allow of this sensitivity and more is on record before it is answered.
    pub record_first: DataClass,
    /// With facts older than their bound: go on with the agents' certificates as they were until
    /// those end, instead of denying.
    pub stale_until_expiry: bool,
}

/// How sensitive the resources of a pattern are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRule {
    /// As in grants.
    pub pattern: String,
    /// How sensitive they are.
    pub sensitivity: DataClass,
    /// Where their data may be.
    pub residency: Vec<String>,
}

/// How fresh the facts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// They were never complete.
    NotReady,
    /// They are.
    Fresh,
    /// Not known to be for so long.
    Stale(SignedDuration),
}

impl Default for Rules {
    /// Nothing is classified; no threshold; everything of `Confidential` and more is recorded first.
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            suspend_at: None,
            resume_below: None,
            record_first: DataClass::Confidential,
            stale_until_expiry: false,
        }
    }
}

/// Everything that is decided by but signals. Changed by one, asked by many; a change counts for all
/// questions that come after it.
///
/// Deletions deny: of an identity, an owner, a hop or a trust domain at once and for all below it.
pub trait Feed {
    /// An identity that is new or changed.
    fn put_identity(&self, identity: IdentityFacts);
    /// An identity that is gone, by its UID.
    fn remove_identity(&self, uid: &str);
    /// An owner that is new or changed.
    fn put_owner(&self, owner: OwnerFacts);
    /// An owner that is gone, by name.
    fn remove_owner(&self, name: &str);
    /// A delegation that is new or changed.
    fn put_hop(&self, hop: HopFacts);
    /// A delegation that is gone, by its UID.
    fn remove_hop(&self, uid: &str);
    /// A trust domain that is new or changed.
    fn put_trust_domain(&self, trust_domain: TrustDomainFacts);
    /// A trust domain that is gone.
    fn remove_trust_domain(&self, name: &str);
    /// All policies.
    fn set_policies(&self, policies: Arc<PolicySet>);
    /// What is set beside them.
    fn set_rules(&self, rules: Rules);
    /// How fresh all of it is.
    fn set_freshness(&self, freshness: Freshness);
    /// A certificate that was revoked, by its serial number in lower-case hex, until its end.
    fn revoke_serial(&self, serial_number: &str, until: Timestamp);
    /// A statement that was revoked, until its end.
    fn revoke_statement(&self, digest: Digest, until: Timestamp);
}
