//! What the audit log keeps of delegations.

use countersign_api as api;
use countersign_audit::{DelegationRef, Entry, Kind, ObjectRef, Outcome, Requester, Task};
use countersign_core::SpiffeId;
use countersign_statement::{Digest, Statement};
use jiff::Timestamp;

use super::observed::{AgentSeen, Delegation, Observed};

/// A hop is about to be countersigned; `first` is hop 0.
pub(crate) fn granted(seen: &Observed, own: &Statement, first: Option<&(String, Digest)>) -> Entry {
    let claims = own.claims();
    let mut entry = entry(seen, Kind::DelegationGranted, Outcome::Allowed);
    entry.spiffe_id = Some(claims.subject.to_string());
    entry.not_after = Some(claims.expires_at);
    entry.permissions.clone_from(&claims.grants);
    entry.owner = Some(claims.owner.clone());
    entry.task = claims.task.as_ref().map(|task| Task {
        group: task.group.clone(),
        resource: task.resource.clone(),
        namespace: task.namespace.clone(),
        name: task.name.clone(),
        uid: task.uid.clone(),
    });
    entry.delegation = Some(DelegationRef {
        digest: own.digest().to_string(),
        parent: claims.parent.map(|parent| parent.to_string()),
        root: first.map(|(_, digest)| digest.to_string()),
        depth: claims.depth,
        uid: claims.id.clone(),
        parent_uid: seen.parent_uid().map(str::to_owned),
        expires: claims.expires_at,
        delegator: claims
            .delegator
            .as_ref()
            .filter(|_| claims.depth > 1)
            .map(SpiffeId::to_string),
        delegate: Some(claims.subject.to_string()),
    });
    "Countersigned".clone_into(&mut entry.reason);
    entry
}

/// It isn't countersigned, or doesn't count for now.
pub(crate) fn refused(seen: &Observed, reason: &str, message: &str) -> Entry {
    let mut entry = entry(seen, Kind::DelegationRefused, Outcome::Refused);
    reason.clone_into(&mut entry.reason);
    message.clone_into(&mut entry.message);
    entry.permissions = crate::grant::asked(&seen.delegation.grants);
    recorded(seen, &mut entry);
    entry
}

/// It is over, as its object says: for whoever sees that for the first time.
pub(crate) fn ended(object: &api::Delegation, now: Timestamp) -> Option<Entry> {
    let (reason, message) = super::parse::recorded(object, None).completed?;
    let mut entry = of_object(object, now);
    entry.reason = reason;
    entry.message = message;
    Some(entry)
}

/// Its object is gone, though it wasn't over: `None` for what was over before, or granted nothing.
pub(crate) fn deleted(object: &api::Delegation, now: Timestamp) -> Option<Entry> {
    let recorded = super::parse::recorded(object, None);
    if recorded.completed.is_some() || recorded.digest.is_none() {
        return None;
    }
    let mut entry = of_object(object, now);
    "Deleted".clone_into(&mut entry.reason);
    Some(entry)
}

fn of_object(object: &api::Delegation, now: Timestamp) -> Entry {
    let asked = super::parse::delegation(object);
    let recorded = super::parse::recorded(object, None);
    let delegate = recorded.shown.delegate.clone();
    let domain = domain_of(delegate.as_deref());
    let mut entry = bare(&asked, now, Kind::DelegationEnded, Outcome::Ended, domain);
    entry.owner = recorded.shown.root.as_ref().map(|root| root.owner.clone());
    entry.delegation = recorded.digest.map(|digest| DelegationRef {
        digest: digest.to_string(),
        parent: None,
        root: None,
        depth: recorded.shown.depth.unwrap_or_default(),
        uid: asked.uid.clone(),
        parent_uid: recorded.parent.clone(),
        expires: recorded.expires.unwrap_or(now),
        delegator: recorded
            .shown
            .delegator
            .clone()
            .filter(|_| recorded.shown.depth.is_some_and(|depth| depth > 1)),
        delegate: delegate.clone(),
    });
    entry.spiffe_id = delegate;
    entry
}

/// What the status knows of a statement that was granted before.
fn recorded(seen: &Observed, entry: &mut Entry) {
    let shown = &seen.recorded.shown;
    entry.spiffe_id.clone_from(&shown.delegate);
    entry.owner = shown.root.as_ref().map(|root| root.owner.clone());
    let chain = seen.recorded.chain.as_ref();
    entry.delegation = seen.recorded.digest.map(|digest| DelegationRef {
        digest: digest.to_string(),
        parent: chain
            .and_then(|chain| chain.leaf().claims().parent)
            .map(|parent| parent.to_string()),
        root: chain.map(|chain| chain.root().digest().to_string()),
        depth: shown.depth.unwrap_or_default(),
        uid: seen.delegation.uid.clone(),
        parent_uid: seen.recorded.parent.clone(),
        expires: seen.recorded.expires.unwrap_or(seen.now),
        delegator: shown
            .delegator
            .clone()
            .filter(|_| shown.depth.is_some_and(|depth| depth > 1)),
        delegate: shown.delegate.clone(),
    });
}

fn entry(seen: &Observed, kind: Kind, outcome: Outcome) -> Entry {
    let domain = match &seen.delegate {
        AgentSeen::Found(agent) => agent.trust_domain.clone(),
        AgentSeen::Missing => domain_of(seen.recorded.shown.delegate.as_deref()),
    };
    bare(&seen.delegation, seen.now, kind, outcome, domain)
}

/// The trust domain of a SPIFFE ID; empty where there is none.
fn domain_of(spiffe_id: Option<&str>) -> String {
    let rest = spiffe_id.and_then(|id| id.strip_prefix("spiffe://"));
    let domain = rest.and_then(|rest| rest.split_once('/'));
    domain.map_or_else(String::new, |(domain, _)| domain.to_owned())
}

fn bare(
    asked: &Delegation,
    now: Timestamp,
    kind: Kind,
    outcome: Outcome,
    trust_domain: String,
) -> Entry {
    let object = ObjectRef {
        kind: "Delegation".to_owned(),
        namespace: Some(asked.namespace.clone()),
        name: asked.name.clone(),
        uid: asked.uid.clone(),
    };
    let mut entry = Entry::new(now, kind, outcome, trust_domain, object);
    entry.requester = asked.requester.as_ref().map(|requester| Requester {
        username: requester.username.clone(),
        uid: requester.uid.clone(),
    });
    entry
}
