//! What a pass sees: everything that decides about one delegation, at one moment.

use std::sync::Arc;

use countersign_core::{Grant, Requester, TrustDomainName};
use countersign_statement::agent::Request;
use countersign_statement::{Chain, Digest, Task};
use jiff::Timestamp;

use crate::identity::{Admits, OwnerState, Refusal};
use crate::retired::Before;

/// A complete look at one delegation. [`plan`](super::plan::plan) is a function of this and nothing
/// else.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The moment of the look.
    pub(crate) now: Timestamp,
    /// What its object asks for.
    pub(crate) delegation: Delegation,
    /// What its status says.
    pub(crate) recorded: Recorded,
    /// Who hands on.
    pub(crate) delegator: DelegatorSeen,
    /// Who is given.
    pub(crate) delegate: AgentSeen,
    /// What is handed on: nothing is asked of it at a root.
    pub(crate) parent: ParentSeen,
    /// The delegate's namespace takes delegations from this one.
    pub(crate) accepted: bool,
    /// May the requester delegate here? Not asked once it was granted: what was allowed then stays.
    pub(crate) admits: Admits,
    /// Can the delegate's trust domain countersign?
    pub(crate) domain: DomainSeen,
    /// What the delegator signed itself, verified; `None` where it signed nothing, or where that was
    /// countersigned and stays: its certificate and the root of that are of those days.
    pub(crate) signed: Option<Result<Signed, String>>,
    /// Why nobody gets anything at present.
    pub(crate) closed: Option<Refusal>,
    /// What the audit log says: an older state of the cluster may show what has ended.
    pub(crate) before: Before,
    /// This machine's clock and the API server's disagree.
    pub(crate) clock_off: bool,
}

/// The spec and the metadata that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delegation {
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) generation: i64,
    pub(crate) created: Timestamp,
    /// It has a deletionTimestamp.
    pub(crate) deleting: bool,
    pub(crate) from: From,
    pub(crate) to: ObjectName,
    pub(crate) parent: Option<ObjectName>,
    pub(crate) grants: Vec<Grant>,
    /// One of them has a constraint that isn't known here, as a newer version may have stored it.
    pub(crate) unknown_constraint: bool,
    pub(crate) expires_after_seconds: u64,
    /// Hops allowed below this one.
    pub(crate) max_depth: u8,
    pub(crate) statement: Option<String>,
    pub(crate) revoked: bool,
    pub(crate) requester: Option<Requester>,
}

/// Who hands on, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Owner(String),
    /// An agent of the delegation's own namespace.
    Agent(String),
}

/// A namespaced object by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ObjectName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What the status holds: the memory between passes, and across restarts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Recorded {
    /// UIDs as first seen: another object under the same name doesn't count.
    pub(crate) delegator: Option<String>,
    pub(crate) delegate: Option<String>,
    pub(crate) parent: Option<String>,
    /// The chain that status holds, this hop's statement last, as it is there.
    pub(crate) statements: Vec<String>,
    /// The same, if it verifies now.
    pub(crate) chain: Option<Arc<Chain>>,
    /// A statement was countersigned, whether or not it verifies now.
    pub(crate) granted: bool,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) digest: Option<Digest>,
    pub(crate) issued: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    /// The effective grants, depth and root as they were shown.
    pub(crate) shown: Shown,
    /// It is over for good: the reason and message of the condition `Completed`.
    pub(crate) completed: Option<(String, String)>,
}

/// What status shows of the chain.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Shown {
    pub(crate) depth: Option<u8>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) root: Option<Root>,
    /// SPIFFE IDs.
    pub(crate) delegator: Option<String>,
    pub(crate) delegate: Option<String>,
}

/// The first authorisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) delegation: ObjectName,
    pub(crate) uid: String,
    pub(crate) owner: String,
    pub(crate) owner_uid: String,
    pub(crate) requester: Option<String>,
}

/// Who hands on, as seen.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "lives for a moment on the stack")]
pub(crate) enum DelegatorSeen {
    Owner(OwnerSeen),
    Agent(AgentSeen),
}

/// The owner of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnerSeen {
    /// There is none. Asked of the API server itself when one had been latched.
    Missing,
    Found {
        uid: String,
        state: OwnerState,
        grants: Vec<Grant>,
    },
}

/// An agent's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "lives for a moment on the stack")]
pub(crate) enum AgentSeen {
    /// There is none. Asked of the API server itself when one had been latched.
    Missing,
    Found(Agent),
}

/// What counts of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) uid: String,
    pub(crate) life: Life,
    pub(crate) trust_domain: String,
    pub(crate) owner: String,
    pub(crate) grants: Vec<Grant>,
    /// When it ends at the latest.
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) task: Option<Task>,
}

/// Where an identity stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// It has no SPIFFE ID yet.
    Waiting,
    Live {
        spiffe_id: String,
    },
    /// It is suspended for now.
    Suspended {
        spiffe_id: Option<String>,
    },
    /// It is over, and why.
    Over(String),
}

/// The delegation that is handed on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ParentSeen {
    /// A root has none.
    None,
    /// It gives to another agent than the delegator: nothing else of it is told.
    Stranger,
    /// There is none. Asked of the API server itself when one had been latched.
    Missing,
    Found(Box<Parent>),
}

/// What counts of a parent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parent {
    pub(crate) uid: String,
    /// UID of the identity that it gives to.
    pub(crate) delegate: Option<String>,
    pub(crate) standing: Standing,
    /// Its verified chain.
    pub(crate) chain: Option<Arc<Chain>>,
    pub(crate) root: Option<Root>,
}

/// Where a delegation stands, with all above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is countersigned and everything it rests on is alive.
    Good,
    /// It isn't countersigned yet.
    Waiting,
    /// Something that may be mended stands against it.
    Held(String),
    /// Suspended for now: an agent of it, or its owner.
    Suspended(String),
    /// It is over, and why.
    Over(String),
}

/// The trust domain of the delegate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainSeen {
    pub(crate) name: Option<TrustDomainName>,
    pub(crate) max_lifetime_seconds: u64,
    /// Can it countersign? `Err` says why not.
    pub(crate) ready: Result<(), Refusal>,
}

/// What a delegator signed itself, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) request: Request,
    /// The certificate that it was signed with is revoked.
    pub(crate) revoked: bool,
}

impl Observed {
    /// The chain that is handed on.
    pub(crate) fn parent_chain(&self) -> Option<&Chain> {
        match &self.parent {
            ParentSeen::Found(parent) => parent.chain.as_deref(),
            ParentSeen::None | ParentSeen::Stranger | ParentSeen::Missing => None,
        }
    }

    /// UID of the delegation that is handed on.
    pub(crate) fn parent_uid(&self) -> Option<&str> {
        match &self.parent {
            ParentSeen::Found(parent) => Some(&parent.uid),
            ParentSeen::None | ParentSeen::Stranger | ParentSeen::Missing => None,
        }
    }
}
