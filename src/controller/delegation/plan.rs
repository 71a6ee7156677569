//! What should be, given what is. Pure: no clock, no I/O, nothing left to decide in `execute`.
//!
//! The order of the questions is the order of the promises: what is over ends first; what is
//! suspended holds nothing; a refusal countersigns nothing; and only then is anything granted.

use countersign_core::{Grant, intersect};
use countersign_statement::{Claims, Digest, Statement};
use jiff::{SignedDuration, Timestamp};

use super::grantable::{Obstacle, Proposal, grantable};
use super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Root, Shown, Standing,
};
use super::over::over;
use crate::identity::{OwnerState, Refusal};
use crate::retired::Before;

/// What is refused or awaited is looked at again after this long, should an event have been lost.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// The bounds of grants in the schema.
const MAX_GRANTS: usize = 32;
const MAX_ACTIONS: usize = 32;
const MAX_RESOURCES: usize = 64;
/// Two sets are crossed only if they have at most so many pairs of resources: under a millisecond.
const MAX_CROSSED: usize = 1024;

/// What to do about one delegation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// What to countersign before the status is written.
    pub(crate) grant: Option<Proposal>,
    /// What the status should say. With a grant, `execute` fills in the statement. `None`: leave it.
    pub(crate) status: Option<Status>,
    /// When to look again, whatever happens.
    pub(crate) again: Option<Timestamp>,
}

/// The status as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    pub(crate) observed_generation: i64,
    pub(crate) delegator: Option<String>,
    pub(crate) delegate: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) issued: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) digest: Option<Digest>,
    /// The chain, this hop's own last; empty when it is over.
    pub(crate) statements: Vec<String>,
    pub(crate) shown: Shown,
    /// All that should be there, in the order in which they are shown.
    pub(crate) conditions: Vec<Condition>,
}

/// A condition but for the time of its last transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kind: &'static str,
    pub(crate) status: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Decides.
pub(crate) fn plan(seen: &Observed) -> Plan {
    if seen.delegation.deleting {
        return Plan {
            grant: None,
            status: None,
            again: None,
        };
    }
    if let Some((reason, message)) = over(seen) {
        return complete(seen, reason, message);
    }
    if let Some(why) = suspended(seen) {
        return hold(seen, "Suspended", why);
    }
    let unsure = seen.domain.ready.is_err() || seen.closed.is_some() || seen.clock_off;
    if seen.recorded.granted && unsure {
        // Nothing new is granted, and what was stays as it is.
        return Plan {
            grant: None,
            status: None,
            again: Some(later(seen.now, LOOK_AGAIN)),
        };
    }
    if seen.before == Before::NotKnown {
        return Plan {
            grant: None,
            status: None,
            again: Some(later(seen.now, SignedDuration::from_secs(1))),
        };
    }
    match grantable(seen) {
        Ok(proposal) => grant(seen, proposal),
        Err(Obstacle::Wait(why)) => hold(seen, "Reconciling", why),
        Err(Obstacle::Refuse(why)) => hold(seen, "Stalled", why),
    }
}

fn complete(seen: &Observed, reason: String, message: String) -> Plan {
    Plan {
        grant: None,
        status: Some(Status {
            finished: Some(seen.recorded.finished.unwrap_or(seen.now)),
            // Nobody copies from here what is over. Its digest stays: revocation lists have it.
            statements: Vec::new(),
            conditions: vec![Condition {
                kind: "Completed",
                status: true,
                reason,
                message,
            }],
            ..same(seen)
        }),
        again: None,
    }
}

