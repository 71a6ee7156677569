//! What should be, given what is. Pure: no clock, no I/O, nothing left to decide in `execute`.
//!
//! The order of the questions is the order of the promises: what is over ends first, whatever else
//! is wrong; what is suspended has no credential; a refusal stops issuing and renewing; and only
//! then is anything issued.

use countersign_core::{Outcome, schedule};
use jiff::{SignedDuration, Timestamp};

use super::issuable::{Obstacle, issuable};
use super::observed::{
    Authority, Certificate, CredentialSeen, Delivery, Desired, DomainSeen, Observed, OwnerSeen,
    OwnerState, Refusal, SecretVersion, TaskSeen,
};
use super::over::{Over, over};
use crate::retired::Before;

/// What is refused is looked at again after this long: a foreign Secret's deletion can't be seen.
pub(crate) const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// A certificate begins so long before the moment of its issue.
pub(crate) const BACKDATE: SignedDuration = SignedDuration::from_secs(10);

/// What to do about one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) credential: Credential,
    /// What the status should say. With [`Credential::Issue`], `execute` fills in the certificate.
    /// `None`: leave it.
    pub(crate) status: Option<Status>,
    /// When to look again, whatever happens: after `now`, or at `now` itself after an issue, since
    /// only the certificate says when it is due.
    pub(crate) again: Option<Timestamp>,
    /// The record has been kept for long enough.
    pub(crate) delete_identity: bool,
}

/// What to do about its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    Keep,
    /// Read the Secret, then plan again.
    Read,
    /// Take it away: after the status is written.
    Remove,
    /// Make a new one: before the status is written.
    Issue(Issue),
}

/// A certificate to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) spiffe_id: String,
    pub(crate) task_uid: String,
    pub(crate) ttl_seconds: u64,
    /// The deadline.
    pub(crate) not_after_cap: Timestamp,
    /// The Secret that it goes into, when there is one already.
    pub(crate) replaces: Option<SecretVersion>,
    /// It is not the first one.
    pub(crate) renewal: bool,
}

/// The status as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) observed_generation: i64,
    pub(crate) task_uid: Option<String>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) first_issue: Option<Timestamp>,
    pub(crate) deadline: Option<Timestamp>,
    /// The SPIFFE ID of what its pods may have, for delivery `Workload`.
    pub(crate) offered: Option<String>,
    /// Of those, the ones that were issued before don't count.
    pub(crate) resumed: Option<Timestamp>,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) secret: Option<SecretVersion>,
    pub(crate) bundle_sequence: Option<i64>,
    /// All that should be there, in the order in which they are shown.
    pub(crate) conditions: Vec<Condition>,
}

/// A condition but for the time of its last transition, which depends on what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kind: &'static str,
    pub(crate) status: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Decides.
pub(crate) fn plan(seen: &Observed) -> Plan {
    if seen.identity.deleting {
        // A chain in status goes with the status.
        let stored = matches!(seen.identity.delivery, Delivery::Secret { .. });
        return Plan {
            credential: if stored {
                removal(seen)
            } else {
                Credential::Keep
            },
            status: None,
            again: None,
            delete_identity: false,
        };
    }
    if let Some(over) = over(seen) {
        return complete(seen, over);
    }
    // Whoever suspends doesn't wait for a watch that has just begun.
    if let Some(why) = suspended(seen) {
        return suspend(seen, why);
    }
    if matches!(seen.task, TaskSeen::NotYet)
        || seen.credential == CredentialSeen::NotYet
        || seen.before == Before::NotKnown
    {
        // The watch's catching up brings the next pass.
        return Plan {
            credential: Credential::Keep,
            status: None,
            again: Some(later(seen.now, SignedDuration::from_secs(1))),
            delete_identity: false,
        };
    }
    if matches!(seen.credential, CredentialSeen::Unread(_)) {
        return Plan {
            credential: Credential::Read,
            status: None,
            again: None,
            delete_identity: false,
        };
    }
    match issuable(seen) {
        Ok(issue) if seen.identity.delivery == Delivery::Workload => offer(seen, issue),
        Ok(issue) => run(seen, issue),
        Err(Obstacle::Wait(why)) => hold(seen, "Reconciling", why),
        Err(Obstacle::Refuse(why)) => hold(seen, "Stalled", why),
    }
}

