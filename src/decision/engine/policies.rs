//! What policies say, of each agent that has a part in it.

use std::sync::Arc;

use countersign_policy::{Kind, PolicyName, PolicySet, PreparedAgent, Request, Verdict};

use super::denial::{Denial, deny};
use super::draft::Draft;
use crate::Reason;
use crate::generations::Sharded;
use crate::world::held::Identity;
use crate::world::maps::Principal;

/// So many agents are kept ready for policies; one takes some 1.5 KiB.
const PREPARED_AGENTS: usize = 32_768;
/// So many policies are named to a person.
const NAMED: usize = 3;

/// Agents as policies see them, ready to be asked about.
#[derive(Debug)]
pub(crate) struct Agents {
    prepared: Sharded<Arc<str>, Prepared>,
}

#[derive(Debug)]
struct Prepared {
    /// Of these facts.
    identity: Arc<Identity>,
    owner_kind: String,
    agent: Arc<PreparedAgent>,
}

impl Agents {
    pub(crate) fn new() -> Self {
        Self {
            prepared: Sharded::new(PREPARED_AGENTS),
        }
    }

    fn prepare(&self, principal: &Principal) -> Arc<PreparedAgent> {
        let identity = &principal.identity;
        let kind = principal.owner.as_ref().map_or("", |it| it.kind.as_str());
        let same = |it: &Prepared| Arc::ptr_eq(&it.identity, identity) && it.owner_kind == kind;
        let known = self.prepared.with(&*identity.uid, |all| {
            let known = all.get(&*identity.uid).filter(|it| same(it))?;
            Some(Arc::clone(&known.agent))
        });
        if let Some(known) = known.flatten() {
            return known;
        }
        let agent = Arc::new(PreparedAgent::of(&identity.facts(kind)));
        let prepared = Prepared {
            identity: Arc::clone(identity),
            owner_kind: kind.to_owned(),
            agent: Arc::clone(&agent),
        };
        self.prepared.with(&*identity.uid, |all| {
            all.insert(Arc::clone(&identity.uid), prepared);
        });
        agent
    }

    /// Is the request permitted to the agent that asks, and to each agent above it? The first that
    /// it isn't permitted to decides; what the policies say is put into the draft.
    pub(crate) fn judge<'a>(
        &self,
        request: &Request<'_>,
        set: &PolicySet,
        asking: &'a Principal,
        above: impl Iterator<Item = &'a Principal>,
        draft: &mut Draft,
    ) -> Result<(), Denial> {
        let mut inquiry = set.ask(request);
        let verdict = inquiry.of(&self.prepare(asking));
        add(&verdict, draft);
        refused(verdict, "")?;
        for principal in above {
            let verdict = inquiry.of(&self.prepare(principal));
            if !verdict.allowed {
                // Those that permitted it to others didn't decide.
                draft.policies.clear();
                draft.obligations.clear();
            }
            add(&verdict, draft);
            refused(verdict, " for an agent above in its chain")?;
        }
        Ok(())
    }
}

fn add(verdict: &Verdict, draft: &mut Draft) {
    let names = |into: &mut Vec<String>, all: &[PolicyName]| {
        for name in all {
            if !into.iter().any(|it| it == name.as_str()) {
                into.push(name.as_str().to_owned());
            }
        }
    };
    names(&mut draft.policies, &verdict.policies);
    names(&mut draft.would_deny, &verdict.would_deny);
    for obligation in &verdict.obligations {
        if !draft.obligations.contains(obligation) {
            draft.obligations.push(obligation.clone());
        }
    }
}

fn refused(verdict: Verdict, whom: &str) -> Result<(), Denial> {
    if verdict.allowed {
        return Ok(());
    }
    let named = named(verdict.policies.iter().map(PolicyName::as_str));
    match verdict.kind {
        // A verdict that contradicts itself doesn't permit.
        Kind::Permitted | Kind::NoPermit => deny(
            Reason::NoPolicyPermits,
            format!("no policy permits it{whom}"),
        ),
        Kind::Forbidden => deny(
            Reason::ForbiddenByPolicy,
            format!("forbidden{whom} by {named}"),
        ),
        Kind::Failed if verdict.policies.is_empty() => deny(
            Reason::PolicyFailed,
            format!("it can't be put to the policies{whom}"),
        ),
        Kind::Failed => deny(
            Reason::PolicyFailed,
            format!("a policy that could forbid it{whom} failed: {named}"),
        ),
    }
}

/// A few of the names.
pub(crate) fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<&str> = names.take(NAMED).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
