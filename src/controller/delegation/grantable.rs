//! May a delegation be countersigned, and what exactly? Asked at the grant and at every later pass:
//! what holds no more is held back.

use countersign_core::{Grant, Requester, SpiffeId, narrow};
use countersign_statement::agent::check_within;
use countersign_statement::{Broken, Claims, Digest, MAX_DEPTH, check_hop, owner_subject};
use jiff::{SignedDuration, Timestamp};

use super::observed::{
    Agent, AgentSeen, Delegation, DelegatorSeen, From, Life, ObjectName, Observed, OwnerSeen,
    Parent, ParentSeen, Standing,
};
use super::plan::later;
use crate::identity::{Admits, Refusal};

/// Each pair is held against all that is granted above, at every pass.
const MAX_PAIRS: usize = 1024;

/// Why nothing can be countersigned.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// It will come by itself.
    Wait(Refusal),
    /// Only a person can mend it.
    Refuse(Refusal),
}

/// What is to be countersigned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    /// The owner's grants, at a root: countersigned first, as hop 0.
    pub(crate) first: Option<Claims>,
    /// This hop. At a root `parent` is filled in once hop 0 is signed.
    pub(crate) claims: Claims,
}

impl Delegation {
    /// Its own name.
    pub(crate) fn key(&self) -> ObjectName {
        ObjectName {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl Observed {
    /// When it ends at the latest, by its own spec and the trust domain.
    pub(crate) fn latest_end(&self) -> Option<Timestamp> {
        let life = match self.domain.max_lifetime_seconds {
            0 => self.delegation.expires_after_seconds,
            most => self.delegation.expires_after_seconds.min(most),
        };
        let life = SignedDuration::from_secs(i64::try_from(life).unwrap_or(i64::MAX));
        Some(later(self.delegation.created, life))
    }
}

/// What is to be countersigned, or what stands against it.
pub(crate) fn grantable(seen: &Observed) -> Result<Proposal, Obstacle> {
    if let Some(why) = &seen.closed {
        return Err(Obstacle::Refuse(why.clone()));
    }
    if seen.clock_off {
        return wait(
            "ClockSkew",
            "the operator's clock and the API server's are too far apart: nothing is countersigned",
        );
    }
    let Some(requester) = &seen.delegation.requester else {
        return refuse(
            "RequesterMissing",
            "spec.requester is missing: create the delegation again, with the admission policies in place",
        );
    };
    let pairs = |grant: &Grant| grant.actions.len().saturating_mul(grant.resources.len());
    if seen.delegation.grants.iter().map(pairs).sum::<usize>() > MAX_PAIRS {
        return refuse(
            "GrantsTooLarge",
            "spec.grants has more than 1024 pairs of an action and a resource: write patterns, or several delegations",
        );
    }
    if seen.delegation.unknown_constraint {
        return refuse(
            "UnknownConstraint",
            "spec.grants has a constraint that this version of the operator doesn't know",
        );
    }
    let delegator = delegator(seen)?;
    let delegate = ready_agent(&seen.delegate, "delegate", &seen.delegation.to.name)?;
    let parent = parent(seen, delegator)?;
    if !seen.accepted {
        return refuse(
            "NamespaceNotAccepting",
            &format!(
                "namespace {} takes no delegations from other namespaces: its label {} must be true",
                seen.delegation.to.namespace,
                countersign_api::ACCEPT_DELEGATIONS_LABEL
            ),
        );
    }
    may_delegate(seen, requester)?;
    seen.domain.ready.clone().map_err(Obstacle::Wait)?;
    let proposal = propose(seen, requester, delegate, parent)?;
    check(seen, &proposal)?;
    check_holds(delegator, &proposal)?;
    check_signed(seen, &proposal.claims)?;
    Ok(proposal)
}

fn delegator(seen: &Observed) -> Result<Option<(&Agent, &str)>, Obstacle> {
    match (&seen.delegator, &seen.delegation.from) {
        (DelegatorSeen::Owner(OwnerSeen::Missing), From::Owner(name)) => refuse(
            "UnknownOwner",
            &format!("there is no AgentOwner {name}: an admin creates it"),
        ),
        (DelegatorSeen::Agent(agent), From::Agent(name)) => {
            ready_agent(agent, "delegator", name).map(Some)
        }
        _ => Ok(None),
    }
}

/// The agent and its SPIFFE ID.
fn ready_agent<'a>(
    agent: &'a AgentSeen,
    role: &str,
    name: &str,
) -> Result<(&'a Agent, &'a str), Obstacle> {
    let (reason_missing, reason_waiting) = if role == "delegate" {
        ("DelegateNotFound", "DelegateNotReady")
    } else {
        ("DelegatorNotFound", "DelegatorNotReady")
    };
    match agent {
        AgentSeen::Missing => wait(
            reason_missing,
            &format!("waiting for AgentIdentity {name}, its {role}"),
        ),
        AgentSeen::Found(agent) => match &agent.life {
            Life::Live { spiffe_id } if agent.task.is_some() => Ok((agent, spiffe_id)),
            _ => wait(
                reason_waiting,
                &format!(
                    "waiting for AgentIdentity {name}, its {role}, to be issued: it has no SPIFFE ID yet"
                ),
            ),
        },
    }
}

fn parent<'a>(
    seen: &'a Observed,
    delegator: Option<(&Agent, &str)>,
) -> Result<Option<&'a Parent>, Obstacle> {
    let name = || {
        let parent = seen.delegation.parent.as_ref();
        parent.map_or_else(String::new, |it| format!("{}/{}", it.namespace, it.name))
    };
    let parent = match &seen.parent {
        ParentSeen::None => return Ok(None),
        ParentSeen::Stranger => return not_the_delegate(&name()),
        ParentSeen::Missing => {
            return wait(
                "ParentNotFound",
                &format!("waiting for Delegation {}, its parent", name()),
            );
        }
        ParentSeen::Found(parent) => parent,
    };
    // By what its status says, and by what was signed.
    let (uid, spiffe_id) = delegator
        .map(|(agent, id)| (agent.uid.as_str(), id))
        .unzip();
    let given = parent.chain.as_ref().map(|it| it.leaf().claims());
    let given = given.map(|claims| claims.subject.as_str());
    if parent.delegate.is_some() && parent.delegate.as_deref() != uid
        || given.is_some() && given != spiffe_id
    {
        return not_the_delegate(&name());
    }
    match &parent.standing {
        Standing::Good if parent.chain.is_some() => Ok(Some(parent)),
        Standing::Held(why) => wait(
            "ParentNotReady",
            &format!("Delegation {}, its parent, is held back: {why}", name()),
        ),
        _ => wait(
            "ParentNotReady",
            &format!(
                "waiting for Delegation {}, its parent, to be countersigned",
                name()
            ),
        ),
    }
}