fn complete(seen: &Observed, over: Over) -> Plan {
    let finished = seen.recorded.finished.unwrap_or(seen.now);
    let same = same(seen);
    let status = Status {
        task_uid: over.task_uid.or_else(|| same.task_uid.clone()),
        outcome: over.outcome.or(same.outcome),
        finished: Some(finished),
        certificate: ended_certificate(seen),
        secret: None,
        bundle_sequence: None,
        conditions: vec![Condition {
            kind: "Completed",
            status: true,
            reason: over.reason,
            message: over.message,
        }],
        ..same
    };
    let kept_until = seen
        .identity
        .ttl_after_finished_seconds
        .map(|seconds| after(finished, seconds));
    Plan {
        credential: removal(seen),
        status: Some(status),
        again: kept_until.filter(|until| *until > seen.now),
        delete_identity: !seen.clock_off && kept_until.is_some_and(|until| until <= seen.now),
    }
}

/// Has somebody suspended it, or something?
fn suspended(seen: &Observed) -> Option<Condition> {
    let condition = |reason: &str, message| Condition {
        kind: "Suspended",
        status: true,
        reason: reason.to_owned(),
        message,
    };
    if seen.identity.desired == Desired::Suspended {
        let message = "suspended by spec.desiredState; set it to Active to go on".to_owned();
        return Some(condition("Suspended", message));
    }
    if let OwnerSeen::Found {
        state: OwnerState::Suspended,
        ..
    } = &seen.owner
    {
        let message = format!("owner {} is suspended", seen.identity.owner);
        return Some(condition("OwnerSuspended", message));
    }
    let risk = seen.risk.as_ref()?;
    let message = format!(
        "its risk is {} of 100, its anomaly {}: {}; it comes back as a ClusterAgentPolicy's risk.resumeBelow says, or set spec.desiredState to Suspended and then to Active",
        risk.score, risk.anomaly, risk.reason
    );
    Some(condition("RiskTooHigh", message))
}

fn suspend(seen: &Observed, why: Condition) -> Plan {
    Plan {
        credential: removal(seen),
        status: Some(Status {
            certificate: ended_certificate(seen),
            secret: None,
            bundle_sequence: None,
            resumed: seen.recorded.resumed,
            conditions: vec![why],
            ..same(seen)
        }),
        again: deadline(seen).filter(|deadline| *deadline > seen.now),
        delete_identity: false,
    }
}

/// Nothing can be issued: a good certificate stays until it ends, unless its owner is gone.
fn hold(seen: &Observed, kind: &'static str, why: Refusal) -> Plan {
    let owner_gone = seen.owner == OwnerSeen::Missing && begun(seen).is_some();
    let kept = live_certificate(seen).filter(|_| !owner_gone);
    let ready = match &kept {
        Some(_) => issued(seen),
        None => Condition {
            kind: "Ready",
            status: false,
            reason: why.reason.to_owned(),
            message: why.message.clone(),
        },
    };
    let obstacle = Condition {
        kind,
        status: true,
        reason: why.reason.to_owned(),
        message: why.message,
    };
    // What it waits for wakes it; the look-again mends a lost event.
    let moments = [
        Some(later(seen.now, LOOK_AGAIN)),
        kept.as_ref().map(|certificate| certificate.not_after),
        deadline(seen),
    ];
    Plan {
        // A dead one that may not be touched stays until its task's end.
        credential: match &seen.credential {
            _ if kept.is_some() => Credential::Keep,
            CredentialSeen::NotEnabled | CredentialSeen::Forbidden(_) => Credential::Keep,
            _ => removal(seen),
        },
        // With a clock that is off, what is past by it isn't over.
        again: moments
            .into_iter()
            .flatten()
            .filter(|moment| *moment > seen.now)
            .min(),
        status: Some(Status {
            observed_generation: match (&kept, &seen.closed) {
                // What the spec asks for is yet to be done, once there is no obstacle any more.
                (Some(_), Some(_)) => seen.recorded.observed_generation,
                _ => seen.identity.generation,
            },
            secret: kept.as_ref().and_then(|_| held_secret(seen)),
            bundle_sequence: kept.as_ref().and_then(|_| held_bundle(seen)),
            certificate: kept.or_else(|| ended_certificate(seen)),
            conditions: vec![ready, obstacle],
            ..same(seen)
        }),
        delete_identity: false,
    }
}

/// Its task runs and everything is in order: keep what is good, else issue.
fn run(seen: &Observed, issue: Issue) -> Plan {
    let base = Status {
        task_uid: Some(issue.task_uid.clone()),
        outcome: Some(Outcome::Running),
        first_issue: begun(seen).or(Some(seen.now)),
        deadline: Some(issue.not_after_cap),
        conditions: vec![issued(seen)],
        ..same(seen)
    };
    match live_certificate(seen).filter(|certificate| still_good(seen, &issue, certificate)) {
        Some(certificate) => {
            let renewal = certificate
                .renewal
                .filter(|_| !at_the_cap(&issue, &certificate));
            let end = certificate.not_after.min(issue.not_after_cap);
            Plan {
                credential: Credential::Keep,
                again: Some(renewal.map_or(end, |renewal| renewal.min(end))),
                status: Some(Status {
                    secret: held_secret(seen),
                    certificate: Some(certificate),
                    ..base
                }),
                delete_identity: false,
            }
        }
        None => Plan {
            again: Some(seen.now),
            credential: Credential::Issue(issue),
            status: Some(base),
            delete_identity: false,
        },
    }
}

