//! A decision with all that explains it.

use countersign_audit::{Outcome, Record, RiskPart};
use jiff::Timestamp;
use serde::Serialize;

use super::advice::{Agent, advice};
use crate::trail::{Hop, Identity, Trail, position};

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Why {
    pub(crate) id: String,
    pub(crate) allowed: bool,
    pub(crate) time: Timestamp,
    /// One word.
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) explanation: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    /// `Public` to `Restricted`.
    pub(crate) sensitivity: String,
    #[serde(rename = "spiffeID", skip_serializing_if = "Option::is_none")]
    pub(crate) spiffe_id: Option<String>,
    /// Of the certificate that the agent showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial_number: Option<String>,
    /// Who answers: with a delegation, the owner of its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Who asked for the root, or for the identity; authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requester: Option<String>,
    /// The enforcement point that asked.
    pub(crate) caller: String,
    /// Its own name for the request.
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// Those that decided.
    pub(crate) policies: Vec<String>,
    /// Those in mode Audit that would have denied it.
    pub(crate) would_deny: Vec<String>,
    /// The digest of the set that was asked.
    pub(crate) policy_set: String,
    pub(crate) obligations: Vec<String>,
    pub(crate) risk: u8,
    pub(crate) anomaly: u8,
    pub(crate) risk_parts: Vec<RiskPart>,
    /// On whose authority; none: the agent's own grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delegation: Option<Held>,
    /// Its hops, from the one that the agent holds to the root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) chain: Vec<Hop>,
    /// The agent's identity, as the log has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
    /// What the log lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<String>,
    /// What one may do about it.
    pub(crate) advice: String,
    /// Where the log has it: `<chain>:<seq>`.
    pub(crate) record: String,
    /// The same of an allow that is on record too and was never given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_given_out: Option<String>,
}

/// The delegation that an agent acted under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    /// Of its statement.
    pub(crate) digest: String,
    pub(crate) uid: String,
    /// Hops from the owner.
    pub(crate) depth: u8,
    pub(crate) expires: Timestamp,
}

/// What `record` and the trail that starts with it say together.
pub(crate) fn explained(record: &Record, trail: Trail) -> Why {
    let entry = &record.entry;
    let decided = trail.decision;
    let rested_on = entry.decision.clone().unwrap_or_default();
    let allowed = entry.outcome == Outcome::Allowed;
    let agent = Agent::of(entry.spiffe_id.as_deref());
    let held = entry.delegation.as_ref().map(|it| Held {
        digest: it.digest.clone(),
        uid: it.uid.clone(),
        depth: it.depth,
        expires: it.expires,
    });
    Why {
        id: entry.object.uid.clone(),
        allowed,
        time: entry.time,
        reason: entry.reason.clone(),
        explanation: entry.message.clone(),
        action: entry.action.clone().unwrap_or_default(),
        resource: entry.resource.clone().unwrap_or_default(),
        sensitivity: rested_on.sensitivity,
        spiffe_id: entry.spiffe_id.clone(),
        serial_number: entry.serial_number.clone(),
        owner: entry.owner.clone(),
        requester: entry.requester.as_ref().map(|it| it.username.clone()),
        caller: rested_on.caller,
        request_id: rested_on.request_id,
        advice: advice(&entry.reason, &agent, !rested_on.would_deny.is_empty()),
        policies: rested_on.policies,
        would_deny: rested_on.would_deny,
        policy_set: rested_on.policy_set,
        obligations: rested_on.obligations,
        risk: rested_on.risk,
        anomaly: rested_on.anomaly,
        risk_parts: rested_on.risk_parts,
        delegation: held,
        chain: trail.chains.into_iter().next().unwrap_or_default(),
        identity: trail.identity,
        gaps: trail.gaps,
        record: position(record),
        not_given_out: decided.and_then(|it| it.not_given_out),
    }
}