fn not_the_delegate<T>(parent: &str) -> Result<T, Obstacle> {
    refuse(
        "NotTheDelegate",
        &format!(
            "Delegation {parent} gives to another agent than its delegator: an agent hands on only what it was given"
        ),
    )
}

fn may_delegate(seen: &Observed, requester: &Requester) -> Result<(), Obstacle> {
    if seen.recorded.granted {
        return Ok(()); // what was allowed then stays allowed
    }
    match (&seen.admits, &seen.delegation.from) {
        (Admits::Yes, _) => Ok(()),
        (Admits::No, From::Owner(owner)) => refuse(
            "MayNotBind",
            &format!(
                "{} is not among the subjects of AgentOwner {owner}, and does not hold the verb bind on agentowners.countersign.dev/{owner}",
                requester.username
            ),
        ),
        (Admits::No, From::Agent(agent)) => refuse(
            "MayNotDelegate",
            &format!(
                "{} does not hold the verb delegate on agentidentities.countersign.dev/{agent} in namespace {}, and is not among the subjects of its owner",
                requester.username, seen.delegation.namespace
            ),
        ),
        (Admits::Unknown(why), _) => wait(
            "RequesterUnverified",
            &format!(
                "can't ask whether {} may delegate: {why}",
                requester.username
            ),
        ),
    }
}

