//! What the audit log keeps of identities.

use countersign_api as api;
use countersign_audit::{Entry, Kind, ObjectRef, Outcome, Requester, Task};
use countersign_authority::Leaf;
use jiff::Timestamp;

use super::observed::{Identity, Observed};
use super::plan::{Issue, Status};

/// A certificate is about to be handed out.
pub(crate) fn issued(seen: &Observed, order: &Issue, leaf: &Leaf) -> Entry {
    let kind = if order.renewal {
        Kind::IdentityRenewed
    } else {
        Kind::IdentityIssued
    };
    let mut entry = entry(seen, kind, Outcome::Allowed, Some(&order.task_uid));
    entry.spiffe_id = Some(order.spiffe_id.clone());
    entry.serial_number = Some(leaf.serial_number.clone());
    entry.not_after = Some(leaf.not_after);
    entry.authority_id = Some(leaf.authority_id.to_string());
    entry.permissions.clone_from(&seen.identity.grants);
    "Issued".clone_into(&mut entry.reason);
    entry
}

/// It is suspended, active again or refused, by a status that says so for the first time.
pub(crate) fn changed(seen: &Observed, status: &Status, kind: Kind) -> Option<Entry> {
    let (condition, outcome) = match kind {
        Kind::IdentitySuspended => ("Suspended", Outcome::Ended),
        Kind::IdentityResumed => ("Ready", Outcome::Allowed),
        _ => ("Stalled", Outcome::Refused),
    };
    let why = status.conditions.iter().find(|it| it.kind == condition)?;
    let mut entry = entry(seen, kind, outcome, status.task_uid.as_ref());
    let certificate = status.certificate.as_ref();
    entry.spiffe_id =
        (certificate.map(|it| it.spiffe_id.clone())).or_else(|| status.offered.clone());
    entry.serial_number = certificate.map(|it| it.serial_number.clone());
    if outcome == Outcome::Refused {
        entry.permissions = crate::grant::asked(&seen.identity.grants);
    }
    entry.reason.clone_from(&why.reason);
    entry.message.clone_from(&why.message);
    Some(entry)
}

/// It is over, as its object says: for whoever sees that for the first time.
pub(crate) fn ended(object: &api::AgentIdentity, now: Timestamp) -> Option<Entry> {
    let (reason, message) = super::parse::recorded(object).completed?;
    let mut entry = of_object(object, now);
    entry.reason = reason;
    entry.message = message;
    Some(entry)
}

/// Its object is gone, though it wasn't over: `None` for what was over before, or never held
/// anything.
pub(crate) fn deleted(object: &api::AgentIdentity, now: Timestamp) -> Option<Entry> {
    let recorded = super::parse::recorded(object);
    let held = recorded.certificate.is_some() || recorded.offered.is_some();
    if recorded.completed.is_some() || !held {
        return None;
    }
    let mut entry = of_object(object, now);
    "Deleted".clone_into(&mut entry.reason);
    Some(entry)
}

fn of_object(object: &api::AgentIdentity, now: Timestamp) -> Entry {
    let identity = super::parse::identity(object);
    let recorded = super::parse::recorded(object);
    let certificate = recorded.certificate.as_ref();
    let mut entry = bare(&identity, now, Kind::IdentityEnded, Outcome::Ended);
    if let (Some(task), Some(uid)) = (&mut entry.task, &recorded.task_uid) {
        task.uid.clone_from(uid);
    }
    entry.spiffe_id =
        (certificate.map(|it| it.spiffe_id.clone())).or_else(|| recorded.offered.clone());
    entry.serial_number = certificate.map(|it| it.serial_number.clone());
    entry
}

fn entry(seen: &Observed, kind: Kind, outcome: Outcome, task_uid: Option<&String>) -> Entry {
    let mut entry = bare(&seen.identity, seen.now, kind, outcome);
    if let (Some(task), Some(uid)) = (&mut entry.task, task_uid) {
        task.uid.clone_from(uid);
    }
    entry
}

fn bare(identity: &Identity, now: Timestamp, kind: Kind, outcome: Outcome) -> Entry {
    let object = ObjectRef {
        kind: "AgentIdentity".to_owned(),
        namespace: Some(identity.namespace.clone()),
        name: identity.name.clone(),
        uid: identity.uid.clone(),
    };
    let mut entry = Entry::new(now, kind, outcome, identity.trust_domain.clone(), object);
    entry.owner = Some(identity.owner.clone());
    entry.requester = identity.requester.as_ref().map(|requester| Requester {
        username: requester.username.clone(),
        uid: requester.uid.clone(),
    });
    entry.task = Some(Task {
        group: identity.task.group.clone(),
        resource: identity.task.resource.clone(),
        namespace: identity.namespace.clone(),
        name: identity.task.name.clone(),
        uid: String::new(),
    });
    entry
}
