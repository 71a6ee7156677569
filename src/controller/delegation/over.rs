//! Is a delegation over, for good?

use super::observed::{AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Standing};
use crate::identity::OwnerState;
use crate::retired::Before;

/// Reason and message of its end. What was recorded as over stays so, whatever the world says now.
pub(crate) fn over(seen: &Observed) -> Option<(String, String)> {
    let recorded = &seen.recorded;
    if let Some(completed) = &recorded.completed {
        return Some(completed.clone());
    }
    let over = |reason: &str, message: String| Some((reason.to_owned(), message));
    if seen.before == Before::Ended {
        let message = "the audit log tells of its end: the cluster's state is of before, as after restoring etcd; what has ended doesn't come back, make a new delegation";
        return over("EndedBefore", message.to_owned());
    }
    if seen.delegation.revoked {
        return over(
            "Revoked",
            "revoked by spec.desiredState, for good".to_owned(),
        );
    }
    if let Some(message) = parent_over(seen) {
        return over("ParentEnded", message);
    }
    match &seen.delegator {
        DelegatorSeen::Owner(owner) => {
            if let Some(message) = owner_over(owner, recorded.delegator.as_deref()) {
                return over("OwnerDeparted", message);
            }
        }
        DelegatorSeen::Agent(agent) => {
            if let Some(why) = agent_over(agent, recorded.delegator.as_deref()) {
                return over("DelegatorEnded", format!("its delegator {why}"));
            }
        }
    }
    if let Some(why) = agent_over(&seen.delegate, recorded.delegate.as_deref()) {
        return over("DelegateEnded", format!("its delegate {why}"));
    }
    // A cap that was lowered since counts, too.
    let end = recorded.expires.into_iter().chain(seen.latest_end()).min();
    if !seen.clock_off && end.is_some_and(|end| end <= seen.now) {
        return over("Expired", "its time is up".to_owned());
    }
    None
}

fn parent_over(seen: &Observed) -> Option<String> {
    let latched = seen.recorded.parent.as_deref();
    match &seen.parent {
        ParentSeen::None | ParentSeen::Stranger => None,
        ParentSeen::Missing => latched.map(|_| "its parent is gone".to_owned()),
        ParentSeen::Found(parent) if latched.is_some_and(|uid| uid != parent.uid) => {
            Some("another delegation has the name of its parent".to_owned())
        }
        ParentSeen::Found(parent) => match &parent.standing {
            Standing::Over(why) => Some(format!("its parent is over: {why}")),
            _ => None,
        },
    }
}

fn owner_over(owner: &OwnerSeen, latched: Option<&str>) -> Option<String> {
    match owner {
        OwnerSeen::Missing => latched.map(|_| "its owner is gone".to_owned()),
        OwnerSeen::Found { uid, .. } if latched.is_some_and(|latched| latched != uid) => {
            Some("another owner has the name of its owner".to_owned())
        }
        OwnerSeen::Found {
            state: OwnerState::Departed,
            ..
        } => Some("its owner departed".to_owned()),
        OwnerSeen::Found { .. } => None,
    }
}

pub(crate) fn agent_over(agent: &AgentSeen, latched: Option<&str>) -> Option<String> {
    match agent {
        AgentSeen::Missing => latched.map(|_| "is gone".to_owned()),
        AgentSeen::Found(agent) if latched.is_some_and(|uid| uid != agent.uid) => {
            Some("is gone: another agent has its name".to_owned())
        }
        AgentSeen::Found(agent) => match &agent.life {
            Life::Over(why) => Some(format!("is over: {why}")),
            _ => None,
        },
    }
}
