//! What a pass sees: everything that decides about one identity, at one moment.

use countersign_core::{Grant, Outcome, Requester};
use jiff::Timestamp;

use crate::retired::Before;

/// A complete look at one identity. [`plan`](super::plan::plan) is a function of this and nothing
/// else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The moment of the look.
    pub(crate) now: Timestamp,
    /// What its object asks for.
    pub(crate) identity: Identity,
    /// What its status says.
    pub(crate) recorded: Recorded,
    /// The task.
    pub(crate) task: TaskSeen,
    /// The owner.
    pub(crate) owner: OwnerSeen,
    /// The trust domain.
    pub(crate) domain: DomainSeen,
    /// The risk that suspends it, if one does: the decision point's to say.
    pub(crate) risk: Option<Risk>,
    /// Where the credential is.
    pub(crate) credential: CredentialSeen,
    /// Why nobody gets anything at present: admission policies missing or altered. Retirement goes
    /// on.
    pub(crate) closed: Option<Refusal>,
    /// What the audit log says: an older state of the cluster may show what has ended.
    pub(crate) before: Before,
    /// This machine's clock and the API server's disagree: nobody knows what time it is.
    pub(crate) clock_off: bool,
}

impl Observed {
    /// Takes in what a look into the Secret showed.
    pub(crate) fn learn(&mut self, credential: CredentialSeen) {
        if let (CredentialSeen::Adoptable { .. }, DomainSeen::Found { ready: Ok(it), .. }) =
            (&credential, &mut self.domain)
        {
            // It was asked of the recorded certificate; one that was read was asked in reading.
            it.reissue = false;
        }
        self.credential = credential;
    }
}

impl Identity {
    /// The name of its Secret, for delivery `Secret`.
    pub(crate) fn secret_name(&self) -> Option<&String> {
        match &self.delivery {
            Delivery::Secret { name } => Some(name),
            Delivery::Request { .. } | Delivery::Workload => None,
        }
    }
}

impl Recorded {
    /// Is the Secret with this UID the one that was written last?
    pub(crate) fn wrote(&self, uid: &str) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.uid == uid)
    }
}

impl Recorded {
    /// Is this certificate an older one than the last that was recorded, or that one after it was
    /// taken away? Somebody who kept it may have put it back.
    pub(crate) fn is_past(&self, certificate: &Certificate) -> bool {
        self.certificate.as_ref().is_some_and(|last| {
            certificate.not_before < last.not_before
                || self.secret.is_none() && certificate.serial_number == last.serial_number
        })
    }
}

/// Why no certificate is issued, for a condition: a reason, and a message that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The spec and the metadata that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) generation: i64,
    pub(crate) created: Timestamp,
    /// It has a deletionTimestamp.
    pub(crate) deleting: bool,
    pub(crate) trust_domain: String,
    pub(crate) owner: String,
    pub(crate) task: TaskRef,
    pub(crate) grants: Vec<Grant>,
    pub(crate) delivery: Delivery,
    pub(crate) ttl_seconds: Option<u64>,
    pub(crate) key_algorithm: countersign_authority::KeyAlgorithm,
    pub(crate) deadline_seconds: Option<u64>,
    pub(crate) ttl_after_finished_seconds: Option<u64>,
    pub(crate) desired: Desired,
    pub(crate) requester: Option<Requester>,
}

/// Which task: a resource of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TaskRef {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    /// Only this very object will do.
    pub(crate) uid: Option<String>,
}

/// How the certificate reaches the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Key and chain in a Secret of this name.
    Secret { name: String },
    /// The agent's own key: the chain goes into status.
    Request { pkcs10: String },
    /// In the pod; nothing is stored.
    Workload,
}

/// A risk beyond the threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Risk {
    /// 0 to 100.
    pub(crate) score: u8,
    /// 0 to 100.
    pub(crate) anomaly: u8,
    /// What it is made of: kinds of signals.
    pub(crate) reason: String,
}

/// What its users want of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Desired {
    Active,
    Suspended,
    Revoked,
}

