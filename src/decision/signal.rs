//! Signals: what others, or the decision point itself, noticed of an agent.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that was noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// Its name, unique for its source: the same one again changes nothing.
    pub id: String,
    /// Who noticed: an issuer's URL, `falco`, the name of a replica.
    pub source: String,
    /// Whom it is about.
    pub subject: SignalSubject,
    /// Its kind, such as `caep/risk-level-change` or `falco/Terminal shell in container`. A later one
    /// of the same source, subject and kind replaces it.
    pub kind: String,
    /// 0 to 100, when it was noticed; it fades to 0 over `lifetime`.
    pub severity: u8,
    /// When it was noticed.
    pub observed: Timestamp,
    /// How long it counts.
    pub lifetime: SignedDuration,
    /// What it does at once, beside adding to the risk.
    pub effect: Effect,
    /// For people, without data about a person.
    pub why: String,
}

/// The source and kind of what a person says. No transmitter, no reporter and no adapter can be this
/// source: it is the replicas' own.
const PARDON: (&str, &str) = ("countersign-decide", "*");
/// How long a pardon is kept, for replicas that hear of it late: as long as any signal that it takes
/// back can live.
const PARDON_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Signal {
    /// A person has taken an agent over at `now`: whatever was noticed of it until then, by whomever,
    /// counts no more.
    pub fn pardon(spiffe_id: &str, now: Timestamp) -> Self {
        let (source, kind) = PARDON;
        Self {
            id: format!("pardon/{now}/{spiffe_id}"),
            source: source.to_owned(),
            subject: SignalSubject::Agent(spiffe_id.to_owned()),
            kind: kind.to_owned(),
            severity: 0,
            observed: now,
            lifetime: PARDON_LASTS,
            effect: Effect::Clear,
            why: "taken over by a person".to_owned(),
        }
    }

    pub(crate) fn is_pardon(&self) -> bool {
        let said = (self.source.as_str(), self.kind.as_str());
        self.effect == Effect::Clear && said == PARDON
    }
}

/// Whom a signal is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignalSubject {
    /// An agent, by its SPIFFE ID.
    Agent(String),
    /// Whichever agents run as this pod.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// All agents of an owner, by its name or one of its subjects' names.
    Owner(String),
    /// A certificate, by its serial number.
    Certificate(String),
    /// A chain, by the digest of one of its statements.
    Delegation(String),
}

/// What a signal does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It adds to the risk, and no more.
    Risk,
    /// Whatever began before it was noticed is denied while it counts: certificates issued before,
    /// and questions without a certificate.
    EndSessions,
    /// Everything is denied while it counts.
    Deny,
    /// It takes back what the same source said with the same subject and kind.
    Clear,
}

/// Takes signals: one table in memory, and others to share it with.
pub trait SignalSink: Send + Sync + 'static {
    /// Takes one. It counts for the next question.
    ///
    /// # Errors
    /// Why it can't be, for whoever sent it: its severity or times can't be, or the table is full.
    fn accept(&self, signal: Signal) -> Result<(), SignalRefused>;

    /// All that count, for a replica that starts.
    fn all(&self) -> Vec<Signal>;
}

/// Why a signal was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalRefused {
    /// A part of it can't be.
    #[error("{0}")]
    Bad(String),
    /// There are too many.
    #[error("the table of signals is full")]
    Full,
}
