//! What happened: one entry of the log, and its exact bytes.

use countersign_core::Grant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use crate::error::AuditError;

/// The longest `reason` and `message`, in bytes; what is longer is cut at a character.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// The longest body, in bytes of JSON. Permissions that don't fit are left out, which the message
/// says; a body that is still longer is refused.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Something that was granted, renewed, ended or refused. Names and UIDs of objects and users, and
/// never a token, a key or any other data about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, by the clock of whoever decided.
    pub time: Timestamp,
    /// What.
    pub kind: Kind,
    /// How it came out.
    pub outcome: Outcome,
    /// The trust domain, which is also the first half of the chain's name. Empty for what belongs
    /// to none. No `/`.
    pub trust_domain: String,
    /// The object that it is about.
    pub object: ObjectRef,
    /// The identity's SPIFFE ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<String>,
    /// The certificate's serial number, as everywhere else in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// The certificate's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The authority that signed the certificate, by its id: whose revocation list has it.
    #[serde(
        default,
        rename = "authorityID",
        skip_serializing_if = "Option::is_none"
    )]
    pub authority_id: Option<String>,
    /// The name of the AgentOwner that answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The user that the API server authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Requester>,
    /// The task that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// The delegation that it is about, or under which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<DelegationRef>,
    /// What was granted, or was asked for and refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Grant>,
    /// The resource of a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The action of a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What a decision rested on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// One CamelCase word, as in a condition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The first certificate of an identity.
    IdentityIssued,
    /// A later one.
    IdentityRenewed,
    /// It is over: completed, revoked, expired, deleted.
    IdentityEnded,
    /// Stopped for now.
    IdentitySuspended,
    /// Active again.
    IdentityResumed,
    /// Not issued or not renewed.
    IdentityRefused,
    /// A hop was countersigned.
    DelegationGranted,
    /// A hop is over.
    DelegationEnded,
    /// A hop was not countersigned.
    DelegationRefused,
    /// An authority of a trust domain was prepared, activated, retired or distrusted.
    AuthorityChanged,
    /// Signing keys of a trust domain changed.
    KeysChanged,
    /// A request was decided: `object` is the `Decision`, whose UID is its id.
    ActionDecided,
    /// The log could not be written for a while, and now can: the message says since when and why.
    LogResumed,
    /// The oldest records went to a sealed segment: `object.name` is `<first>-<last>`, `object.uid`
    /// the SHA-256 of the file in hex.
    RecordsSealed,
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It was granted or done.
    Allowed,
    /// It was not.
    Refused,
    /// Something granted earlier is over.
    Ended,
}

/// A Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Its kind, such as `AgentIdentity`.
    pub kind: String,
    /// Its namespace, if its kind has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// An authenticated user; their groups stay out of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// The name.
    pub username: String,
    /// The UID, where the authenticator gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// A task's custom resource.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The UID.
    pub uid: String,
}

/// One hop of a chain of delegations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegationRef {
    /// The digest of this hop's statement.
    pub digest: String,
    /// That of the hop above; absent at hop 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// That of hop 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Hops from the owner's grants, which are hop 0.
    pub depth: u8,
    /// The Delegation's UID.
    pub uid: String,
    /// The UID of the Delegation above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_uid: Option<String>,
    /// Its end.
    pub expires: Timestamp,
    /// The SPIFFE ID of the agent that hands on; absent at a root, where it is the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegator: Option<String>,
    /// The SPIFFE ID of the agent that receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<String>,
}

