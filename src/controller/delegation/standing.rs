//! Where a delegation stands, with all above it: asked of memory alone, without waiting for what
//! the passes over its ancestors will write. What memory alone can't prove to be over is held back:
//! the pass over that very object asks the API server.

use countersign_runtime::ObjectKey;
use countersign_statement::MAX_DEPTH;
use jiff::Timestamp;

use super::observed::Standing;
use super::store::{Facts, Object, Party};
use crate::context::Context;
use crate::identity::{OwnerState, Stage};

/// Where the delegation `key` stands. `None`: there is none in memory.
pub(crate) fn standing(ctx: &Context, key: &ObjectKey, now: Timestamp) -> Option<Standing> {
    let object = ctx.delegations.get(key)?;
    Some(of(ctx, &object, now, usize::from(MAX_DEPTH)))
}

fn of(ctx: &Context, object: &Object, now: Timestamp, further: usize) -> Standing {
    let facts = &object.facts;
    if let Some(message) = &facts.completed {
        return Standing::Over(message.to_string());
    }
    if facts.revoked {
        return Standing::Over("it is revoked".to_owned());
    }
    if facts.deleting {
        return Standing::Over("it is being deleted".to_owned());
    }
    if !ctx.skew.off() && facts.expires.is_some_and(|expires| expires <= now) {
        return Standing::Over("its time is up".to_owned());
    }
    let above = above(ctx, facts, now, further);
    if above != Standing::Good {
        return above;
    }
    let delegate = agent(
        ctx,
        &facts.delegate,
        facts.latched.delegate.as_deref(),
        "delegate",
    );
    if delegate != Standing::Good {
        return delegate;
    }
    match &facts.held {
        Some(why) => Standing::Held(why.to_string()),
        None if facts.ready => Standing::Good,
        None => Standing::Waiting,
    }
}

/// Who hands on, and what is handed on.
fn above(ctx: &Context, facts: &Facts, now: Timestamp, further: usize) -> Standing {
    let delegator = match &facts.delegator {
        Party::Owner(name) => return owner(ctx, name, facts.latched.delegator.as_deref()),
        Party::Agent(delegator) => agent(
            ctx,
            delegator,
            facts.latched.delegator.as_deref(),
            "delegator",
        ),
    };
    if delegator != Standing::Good {
        return delegator;
    }
    let latched = facts.latched.parent.as_deref();
    let parent = facts
        .parent
        .as_ref()
        .and_then(|key| ctx.delegations.get(key));
    match parent {
        // That memory doesn't have it proves nothing: its own children ask the API server.
        None => Standing::Held("its parent is not there".to_owned()),
        Some(parent) if latched.is_some_and(|uid| *uid != *parent.facts.uid) => {
            Standing::Held("another delegation has the name of its parent".to_owned())
        }
        Some(_) if further == 0 => Standing::Held("the chain is too long".to_owned()),
        Some(parent) => of(ctx, &parent, now, further.saturating_sub(1)),
    }
}

fn owner(ctx: &Context, name: &str, latched: Option<&str>) -> Standing {
    let Some(owner) = ctx.owners.get(&ObjectKey::new(None, name)) else {
        return Standing::Held(format!("owner {name} is not there"));
    };
    match owner.state {
        _ if latched.is_some_and(|uid| uid != owner.uid) => {
            Standing::Held(format!("another owner has the name {name}"))
        }
        OwnerState::Active => Standing::Good,
        OwnerState::Suspended => Standing::Suspended(format!("owner {name} is suspended")),
        OwnerState::Departed => Standing::Over(format!("owner {name} departed")),
    }
}

fn agent(ctx: &Context, key: &ObjectKey, latched: Option<&str>, role: &str) -> Standing {
    let Some(agent) = ctx.identities.get(key) else {
        return Standing::Held(format!("{role} {} is not there", key.name));
    };
    match agent.stage() {
        _ if latched.is_some_and(|uid| !agent.uid().is(uid)) => Standing::Held(format!(
            "another agent has the name of its {role} {}",
            key.name
        )),
        Stage::Over => Standing::Over(format!("its {role} {} is over", key.name)),
        Stage::Suspended => Standing::Suspended(format!("its {role} {} is suspended", key.name)),
        Stage::Waiting => Standing::Waiting,
        Stage::Live => Standing::Good,
    }
}
