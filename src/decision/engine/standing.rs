//! May an agent act at all?

use std::sync::Arc;

use jiff::Timestamp;

use super::denial::{Denial, deny};
use crate::world::held::Domain;
use crate::world::maps::Principal;
use crate::{IdentityState, OwnerFacts, Reason};

/// Its state, its deadline, its owner, its trust domain; gives the last two.
pub(crate) fn check(
    principal: &Principal,
    now: Timestamp,
) -> Result<(&Arc<OwnerFacts>, &Arc<Domain>), Denial> {
    let identity = &principal.identity;
    match identity.state {
        IdentityState::Active => {}
        IdentityState::Pending => {
            return deny(Reason::AgentNotReady, "the agent has no credential yet");
        }
        IdentityState::Suspended => {
            return deny(Reason::AgentSuspended, "the agent is suspended");
        }
        IdentityState::Ended => {
            return deny(
                Reason::AgentEnded,
                "the agent's task is over, or it was revoked",
            );
        }
    }
    if let Some(deadline) = identity.deadline.filter(|it| *it <= now) {
        return deny(
            Reason::AgentEnded,
            format!("the agent's deadline passed at {deadline}"),
        );
    }
    let owner = match &principal.owner {
        None => return deny(Reason::OwnerGone, "the agent's owner is gone"),
        Some(owner) if !owner.active => {
            return deny(Reason::OwnerGone, "the agent's owner is not active");
        }
        Some(owner) => owner,
    };
    match &principal.domain {
        Some(domain) => Ok((owner, domain)),
        None => deny(
            Reason::UnknownTrustDomain,
            "the agent's trust domain is gone",
        ),
    }
}

/// The same for an agent above in a chain, of which nothing more is told.
pub(crate) fn check_above(principal: &Principal, now: Timestamp) -> Result<(), Denial> {
    let Err(denial) = check(principal, now) else {
        return Ok(());
    };
    let inactive_owner = denial.reason == Reason::OwnerGone && principal.owner.is_some();
    if denial.reason == Reason::AgentSuspended || inactive_owner {
        return deny(
            Reason::DelegationSuspended,
            "an agent above in its chain, or that agent's owner, is suspended",
        );
    }
    deny(
        Reason::DelegationEnded,
        "an agent above in its chain, or that agent's owner, is gone or has ended",
    )
}