/// Its task runs and everything is in order: its pods may have certificates, which the issuing
/// endpoint signs without a word here.
fn offer(seen: &Observed, issue: Issue) -> Plan {
    let message = format!(
        "pods of task {} get certificates of {} s from the issuing endpoint",
        task_name(seen),
        issue.ttl_seconds
    );
    Plan {
        credential: Credential::Keep,
        again: Some(issue.not_after_cap),
        status: Some(Status {
            task_uid: Some(issue.task_uid),
            outcome: Some(Outcome::Running),
            first_issue: begun(seen).or(Some(seen.now)),
            deadline: Some(issue.not_after_cap),
            offered: Some(issue.spiffe_id),
            conditions: vec![Condition {
                kind: "Ready",
                status: true,
                reason: "Issuable".to_owned(),
                message,
            }],
            ..same(seen)
        }),
        delete_identity: false,
    }
}

/// Is this certificate the one that the spec asks for, and not due?
fn still_good(seen: &Observed, issue: &Issue, certificate: &Certificate) -> bool {
    let authority = match &seen.domain {
        DomainSeen::Found { ready: Ok(it), .. } => it,
        _ => &Authority { reissue: false },
    };
    let at_the_cap = at_the_cap(issue, certificate);
    let due = certificate
        .renewal
        .is_some_and(|renewal| renewal <= seen.now && !at_the_cap);
    // The one part of the spec that may change under a live certificate is its lifetime.
    let issued_at = certificate.not_before + BACKDATE;
    let life = certificate.not_after.duration_since(issued_at).as_secs();
    let life = u64::try_from(life).unwrap_or(0);
    let changed = seen.recorded.observed_generation < seen.identity.generation
        && (life > issue.ttl_seconds || (life < issue.ttl_seconds && !at_the_cap));
    // The generation may have been recorded under a refusal, when nothing could be issued.
    let too_long = seen.identity.ttl_seconds.is_some_and(|asked| life > asked);
    certificate.spiffe_id == issue.spiffe_id && !authority.reissue && !due && !changed && !too_long
}

/// Renewing what ends at the deadline anyway would give the same end again.
fn at_the_cap(issue: &Issue, certificate: &Certificate) -> bool {
    certificate.not_after >= whole_seconds(issue.not_after_cap)
}

/// Is there anything of ours to take away?
fn removal(seen: &Observed) -> Credential {
    match &seen.credential {
        CredentialSeen::AsRecorded
        | CredentialSeen::Unread(_)
        | CredentialSeen::Adoptable { .. }
        | CredentialSeen::Tampered(_) => Credential::Remove,
        // A Secret without its label is missing to the watch; it is still the one that was written.
        CredentialSeen::NotYet
        | CredentialSeen::Missing
        | CredentialSeen::NotEnabled
        | CredentialSeen::Forbidden(_)
            if seen.recorded.secret.is_some() =>
        {
            Credential::Remove
        }
        _ => Credential::Keep,
    }
}

/// The first issue: as recorded, or as a certificate tells whose record was lost.
fn begun(seen: &Observed) -> Option<Timestamp> {
    let adopted = adopted(seen).map(|it| (it.not_before + BACKDATE).min(seen.now));
    seen.recorded.first_issue.or(adopted)
}

/// A certificate whose record was lost, or whose Secret got another label. What is over already has
/// its record.
fn adopted(seen: &Observed) -> Option<&Certificate> {
    match &seen.credential {
        CredentialSeen::Adoptable { certificate, .. } if seen.recorded.completed.is_none() => {
            Some(certificate)
        }
        _ => None,
    }
}

/// The certificate that is in the agent's hands and not over.
fn live_certificate(seen: &Observed) -> Option<Certificate> {
    let certificate = match &seen.credential {
        CredentialSeen::AsRecorded => seen.recorded.certificate.clone(),
        CredentialSeen::Adoptable { certificate, .. } => Some(certificate.clone()),
        // What was delivered before the operator lost the right to see it is still there.
        CredentialSeen::NotEnabled | CredentialSeen::Forbidden(_)
            if seen.recorded.secret.is_some() =>
        {
            seen.recorded.certificate.clone()
        }
        _ => None,
    };
    certificate.filter(|certificate| seen.clock_off || certificate.not_after > seen.now)
}

