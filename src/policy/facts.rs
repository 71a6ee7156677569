//! What a policy is asked about. All of it was found out by the caller; nothing here is believed
//! because a request said so.

use std::collections::BTreeMap;
use std::net::IpAddr;

use countersign_core::DataClass;
use jiff::Timestamp;

/// An agent, as policies see it: `Countersign::Agent`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentFacts {
    /// Its SPIFFE ID, which is the entity's id.
    pub spiffe_id: String,
    /// Its AgentIdentity's name.
    pub name: String,
    /// Its namespace, which is a parent of the entity.
    pub namespace: String,
    /// Its trust domain, which is a parent of its namespace.
    pub trust_domain: String,
    /// Its owner's name, which is a parent of the entity.
    pub owner: String,
    /// `Person`, `BusinessUnit` or `Application`.
    pub owner_type: String,
    /// Its task, as `<resource>.<group>/<name>`, such as `jobs.batch/reconcile-2026-11`.
    pub task: String,
    /// What it claims of itself: `principal.claimed`, never facts.
    pub claimed: BTreeMap<String, String>,
}

/// A resource, as policies see it: `Countersign::Resource`, in the `Countersign::Collection` of each
/// path above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceFacts {
    /// Its type, such as `document`; empty if it has none.
    pub kind: String,
    /// Its path, which is the entity's id: `ledger/invoices/7` is in `ledger/invoices` and `ledger`.
    pub path: String,
    /// How sensitive it is: `Public` is 0, `Restricted` is 3.
    pub sensitivity: DataClass,
    /// Where its data may be; empty: not said.
    pub residency: Vec<String>,
    /// What an authoritative caller said of it: the entity's tags.
    pub properties: BTreeMap<String, String>,
}

/// The context of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFacts {
    /// The time.
    pub now: Timestamp,
    /// Where the request comes from.
    pub source_ip: Option<IpAddr>,
    /// The certificate that the agent showed; `None`: somebody vouched for it otherwise.
    pub certificate: Option<CertificateFacts>,
    /// The call.
    pub call: CallFacts,
    /// What is known of the agent's behaviour.
    pub signals: SignalFacts,
    /// On whose authority it acts, if not on its own.
    pub delegation: Option<DelegationFacts>,
}

/// A certificate that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Lower-case hex.
    pub serial_number: String,
    /// Its end.
    pub not_after: Timestamp,
}

/// What is called, as far as the caller says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// The action's name, also where it is none that the schema knows.
    pub action: String,
    /// The tool.
    pub tool: Option<String>,
    /// Bytes that it sends.
    pub bytes: u64,
    /// Would it destroy something?
    pub destructive: bool,
    /// For whom it is done.
    pub audience: Option<String>,
}

/// What is known of an agent's behaviour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignalFacts {
    /// 0 to 100: the worst signal that lives, faded.
    pub risk: u8,
    /// 0 to 100: how far it is from its own baseline.
    pub anomaly: u8,
    /// The kinds of the signals that live.
    pub codes: Vec<String>,
    /// Since signals were last known to be complete, in milliseconds.
    pub age_milliseconds: u64,
}

/// A chain of delegations that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationFacts {
    /// Hops from the owner to the agent that acts.
    pub depth: u8,
    /// The owner whose grants the chain starts with.
    pub root_owner: String,
    /// Its type: `Person`, `BusinessUnit` or `Application`.
    pub root_owner_type: String,
    /// Who asked for the root, by user name.
    pub requester: Option<String>,
    /// Its end.
    pub expires: Timestamp,
}