/// What a decision rested on, so that it can be explained later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The enforcement point that asked: a SPIFFE ID, or the name of its token.
    pub caller: String,
    /// The policies that decided, as `<namespace>/<object>/<policy>` or `cluster/<object>/<policy>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Those that only watch, and would have denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_deny: Vec<String>,
    /// The digest of the set of policies that was asked.
    pub policy_set: String,
    /// The types of the obligations that came along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<String>,
    /// How sensitive the resource is: `Public` to `Restricted`.
    pub sensitivity: String,
    /// 0 to 100, from signals.
    pub risk: u8,
    /// 0 to 100, from the agent's own behaviour.
    pub anomaly: u8,
    /// What both are made of, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk_parts: Vec<RiskPart>,
    /// The caller's name for the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One part of a risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RiskPart {
    /// A signal's kind, or a part of the agent's behaviour.
    pub kind: String,
    /// What it adds, 0 to 100.
    pub score: u8,
    /// For people.
    pub why: String,
}

/// An entry as it goes to the store.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) trust_domain: String,
    pub(crate) columns: Columns,
    pub(crate) body: String,
    /// It is dropped before others when too much waits: a refusal, by which nothing was granted and
    /// nothing ended; of decisions an allow, since nobody can have those made by asking for what they
    /// may not.
    pub(crate) dropped_first: bool,
}

impl Prepared {
    /// What it takes in memory, near enough: most of the columns' texts stand in the body too.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + 2 * self.body.len()
    }
}

impl Entry {
    /// An entry with what every entry has.
    pub fn new(
        time: Timestamp,
        kind: Kind,
        outcome: Outcome,
        trust_domain: impl Into<String>,
        object: ObjectRef,
    ) -> Self {
        Self {
            time,
            kind,
            outcome,
            trust_domain: trust_domain.into(),
            object,
            spiffe_id: None,
            serial_number: None,
            not_after: None,
            authority_id: None,
            owner: None,
            requester: None,
            task: None,
            delegation: None,
            permissions: Vec::new(),
            resource: None,
            action: None,
            decision: None,
            reason: String::new(),
            message: String::new(),
        }
    }

    /// The exact body and the columns of the index.
    pub(crate) fn prepare(mut self) -> Result<Prepared, AuditError> {
        if self.trust_domain.contains('/') || self.trust_domain.len() > 255 {
            return Err(AuditError::Entry(format!(
                "{:?} is no name of a trust domain",
                self.trust_domain
            )));
        }
        cut(&mut self.reason, MAX_MESSAGE_BYTES);
        cut(&mut self.message, MAX_MESSAGE_BYTES);
        let mut body = self.body()?;
        if body.len() > MAX_BODY_BYTES && !self.permissions.is_empty() {
            let left_out = self.permissions.len();
            self.permissions.clear();
            cut(&mut self.message, MAX_MESSAGE_BYTES - 64);
            self.message
                .push_str(&format!(" ({left_out} permissions too long to record)"));
            body = self.body()?;
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(AuditError::Entry(format!(
                "its body has {} bytes, and {MAX_BODY_BYTES} are the most",
                body.len()
            )));
        }
        Ok(Prepared {
            columns: Columns::of(&self),
            dropped_first: (self.outcome == Outcome::Refused) != (self.kind == Kind::ActionDecided),
            trust_domain: self.trust_domain,
            body,
        })
    }

    fn body(&self) -> Result<String, AuditError> {
        serde_json::to_string(self).map_err(|error| AuditError::Entry(error.to_string()))
    }
}

impl Kind {
    /// The word that it is written as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdentityIssued => "IdentityIssued",
            Self::IdentityRenewed => "IdentityRenewed",
            Self::IdentityEnded => "IdentityEnded",
            Self::IdentitySuspended => "IdentitySuspended",
            Self::IdentityResumed => "IdentityResumed",
            Self::IdentityRefused => "IdentityRefused",
            Self::DelegationGranted => "DelegationGranted",
            Self::DelegationEnded => "DelegationEnded",
            Self::DelegationRefused => "DelegationRefused",
            Self::AuthorityChanged => "AuthorityChanged",
            Self::KeysChanged => "KeysChanged",
            Self::ActionDecided => "ActionDecided",
            Self::LogResumed => "LogResumed",
            Self::RecordsSealed => "RecordsSealed",
        }
    }
}

/// Cuts `text` to at most `bytes`, at a character.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes)
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        text.truncate(end);
    }
}
