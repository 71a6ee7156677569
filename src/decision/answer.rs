//! What is answered.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use countersign_core::DataClass;
use countersign_policy::Obligation;
use countersign_statement::Digest;
use futures_core::Stream;
use jiff::Timestamp;
use serde::Serialize;

use crate::question::{Caller, Found, Question, Search};

/// The name of a decision: unique, and without meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(pub(crate) u128);

/// An answer. It counts for the moment at which it was given, and is never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its name in the log.
    pub id: DecisionId,
    /// Yes or no.
    pub allowed: bool,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence for a person: no policy's text and nothing of other agents.
    pub explanation: String,
    /// The policies that decided it, as `<namespace>/<object>/<policy>`, or `cluster/<object>/<policy>`.
    pub policies: Vec<String>,
    /// What those in [`countersign_policy::Mode::Audit`] would have denied it by.
    pub would_deny: Vec<String>,
    /// What must be done along with it.
    pub obligations: Vec<Obligation>,
    /// The digest of the set of policies that was asked.
    pub policy_set: String,
    /// The risk that counted, and what it is made of.
    pub risk: Risk,
    /// How sensitive the resource is.
    pub sensitivity: DataClass,
    /// The agent that asked, where it is known.
    pub agent: Option<Agent>,
    /// When.
    pub time: Timestamp,
    /// Must it be on record before it is acted upon?
    pub record_first: bool,
}

/// The agent of an answer, and on whose authority it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Its AgentIdentity.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its trust domain.
    pub trust_domain: String,
    /// Its owner; with a delegation, that of the chain's root.
    pub owner: String,
    /// The user who asked for the root of the chain, or for the identity.
    pub requester: Option<String>,
    /// The serial number of the certificate that it showed.
    pub serial_number: Option<String>,
    /// The digest of the chain's last statement.
    pub delegation: Option<Digest>,
    /// That of hop 0.
    pub root: Option<Digest>,
    /// The UID of the chain's last Delegation.
    pub delegation_uid: Option<String>,
    /// The end of the chain.
    pub delegation_expires: Option<Timestamp>,
    /// Hops from the owner.
    pub depth: u8,
}

/// A risk from 0 to 100, and its parts, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Risk {
    /// The worst of signals, faded.
    pub risk: u8,
    /// How far the agent's behaviour is from its own.
    pub anomaly: u8,
    /// What both are made of.
    pub parts: Vec<RiskPart>,
}

/// One part of a risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RiskPart {
    /// The signal's kind, or `behaviour/rate`, `behaviour/denials`, `behaviour/novelty`.
    pub kind: String,
    /// What it adds, 0 to 100.
    pub score: u8,
    /// For people.
    pub why: String,
}

/// Why something was decided as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Permitted by policy, within all grants.
    Permitted,
    /// No facts yet, or none that are fresh enough.
    NotReady,
    /// The question can't be read.
    BadRequest,
    /// Too many questions at once.
    Overloaded,
    /// The caller may not ask that.
    CallerNotAllowed,
    /// No such agent.
    UnknownAgent,
    /// The agent has no credential (yet).
    AgentNotReady,
    /// The agent is suspended.
    AgentSuspended,
    /// The agent's task is over, or it was revoked.
    AgentEnded,
    /// Its owner is gone or suspended.
    OwnerGone,
    /// Its trust domain is gone.
    UnknownTrustDomain,
    /// The certificate isn't one of this agent, of a trusted authority, and in its time.
    BadCertificate,
    /// The certificate, or all of the agent's before a moment, was revoked.
    CertificateRevoked,
    /// No such delegation.
    UnknownDelegation,
    /// The chain doesn't verify.
    BadChain,
    /// The chain isn't this agent's.
    NotTheDelegate,
    /// The chain, or a part of it, is over.
    DelegationEnded,
    /// The chain, or a part of it, is suspended.
    DelegationSuspended,
    /// Nothing grants it: the identity's grants, its owner's, or a hop's don't have it.
    NotGranted,
    /// A bound of the grants is exceeded: data class, audience, time or calls.
    BeyondConstraint,
    /// No policy permits it.
    NoPolicyPermits,
    /// A policy forbids it.
    ForbiddenByPolicy,
    /// A policy that could have forbidden it failed.
    PolicyFailed,
    /// The risk is beyond the threshold.
    RiskTooHigh,
    /// What must be done along with it can't be done by whoever would act upon it.
    UnknownObligation,
    /// It must be on record first, and can't be recorded.
    NotRecorded,
}

