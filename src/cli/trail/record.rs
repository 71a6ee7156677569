//! A trail from the records of the audit log.

use std::collections::BTreeMap;

use countersign_audit::{DelegationRef, Entry, Kind, Outcome, Record};

use super::model::{Decided, End, Event, Hop, Identity, Trail};
use super::subject::Subject;
use crate::text::qualified;

/// Puts together what the log has of `records`, in any order, about `subject`.
pub(crate) fn trail(records: &[Record], subject: &Subject) -> Trail {
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by_key(|it| (it.entry.time, it.position.chain.clone(), it.position.seq));
    let hops = hops(&sorted);
    let about = about(&sorted, subject);
    let leaves: Vec<&Hop> = match &about {
        About::Delegation(digests) => {
            let found = hops
                .values()
                .filter(|(hop, _)| digests.contains(&hop.digest));
            found.map(|(hop, _)| hop).collect()
        }
        About::Identity(id) => {
            let found = hops
                .values()
                .filter(|(hop, _)| Some(&hop.to) == id.as_ref());
            found.map(|(hop, _)| hop).collect()
        }
        About::Agent(_) => Vec::new(),
    };
    let id = match &about {
        About::Identity(id) | About::Agent(id) => id.clone(),
        About::Delegation(_) => leaves.first().map(|hop| hop.to.clone()),
    };
    let decided = start(&sorted, subject).filter(|it| it.entry.kind == Kind::ActionDecided);
    let id = id.or_else(|| decided?.entry.spiffe_id.clone());
    let mut trail = Trail {
        source: "audit log",
        decision: decided.map(decision),
        identity: id.as_deref().and_then(|id| identity(&sorted, id)),
        events: sorted.iter().map(|it| event(it)).collect(),
        ..Trail::default()
    };
    for leaf in leaves {
        let (chain, gap) = chain(leaf, &hops);
        trail.chains.push(chain);
        trail.gaps.extend(gap);
    }
    if let Some(delegation) = decided.and_then(|it| it.entry.delegation.as_ref())
        && trail.chains.is_empty()
    {
        trail.gaps.push(format!(
            "the log has no record of the delegation that it was decided under (statement {}): it may be in a sealed segment",
            delegation.digest
        ));
    }
    trail.chains.sort_by(|a, b| key(a).cmp(&key(b)));
    trail.gaps.sort();
    trail.gaps.dedup();
    trail
}

/// What the chains begin with.
enum About {
    /// Whatever was delegated to it.
    Identity(Option<String>),
    /// Nothing: it acted on its own grants.
    Agent(Option<String>),
    /// The hops with these digests.
    Delegation(Vec<String>),
}

fn about(sorted: &[&Record], subject: &Subject) -> About {
    let digests = |is: &dyn Fn(&Record) -> bool| {
        let found = sorted.iter().filter(|it| is(it));
        let found = found.filter_map(|it| it.entry.delegation.as_ref());
        found.map(|it| it.digest.clone()).collect::<Vec<_>>()
    };
    match subject {
        Subject::SpiffeId(id) => About::Identity(Some(id.clone())),
        Subject::Serial(serial) => {
            let mut found = sorted
                .iter()
                .filter(|it| it.entry.serial_number.as_ref() == Some(serial));
            About::Identity(found.find_map(|it| it.entry.spiffe_id.clone()))
        }
        Subject::Digest(digest) => About::Delegation(vec![digest.clone()]),
        Subject::Uid(uid) => About::Delegation(digests(&|it| {
            it.entry
                .delegation
                .as_ref()
                .is_some_and(|it| &it.uid == uid)
        })),
        Subject::Record { .. } => {
            let entry = start(sorted, subject).map(|it| &it.entry);
            let id = entry.and_then(|it| it.spiffe_id.clone());
            let delegation = entry.and_then(|it| it.delegation.as_ref());
            match (entry.map(|it| it.kind), delegation) {
                (Some(Kind::ActionDecided), None) => About::Agent(id),
                (Some(_), None) => About::Identity(id),
                (_, delegation) => {
                    About::Delegation(delegation.iter().map(|it| it.digest.clone()).collect())
                }
            }
        }
        // Names come and go: whoever asks has looked the UID up.
        Subject::Name { .. } => About::Delegation(Vec::new()),
    }
}

/// The record that it starts with, if that is what was asked for.
fn start<'a>(sorted: &[&'a Record], subject: &Subject) -> Option<&'a Record> {
    let Subject::Record { chain, seq } = subject else {
        return None;
    };
    let is = |it: &&&Record| &it.position.chain == chain && it.position.seq == *seq;
    sorted.iter().find(is).copied()
}

fn decision(record: &Record) -> Decided {
    let entry = &record.entry;
    Decided {
        id: entry.object.uid.clone(),
        allowed: entry.outcome == Outcome::Allowed,
        time: entry.time,
        action: entry.action.clone().unwrap_or_default(),
        resource: entry.resource.clone().unwrap_or_default(),
        reason: entry.reason.clone(),
        record: position(record),
        not_given_out: None,
    }
}