/// Is something that it rests on suspended?
fn suspended(seen: &Observed) -> Option<Refusal> {
    let why = |reason, message| Some(Refusal { reason, message });
    match &seen.delegator {
        DelegatorSeen::Owner(OwnerSeen::Found {
            state: OwnerState::Suspended,
            ..
        }) => return why("OwnerSuspended", "its owner is suspended".to_owned()),
        DelegatorSeen::Agent(AgentSeen::Found(agent)) if is_suspended(&agent.life) => {
            return why(
                "DelegatorSuspended",
                "its delegator is suspended".to_owned(),
            );
        }
        _ => {}
    }
    if let AgentSeen::Found(agent) = &seen.delegate
        && is_suspended(&agent.life)
    {
        return why("DelegateSuspended", "its delegate is suspended".to_owned());
    }
    match &seen.parent {
        ParentSeen::Found(parent) => match &parent.standing {
            Standing::Suspended(message) => why("ParentSuspended", message.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn is_suspended(life: &Life) -> bool {
    matches!(life, Life::Suspended { .. })
}

/// Nothing is granted, and what was granted doesn't count for now: revocation lists have it.
fn hold(seen: &Observed, kind: &'static str, why: Refusal) -> Plan {
    let condition = |kind, status| Condition {
        kind,
        status,
        reason: why.reason.to_owned(),
        message: why.message.clone(),
    };
    let conditions = if kind == "Suspended" {
        vec![condition(kind, true)]
    } else {
        vec![condition("Ready", false), condition(kind, true)]
    };
    let ends = seen.recorded.expires.or_else(|| seen.latest_end());
    Plan {
        grant: None,
        status: Some(Status {
            conditions,
            ..same(seen)
        }),
        again: [Some(later(seen.now, LOOK_AGAIN)), ends]
            .into_iter()
            .flatten()
            .filter(|moment| *moment > seen.now)
            .min(),
    }
}

fn grant(seen: &Observed, proposal: Proposal) -> Plan {
    let expires = proposal.claims.expires_at;
    let shown = shown(seen, &proposal.claims);
    let without_effect = if shown.grants.is_empty() {
        "; nothing of it is in effect: the delegate's own spec.grants have none of it"
    } else {
        ""
    };
    let base = Status {
        shown,
        conditions: vec![Condition {
            kind: "Ready",
            status: true,
            reason: "Countersigned".to_owned(),
            message: format!(
                "hop {} from owner {}, countersigned by trust domain {}{without_effect}",
                proposal.claims.depth, proposal.claims.owner, proposal.claims.issuer
            ),
        }],
        ..same(seen)
    };
    match kept(seen, &proposal) {
        Some(leaf) => Plan {
            grant: None,
            again: Some(leaf.claims().expires_at),
            status: Some(Status {
                issued: Some(leaf.claims().issued_at),
                expires: Some(leaf.claims().expires_at),
                digest: Some(*leaf.digest()),
                ..base
            }),
        },
        None => Plan {
            again: Some(expires),
            status: Some(Status {
                issued: Some(proposal.claims.issued_at),
                expires: Some(expires),
                ..base
            }),
            grant: Some(proposal),
        },
    }
}

/// The statement that was countersigned before, if it says what is asked for now. It doesn't when
/// its parent was countersigned anew, after a key was distrusted or somebody edited a status.
fn kept<'a>(seen: &'a Observed, proposal: &Proposal) -> Option<&'a Statement> {
    let chain = seen.recorded.chain.as_ref()?;
    let (leaf, wanted) = (chain.leaf(), &proposal.claims);
    let held = leaf.claims();
    let parent = proposal.first.is_some() || held.parent == wanted.parent;
    let expected = Claims {
        issued_at: held.issued_at,
        expires_at: held.expires_at,
        parent: held.parent,
        ..wanted.clone()
    };
    (parent && *held == expected && held.expires_at <= wanted.expires_at).then_some(leaf)
}

fn shown(seen: &Observed, claims: &Claims) -> Shown {
    let own: &[Grant] = match &seen.delegate {
        AgentSeen::Found(agent) => &agent.grants,
        AgentSeen::Missing => &[],
    };
    Shown {
        depth: Some(claims.depth),
        grants: effective(&claims.grants, own),
        root: root(seen, claims),
        delegator: claims.delegator.as_ref().map(ToString::to_string),
        delegate: Some(claims.subject.to_string()),
    }
}

/// What both sets grant; where that is more than a status can hold, or patterns that cross would
/// take long, what was handed on.
fn effective(handed_on: &[Grant], own: &[Grant]) -> Vec<Grant> {
    let resources = |grants: &[Grant]| grants.iter().map(|it| it.resources.len()).sum::<usize>();
    if resources(handed_on).saturating_mul(resources(own)) > MAX_CROSSED {
        return handed_on.to_vec();
    }
    let common = intersect(handed_on, own);
    let fits = common.len() <= MAX_GRANTS
        && common
            .iter()
            .all(|it| it.actions.len() <= MAX_ACTIONS && it.resources.len() <= MAX_RESOURCES);
    if fits { common } else { handed_on.to_vec() }
}

fn root(seen: &Observed, claims: &Claims) -> Option<Root> {
    match (&seen.parent, &seen.delegator) {
        (ParentSeen::Found(parent), _) => parent.root.clone(),
        (_, DelegatorSeen::Owner(OwnerSeen::Found { uid, .. })) => Some(Root {
            delegation: seen.delegation.key(),
            uid: seen.delegation.uid.clone(),
            owner: claims.owner.clone(),
            owner_uid: uid.clone(),
            requester: claims.requester.clone(),
        }),
        _ => None,
    }
}

/// What was recorded, at the generation that is looked at, and the UIDs of whatever is seen for the
/// first time. What was over learns none: whoever comes by now never had anything to do with it.
fn same(seen: &Observed) -> Status {
    let recorded = &seen.recorded;
    let latch = |latched: &Option<String>, seen: Option<&String>| {
        let first = seen.filter(|_| recorded.completed.is_none());
        latched.as_ref().or(first).cloned()
    };
    let delegator = match &seen.delegator {
        DelegatorSeen::Owner(OwnerSeen::Found { uid, .. }) => Some(uid),
        DelegatorSeen::Agent(AgentSeen::Found(agent)) => Some(&agent.uid),
        _ => None,
    };
    let delegate = match &seen.delegate {
        AgentSeen::Found(agent) => Some(&agent.uid),
        AgentSeen::Missing => None,
    };
    let parent = match &seen.parent {
        ParentSeen::Found(parent) => Some(&parent.uid),
        _ => None,
    };
    Status {
        observed_generation: seen.delegation.generation,
        delegator: latch(&recorded.delegator, delegator),
        delegate: latch(&recorded.delegate, delegate),
        parent: latch(&recorded.parent, parent),
        issued: recorded.issued,
        expires: recorded.expires,
        finished: recorded.finished,
        digest: recorded.digest,
        statements: recorded.statements.clone(),
        shown: recorded.shown.clone(),
        conditions: Vec::new(),
    }
}

pub(crate) fn later(moment: Timestamp, wait: SignedDuration) -> Timestamp {
    crate::identity::whole_seconds(moment.checked_add(wait).unwrap_or(Timestamp::MAX))
}