/// What the status holds: the memory between passes, and across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recorded {
    pub(crate) observed_generation: i64,
    /// The task that it is bound to, from the first issue (or the first sight of its end) on.
    pub(crate) task_uid: Option<String>,
    /// How that task stood.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) first_issue: Option<Timestamp>,
    pub(crate) deadline: Option<Timestamp>,
    /// The SPIFFE ID of what its pods may have, for delivery `Workload`.
    pub(crate) offered: Option<String>,
    /// Of those, the ones that were issued before don't count: it was suspended until then.
    pub(crate) resumed: Option<Timestamp>,
    /// It is suspended, and its status says so.
    pub(crate) suspended: bool,
    /// The last certificate, also when it is over.
    pub(crate) certificate: Option<Certificate>,
    /// The Secret as it was last written.
    pub(crate) secret: Option<SecretVersion>,
    /// The sequence number of the bundle in it.
    pub(crate) bundle_sequence: Option<i64>,
    /// It is over for good: the reason and message of the condition `Completed`.
    pub(crate) completed: Option<(String, String)>,
}

/// Facts of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) spiffe_id: String,
    pub(crate) serial_number: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// Absent when it won't be renewed any more.
    pub(crate) renewal: Option<Timestamp>,
    pub(crate) public_key_sha256: String,
    pub(crate) authority_id: String,
    /// PEM, for delivery `Request` while it is live.
    pub(crate) chain: Option<String>,
}

/// One version of one Secret. Whoever changes it changes its resourceVersion, so that the operator
/// sees every foreign change without reading keys, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretVersion {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
}

/// The task, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskSeen {
    /// Its kind can't be a task, until a person changes something.
    Refused(Refusal),
    /// It can't be seen, or its rules don't work on it: nobody knows whether it is over.
    Unobservable(Refusal),
    /// The watch has just begun, or is behind: look again when it has caught up.
    NotYet,
    /// Nobody looked, since it doesn't matter.
    NotAsked,
    /// There is none. When the identity was bound before, this was asked of the API server itself.
    Missing,
    /// There is one.
    Found { uid: String, state: TaskState },
}

impl TaskSeen {
    /// Does this alone end an identity?
    pub(crate) fn is_over(&self, recorded: &Recorded, task: &TaskRef) -> bool {
        let bound = recorded.task_uid.as_ref().or(task.uid.as_ref());
        match self {
            Self::Missing => bound.is_some(),
            Self::Found { uid, state } => {
                *state != TaskState::Running || bound.is_some_and(|bound| bound != uid)
            }
            _ => false,
        }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    Running,
    Succeeded,
    Failed,
    /// It has a deletionTimestamp.
    Deleting,
}

/// The owner, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnerSeen {
    /// There is none. When the identity had been issued, this was asked of the API server itself.
    Missing,
    Found {
        state: OwnerState,
        /// What its agents may hold at most.
        grants: Vec<Grant>,
        /// May the requester name this owner?
        admits: Admits,
    },
}

/// Where an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerState {
    Active,
    Suspended,
    Departed,
}

/// The answer to "may this requester name this owner?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admits {
    Yes,
    No,
    /// Nobody could be asked.
    Unknown(String),
}

/// The trust domain, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DomainSeen {
    Missing,
    Found {
        /// Its selector matches the namespace.
        admits_namespace: bool,
        default_ttl_seconds: u64,
        max_ttl_seconds: u64,
        max_lifetime_seconds: u64,
        /// Can it sign? `Err` says why not.
        ready: Result<Authority, Refusal>,
    },
}

/// The signing authority, with a view to the certificate that is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// That certificate was signed by one that is distrusted, retired early or unknown.
    pub(crate) reissue: bool,
}

/// Where the credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CredentialSeen {
    /// The watch has just begun.
    NotYet,
    /// Secrets of this namespace aren't among those that the operator may write, or nobody issues
    /// into pods.
    NotEnabled,
    /// The API server doesn't let the operator see or write them: its answer.
    Forbidden(String),
    /// There is none.
    Missing,
    /// It is as recorded: the Secret unchanged, or the chain in status.
    AsRecorded,
    /// A Secret of this identity in a version that the record doesn't know, not read yet.
    Unread(SecretVersion),
    /// Read, and with a good certificate in it: a write whose record was lost, or somebody added a
    /// label.
    Adoptable {
        certificate: Certificate,
        version: SecretVersion,
        bundle_sequence: i64,
    },
    /// Read, and not as it was written.
    Tampered(SecretVersion),
    /// A Secret of that name that isn't ours.
    Foreign,
    /// The name belongs to another identity.
    Taken { by: String },
}