fn propose(
    seen: &Observed,
    requester: &Requester,
    (delegate, spiffe_id): (&Agent, &str),
    parent: Option<&Parent>,
) -> Result<Proposal, Obstacle> {
    let asked = &seen.delegation;
    let Some(domain) = &seen.domain.name else {
        return wait("TrustDomainNotReady", "its trust domain is not there yet");
    };
    let (first, above, digest) = match parent.and_then(|parent| parent.chain.as_ref()) {
        Some(chain) => {
            let leaf = chain.leaf();
            (None, leaf.claims().clone(), Some(*leaf.digest()))
        }
        None => {
            let first = first(seen, domain)?;
            (Some(first.clone()), first, None)
        }
    };
    // A delegator signs before the delegation is created: its own end comes first.
    let signed = match &seen.signed {
        Some(Ok(signed)) => Some(signed.request.expires_at),
        _ => None,
    };
    let ends = [
        seen.latest_end(),
        delegate.deadline,
        Some(above.expires_at),
        signed,
    ];
    let expires_at = ends.into_iter().flatten().min().unwrap_or(above.expires_at);
    let depth = above.depth.saturating_add(1);
    Ok(Proposal {
        first,
        claims: Claims {
            issuer: domain.clone(),
            subject: subject(spiffe_id)?,
            delegator: Some(above.subject.clone()),
            id: asked.uid.clone(),
            // Another replica's clock may be a little ahead: no hop begins before the one above.
            issued_at: seen.now.max(above.issued_at),
            expires_at: crate::identity::whole_seconds(expires_at),
            depth,
            // An expiry or depth beyond the parent's is cut to it; only wider grants are refused.
            max_depth: depth.saturating_add(asked.max_depth).min(above.max_depth),
            parent: digest,
            grants: asked.grants.clone(),
            owner: above.owner.clone(),
            task: delegate.task.clone(),
            requester: Some(requester.username.clone()),
            agent_statement: asked.statement.clone(),
        },
    })
}

/// Hop 0: what the owner may hand on.
fn first(seen: &Observed, domain: &countersign_core::TrustDomainName) -> Result<Claims, Obstacle> {
    let (From::Owner(name), DelegatorSeen::Owner(OwnerSeen::Found { uid, grants, .. })) =
        (&seen.delegation.from, &seen.delegator)
    else {
        return wait("ParentNotFound", "waiting for its parent");
    };
    Ok(Claims {
        issuer: domain.clone(),
        subject: owner_subject(domain, name).map_err(|why| refusal(&why))?,
        delegator: None,
        id: format!("{uid}/{}", seen.delegation.uid),
        issued_at: seen.now,
        expires_at: seen.latest_end().unwrap_or(seen.now),
        depth: 0,
        max_depth: MAX_DEPTH,
        parent: None,
        grants: grants.clone(),
        owner: name.clone(),
        task: None,
        requester: None,
        agent_statement: None,
    })
}

/// The rules of a chain, as everybody who verifies it will ask them.
fn check(seen: &Observed, proposal: &Proposal) -> Result<(), Obstacle> {
    let mut claims = proposal.claims.clone();
    let checked = match (&proposal.first, &seen.parent) {
        (Some(first), _) => {
            let digest = Digest::from_bytes([0; 32]); // not signed yet: any will do for both sides
            claims.parent = Some(digest);
            check_hop(first, &digest, &[], &claims)
        }
        (None, ParentSeen::Found(parent)) => match &parent.chain {
            Some(chain) => {
                let ancestors: Vec<&str> = chain
                    .hops()
                    .map(|hop| hop.claims().subject.as_str())
                    .collect();
                let leaf = chain.leaf();
                check_hop(leaf.claims(), leaf.digest(), &ancestors, &claims)
            }
            None => return wait("ParentNotReady", "waiting for its parent"),
        },
        _ => return wait("ParentNotFound", "waiting for its parent"),
    };
    checked.map_err(|broken| refusal(&broken))
}