fn held_secret(seen: &Observed) -> Option<SecretVersion> {
    match &seen.credential {
        CredentialSeen::Adoptable { version, .. } => Some(version.clone()),
        _ => seen.recorded.secret.clone(),
    }
}

fn held_bundle(seen: &Observed) -> Option<i64> {
    match &seen.credential {
        CredentialSeen::Adoptable {
            bundle_sequence, ..
        } => Some(*bundle_sequence),
        _ => seen.recorded.bundle_sequence,
    }
}

/// The facts of the last certificate without what is of use only while it is live.
fn ended_certificate(seen: &Observed) -> Option<Certificate> {
    // One that was written and never recorded is recorded now: its serial must be known.
    let last = match &seen.credential {
        CredentialSeen::Adoptable { certificate, .. } => Some(certificate),
        _ => seen.recorded.certificate.as_ref(),
    };
    last.map(|certificate| Certificate {
        chain: None,
        renewal: None,
        ..certificate.clone()
    })
}

fn issued(seen: &Observed) -> Condition {
    Condition {
        kind: "Ready",
        status: true,
        reason: "Issued".to_owned(),
        message: format!("certificate issued for task {}", task_name(seen)),
    }
}

/// What was recorded, at the generation that is looked at. What a certificate without a record
/// tells is recorded whatever else is wrong: without it neither its task's end nor its deadline
/// would end it.
fn same(seen: &Observed) -> Status {
    let recorded = &seen.recorded;
    let adopted = match (adopted(seen), &seen.task) {
        (Some(_), TaskSeen::Found { uid, .. }) => Some(uid),
        _ => None,
    };
    Status {
        observed_generation: seen.identity.generation,
        task_uid: recorded.task_uid.as_ref().or(adopted).cloned(),
        outcome: recorded
            .outcome
            .or_else(|| adopted.map(|_| Outcome::Running)),
        finished: recorded.finished,
        first_issue: begun(seen),
        deadline: deadline(seen),
        offered: recorded.offered.clone(),
        resumed: resumed(seen),
        certificate: recorded.certificate.clone(),
        secret: recorded.secret.clone(),
        bundle_sequence: held_bundle(seen),
        conditions: Vec::new(),
    }
}

/// From when on certificates in pods count: those of before a suspension, which nobody can take
/// away, don't. To the second, as a certificate tells when it was issued.
fn resumed(seen: &Observed) -> Option<Timestamp> {
    if seen.recorded.suspended && seen.recorded.offered.is_some() {
        return Some(after(seen.now, 1));
    }
    seen.recorded.resumed
}

/// When its time is up: nothing before the first issue. A cap that was lowered since counts, but
/// for what is over already: its record is history.
pub(crate) fn deadline(seen: &Observed) -> Option<Timestamp> {
    if seen.recorded.completed.is_some() {
        return seen.recorded.deadline;
    }
    let begun = begun(seen)?;
    let cap = match &seen.domain {
        DomainSeen::Found {
            max_lifetime_seconds,
            ..
        } => Some(after(begun, *max_lifetime_seconds)),
        DomainSeen::Missing => None,
    };
    let asked = seen
        .identity
        .deadline_seconds
        .map(|seconds| after(begun, seconds));
    [cap, asked, seen.recorded.deadline]
        .into_iter()
        .flatten()
        .min()
}

/// When a certificate issued at `issued` is renewed.
pub(crate) fn renewal(
    issued: Timestamp,
    not_after: Timestamp,
    uid: &str,
    serial_number: &str,
) -> Timestamp {
    // To the second, as status has it: what is read back must equal what was planned.
    let renewal = schedule::renewal_time(issued, not_after, &[uid, serial_number]);
    // Not at once: what an ending authority signs for a last second would be renewed in a loop.
    whole_seconds(renewal).max(after(issued, 1))
}

pub(crate) fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

/// `jobs.batch/reconcile`, as kubectl takes it.
pub(crate) fn task_name(seen: &Observed) -> String {
    let task = &seen.identity.task;
    if task.group.is_empty() {
        format!("{}/{}", task.resource, task.name)
    } else {
        format!("{}.{}/{}", task.resource, task.group, task.name)
    }
}

pub(crate) fn after(moment: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    later(moment, SignedDuration::from_secs(seconds))
}

fn later(moment: Timestamp, wait: SignedDuration) -> Timestamp {
    whole_seconds(moment.checked_add(wait).unwrap_or(Timestamp::MAX))
}