fn key(chain: &[Hop]) -> Option<(Option<jiff::Timestamp>, &str)> {
    chain.first().map(|hop| (hop.granted, hop.digest.as_str()))
}

/// By digest, as granted.
type Hops = BTreeMap<String, (Hop, DelegationRef)>;

fn hops(sorted: &[&Record]) -> Hops {
    let mut hops = Hops::new();
    let granted = |it: &&&Record| it.entry.kind == Kind::DelegationGranted;
    for record in sorted.iter().filter(granted) {
        if let Some(delegation) = &record.entry.delegation {
            // The first: a record without its effect, of a crash, may come before another.
            hops.entry(delegation.digest.clone())
                .or_insert_with(|| (hop(record, delegation), delegation.clone()));
        }
    }
    for record in sorted {
        let entry = &record.entry;
        let Some(delegation) = entry.delegation.as_ref() else {
            continue;
        };
        if entry.kind == Kind::DelegationEnded
            && let Some((hop, _)) = hops.get_mut(&delegation.digest)
        {
            hop.end.get_or_insert_with(|| end(entry));
        }
    }
    hops
}

fn hop(record: &Record, delegation: &DelegationRef) -> Hop {
    let entry = &record.entry;
    let owner = || format!("owner {}", entry.owner.as_deref().unwrap_or("unknown"));
    let to = delegation
        .delegate
        .clone()
        .or_else(|| entry.spiffe_id.clone());
    Hop {
        depth: delegation.depth,
        delegation: qualified(entry.object.namespace.as_deref(), &entry.object.name),
        uid: delegation.uid.clone(),
        from: delegation.delegator.clone().unwrap_or_else(owner),
        to: to.unwrap_or_default(),
        requester: entry.requester.as_ref().map(|it| it.username.clone()),
        granted: Some(entry.time),
        expires: Some(delegation.expires),
        digest: delegation.digest.clone(),
        grants: entry.permissions.clone(),
        end: None,
        record: Some(position(record)),
    }
}

/// From `leaf` up, and what is missing above, if anything.
fn chain(leaf: &Hop, hops: &Hops) -> (Vec<Hop>, Option<String>) {
    let mut chain = vec![leaf.clone()];
    let mut at = leaf.digest.clone();
    while let Some((hop, delegation)) = hops.get(&at) {
        // Hop 0, the owner's grants, has no record of its own: the root tells of it.
        if hop.depth <= 1 {
            return (chain, None);
        }
        let parent = delegation.parent.clone().unwrap_or_default();
        match hops.get(&parent) {
            // Going up, depths fall: a forged loop ends.
            Some((above, _)) if above.depth < hop.depth => chain.push(above.clone()),
            _ => {
                let gap = format!(
                    "the log has no record of the delegation above {} (statement {parent}): it may be in a sealed segment",
                    hop.delegation
                );
                return (chain, Some(gap));
            }
        }
        at = parent;
    }
    (chain, None)
}

fn identity(sorted: &[&Record], id: &str) -> Option<Identity> {
    let mut own = sorted
        .iter()
        .map(|it| &it.entry)
        .filter(|it| is_identity(it.kind) && it.spiffe_id.as_deref() == Some(id))
        .peekable();
    let first = *own.peek()?;
    let mut found = Identity {
        spiffe_id: id.to_owned(),
        name: qualified(first.object.namespace.as_deref(), &first.object.name),
        ..Identity::default()
    };
    for entry in own {
        found.owner = found.owner.or_else(|| entry.owner.clone());
        let requester = entry.requester.as_ref();
        found.requester = found
            .requester
            .or_else(|| requester.map(|it| it.username.clone()));
        found.task = found.task.or_else(|| entry.task.as_ref().map(task));
        match entry.kind {
            Kind::IdentityIssued | Kind::IdentityRenewed => {
                found.since.get_or_insert(entry.time);
            }
            Kind::IdentityEnded => {
                found.end.get_or_insert_with(|| end(entry));
            }
            _ => {}
        }
    }
    Some(found)
}

fn is_identity(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::IdentityIssued
            | Kind::IdentityRenewed
            | Kind::IdentityEnded
            | Kind::IdentitySuspended
            | Kind::IdentityResumed
            | Kind::IdentityRefused
    )
}

fn task(task: &countersign_audit::Task) -> String {
    let resource = if task.group.is_empty() {
        task.resource.clone()
    } else {
        format!("{}.{}", task.resource, task.group)
    };
    format!("{resource} {}/{} ({})", task.namespace, task.name, task.uid)
}

fn end(entry: &Entry) -> End {
    End {
        time: Some(entry.time),
        reason: entry.reason.clone(),
    }
}

fn event(record: &Record) -> Event {
    let entry = &record.entry;
    Event {
        time: entry.time,
        kind: entry.kind.as_str().to_owned(),
        object: qualified(entry.object.namespace.as_deref(), &entry.object.name),
        serial: entry.serial_number.clone(),
        reason: entry.reason.clone(),
        record: position(record),
    }
}

/// `<chain>:<seq>`.
pub(crate) fn position(record: &Record) -> String {
    format!("{}:{}", record.position.chain, record.position.seq)
}