/// What an agent hands on must be within its own grants, too: those are the most it may ever do.
fn check_holds(delegator: Option<(&Agent, &str)>, proposal: &Proposal) -> Result<(), Obstacle> {
    let Some((agent, spiffe_id)) = delegator else {
        return Ok(());
    };
    narrow(&agent.grants, &proposal.claims.grants).or_else(|widening| {
        refuse(
            "DelegatorLacks",
            &format!("{widening}: not by spec.grants of the delegator itself, {spiffe_id}"),
        )
    })
}

fn subject(spiffe_id: &str) -> Result<SpiffeId, Obstacle> {
    SpiffeId::parse(spiffe_id).map_err(|why| {
        Obstacle::Refuse(Refusal {
            reason: "DelegateInvalid",
            message: format!("its delegate's SPIFFE ID can't be used: {why}"),
        })
    })
}

fn refusal(broken: &Broken) -> Obstacle {
    Obstacle::Refuse(Refusal {
        reason: reason(broken),
        message: broken.to_string(),
    })
}

fn reason(broken: &Broken) -> &'static str {
    match broken {
        Broken::Widens(_) => "GrantsWiden",
        Broken::TooDeep { .. } => "TooDeep",
        Broken::Cycle(_) => "Cycle",
        Broken::OtherTrustDomain { .. } => "OtherTrustDomain",
        _ => "ChainBroken",
    }
}

/// What the delegator signed itself must be what is asked for.
fn check_signed(seen: &Observed, claims: &Claims) -> Result<(), Obstacle> {
    let signed = match &seen.signed {
        None => return check_covered(seen, claims),
        Some(Err(why)) => return refuse("StatementInvalid", why),
        Some(Ok(signed)) => signed,
    };
    let differs = |what: &str| {
        refuse(
            "StatementDiffers",
            &format!("spec.statement and the rest of spec say different things: {what}"),
        )
    };
    if signed.revoked {
        return refuse(
            "StatementInvalid",
            "spec.statement was signed with a certificate that is revoked",
        );
    }
    let request = &signed.request;
    if let Err(why) = check_within(request, claims) {
        return differs(&why.to_string());
    }
    if request.grants != claims.grants {
        return differs("authorization_details are not spec.grants");
    }
    if request.max_depth != claims.depth.saturating_add(seen.delegation.max_depth) {
        return differs("del_max_depth is not the hop's depth and spec.maxDepth");
    }
    let life = request
        .expires_at
        .duration_since(request.issued_at)
        .as_secs();
    if u64::try_from(life).ok() != Some(seen.delegation.expires_after_seconds) {
        return differs("exp is not iat and spec.expiresAfterSeconds");
    }
    Ok(())
}

/// What was signed and countersigned covers this very delegation and parent and no other.
fn check_covered(seen: &Observed, claims: &Claims) -> Result<(), Obstacle> {
    let asked = &seen.delegation;
    if asked.statement.is_none() {
        return Ok(());
    }
    let held = seen.recorded.chain.as_ref();
    let held = held.map(|chain| chain.leaf().claims());
    let own = held.filter(|it| it.id == asked.uid && it.agent_statement == asked.statement);
    let Some(own) = own else {
        // Somebody wrote another's chain into its status: nobody has verified spec.statement.
        return refuse(
            "StatementInvalid",
            "spec.statement is not what was countersigned: create the delegation again",
        );
    };
    if own.parent != claims.parent {
        return refuse(
            "StatementOutdated",
            "what is handed on was countersigned anew since spec.statement was signed: sign a new one, in a new Delegation",
        );
    }
    Ok(())
}

fn wait<T>(reason: &'static str, message: &str) -> Result<T, Obstacle> {
    Err(Obstacle::Wait(Refusal {
        reason,
        message: message.to_owned(),
    }))
}

fn refuse<T>(reason: &'static str, message: &str) -> Result<T, Obstacle> {
    Err(Obstacle::Refuse(Refusal {
        reason,
        message: message.to_owned(),
    }))
}
