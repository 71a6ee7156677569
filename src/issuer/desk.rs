//! Who may have what: the one place that signs, as its callers see it.

use std::fmt;
use std::time::Duration;

use countersign_authority::RequestedKey;
use tokio::sync::watch;

/// Who asks: a pod as the API server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: a pod of the same name made later is another.
    pub uid: String,
    /// The name of the service account that it runs as.
    pub service_account: String,
}

/// How long a certificate may be valid, from its notBefore to its notAfter: `notBefore` lies some
/// seconds in the past, and they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// A shorter one is refused: [`Reason::TtlOutOfBounds`].
    pub at_least: Duration,
    /// A longer one is cut to it.
    pub at_most: Duration,
}

/// A certificate that was recorded and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedX509 {
    /// The leaf's one URI SAN.
    pub spiffe_id: String,
    /// DER, leaf first, intermediates upwards, without the root.
    pub chain: Vec<Vec<u8>>,
}

/// Why nothing was issued: the word is for programs, the message for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refused {
    /// Which.
    pub reason: Reason,
    /// What stands against it and what to do, without key material.
    pub message: String,
}

/// The words of [`Refused`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The pod isn't there, has another UID, ends or is over.
    UnknownPod,
    /// No identity is for this pod.
    NoIdentity,
    /// More than one is, and none was named.
    SeveralIdentities,
    /// The task is over.
    TaskOver,
    /// The identity is suspended.
    IdentitySuspended,
    /// The identity is over for good.
    IdentityEnded,
    /// The identity isn't Ready yet.
    NotReady,
    /// What was asked for can't be had.
    BadRequest,
    /// The identity's certificates are shorter than the caller can take, or its deadline is too near.
    TtlOutOfBounds,
    /// Watches or the operator's heartbeat are too old.
    Stale,
    /// Nothing can be recorded.
    AuditUnavailable,
    /// The trust domain has no authority that signs.
    NoAuthority,
    /// Too much at once.
    Overloaded,
}

/// Finds the one identity that a pod may have, checks that it may, records, signs.
pub trait X509Desk: Send + Sync + 'static {
    /// Issues a certificate for `key` to `pod`. `which` names the AgentIdentity where the pod has
    /// several; it gives no right to any.
    fn x509(
        &self,
        pod: &PodRef,
        which: Option<&str>,
        key: &RequestedKey,
        bounds: Lifetime,
    ) -> impl Future<Output = Result<IssuedX509, Refused>> + Send;

    /// Changes with the identities: what was refused for one may be answered otherwise now.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl Reason {
    /// In CamelCase, as conditions and metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPod => "UnknownPod",
            Self::NoIdentity => "NoIdentity",
            Self::SeveralIdentities => "SeveralIdentities",
            Self::TaskOver => "TaskOver",
            Self::IdentitySuspended => "IdentitySuspended",
            Self::IdentityEnded => "IdentityEnded",
            Self::NotReady => "NotReady",
            Self::BadRequest => "BadRequest",
            Self::TtlOutOfBounds => "TTLOutOfBounds",
            Self::Stale => "Stale",
            Self::AuditUnavailable => "AuditUnavailable",
            Self::NoAuthority => "NoAuthority",
            Self::Overloaded => "Overloaded",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
