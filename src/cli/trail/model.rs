//! A trail: from something seen back to who first allowed it.

use countersign_core::Grant;
use jiff::Timestamp;
use serde::Serialize;

/// Everything that led to an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trail {
    /// Where it was read: `audit log` or `cluster`.
    pub(crate) source: &'static str,
    /// The decision that it starts with, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Decided>,
    /// The identity that acted, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
    /// Each chain of delegations that it held, from the leaf to the root.
    pub(crate) chains: Vec<Vec<Hop>>,
    /// What happened, the oldest first: of the log only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<Event>,
    /// What is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<String>,
}

/// A decision of a decision point, in short: `why` explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decided {
    pub(crate) id: String,
    pub(crate) allowed: bool,
    pub(crate) time: Timestamp,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) reason: String,
    /// `<chain>:<seq>`.
    pub(crate) record: String,
    /// The same of an allow that is on record too and was never given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_given_out: Option<String>,
}

/// The identity of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    #[serde(rename = "spiffeID")]
    pub(crate) spiffe_id: String,
    /// `namespace/name`.
    pub(crate) name: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Who asked for it, authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requester: Option<String>,
    /// What it lives for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
    /// Since when it has certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
    /// How and when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<End>,
}

/// One delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hop {
    pub(crate) depth: u8,
    /// `namespace/name` of the Delegation.
    pub(crate) delegation: String,
    pub(crate) uid: String,
    /// The delegator's SPIFFE ID, or `owner <name>` at a root.
    pub(crate) from: String,
    /// The delegate's SPIFFE ID.
    pub(crate) to: String,
    /// Who asked for it, authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requester: Option<String>,
    /// When it was countersigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) granted: Option<Timestamp>,
    /// When it ends at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    pub(crate) digest: String,
    pub(crate) grants: Vec<Grant>,
    /// How and when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<End>,
    /// Where the log has it: `<chain>:<seq>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<String>,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct End {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<Timestamp>,
    pub(crate) reason: String,
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) time: Timestamp,
    pub(crate) kind: String,
    /// `namespace/name` of the object.
    pub(crate) object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// `<chain>:<seq>`.
    pub(crate) record: String,
}

impl Trail {
    /// Is there nothing to tell?
    pub(crate) fn is_empty(&self) -> bool {
        self.identity.is_none() && self.chains.is_empty() && self.events.is_empty()
    }
}