impl Answer {
    /// A denial by whoever could not even put the question to the engine.
    pub fn denied(reason: Reason, explanation: &str, time: Timestamp) -> Self {
        Self {
            id: DecisionId::random(),
            allowed: false,
            reason,
            explanation: explanation.to_owned(),
            policies: Vec::new(),
            would_deny: Vec::new(),
            obligations: Vec::new(),
            policy_set: String::new(),
            risk: Risk::default(),
            sensitivity: DataClass::Restricted,
            agent: None,
            time,
            record_first: false,
        }
    }
}

/// What answers questions: the decision point's core behind its protocols.
pub trait DecisionPoint: Send + Sync + 'static {
    /// Decides, and records. Never allows a question with a [`Call::doubt`](crate::Call::doubt), nor with
    /// an obligation that isn't among its [`Call::obligations`](crate::Call::obligations): whoever asks
    /// relies on that.
    fn decide<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

    /// Denies what no question can be made of, as [`Reason::BadRequest`], and records that. `sent` is
    /// what could be read of it, whatever it is made of; `why` is for whoever sent it.
    fn refuse(&self, caller: &Caller, sent: &Question, why: &str) -> Answer;

    /// What would be decided: nothing is recorded, counted, or learned of the agent. By default a
    /// decision.
    fn look<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        self.decide(caller, question)
    }

    /// Looks for what would be allowed; nothing of it is recorded. Candidates that are known: agents,
    /// the actions of grants, and resources that are named without a wildcard.
    fn search<'a>(
        &'a self,
        caller: &'a Caller,
        search: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>>;

    /// Tells whenever an answer may change: at a change of facts, policies or signals at once, and
    /// every few seconds for what changes with time.
    fn changes(&self) -> Changes;
}

/// Yields once after one or more changes; ends with the decision point.
pub type Changes = Pin<Box<dyn Stream<Item = ()> + Send>>;

impl DecisionId {
    /// A new one.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Of 32 digits of lower-case hex.
    pub fn parse(text: &str) -> Option<Self> {
        let good = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        if text.len() != 32 || !text.bytes().all(good) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Reason {
    /// The word that it is written as, in answers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "Permitted",
            Self::NotReady => "NotReady",
            Self::BadRequest => "BadRequest",
            Self::Overloaded => "Overloaded",
            Self::CallerNotAllowed => "CallerNotAllowed",
            Self::UnknownAgent => "UnknownAgent",
            Self::AgentNotReady => "AgentNotReady",
            Self::AgentSuspended => "AgentSuspended",
            Self::AgentEnded => "AgentEnded",
            Self::OwnerGone => "OwnerGone",
            Self::UnknownTrustDomain => "UnknownTrustDomain",
            Self::BadCertificate => "BadCertificate",
            Self::CertificateRevoked => "CertificateRevoked",
            Self::UnknownDelegation => "UnknownDelegation",
            Self::BadChain => "BadChain",
            Self::NotTheDelegate => "NotTheDelegate",
            Self::DelegationEnded => "DelegationEnded",
            Self::DelegationSuspended => "DelegationSuspended",
            Self::NotGranted => "NotGranted",
            Self::BeyondConstraint => "BeyondConstraint",
            Self::NoPolicyPermits => "NoPolicyPermits",
            Self::ForbiddenByPolicy => "ForbiddenByPolicy",
            Self::PolicyFailed => "PolicyFailed",
            Self::RiskTooHigh => "RiskTooHigh",
            Self::UnknownObligation => "UnknownObligation",
            Self::NotRecorded => "NotRecorded",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
