//! What to answer to whoever is refused: now, later, and with which word.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::PodCertificateRequestStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{Reason, Refused};

/// The kubelet puts this behind its own words into an event of the pod.
const FOR_GOOD: &str =
    "A pod whose request was denied isn't asked for again: mend it and make the pod anew.";
/// The API server takes 32 KiB; nobody reads more than this.
const MAX_MESSAGE: usize = 1024;

/// The desk tells when something changes; this is for what it didn't tell.
const RECHECK: Duration = Duration::from_secs(30);

/// A final refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    /// For the condition: one that the API defines, or ours.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What a refusal of the desk comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judged {
    /// For good.
    Deny(Denial),
    /// An identity must change first. Look again by then at the latest, counted from now.
    Wait(Duration),
    /// Something doesn't work: try again after a backoff.
    Retry,
}

impl Denial {
    pub(super) fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message }
    }

    /// The status that denies: nothing but the condition, as the API server wants it.
    pub(super) fn status(&self, now: Timestamp) -> PodCertificateRequestStatus {
        PodCertificateRequestStatus {
            conditions: Some(vec![condition("Denied", self.reason, &self.told(), now)]),
            ..PodCertificateRequestStatus::default()
        }
    }

    fn told(&self) -> String {
        let mut message = self.message.clone();
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
            message.truncate(end);
        }
        format!("{message}. {FOR_GOOD}")
    }
}

/// What to do about a refusal of a request that has waited for `age`: what may be a matter of order
/// is open for `patience`.
pub(super) fn judge(refused: Refused, age: SignedDuration, patience: Duration) -> Judged {
    let left = patience.saturating_sub(age.unsigned_abs());
    match refused.reason {
        // An identity that comes after its pod, or one of two that goes.
        Reason::NoIdentity | Reason::SeveralIdentities if !left.is_zero() => {
            Judged::Wait(left.min(RECHECK))
        }
        // A pod that the desk's watch hasn't brought yet.
        Reason::UnknownPod if !left.is_zero() => Judged::Retry,
        Reason::IdentitySuspended | Reason::NotReady => Judged::Wait(RECHECK),
        Reason::Stale | Reason::AuditUnavailable | Reason::NoAuthority | Reason::Overloaded => {
            Judged::Retry
        }
        Reason::NoIdentity
        | Reason::SeveralIdentities
        | Reason::UnknownPod
        | Reason::TaskOver
        | Reason::IdentityEnded
        | Reason::BadRequest
        | Reason::TtlOutOfBounds => {
            Judged::Deny(Denial::new(refused.reason.as_str(), refused.message))
        }
    }
}

pub(super) fn condition(kind: &str, reason: &str, message: &str, now: Timestamp) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Time(now),
        observed_generation: None,
    }
}
