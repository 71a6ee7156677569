//! On whose authority? The chain that a question brings or names.

use std::borrow::Borrow;
use std::sync::Arc;

use countersign_statement::{
    Broken, Chain, ChainError, Digest, MAX_DEPTH, MAX_STATEMENTS, Options, Statement, Verifier,
};
use jiff::Timestamp;

use super::denial::{Denial, deny};
use super::standing;
use crate::world::held::Identity;
use crate::world::maps::{Link, Maps, Principal};
use crate::world::store::World;
use crate::{Authority, HopState, OwnerFacts, Reason};

/// The longest statement that a question may bring: those that are known have their own bound.
const MAX_BROUGHT_BYTES: usize = 16 * 1024;

/// A chain that verified and ends at the agent that asks, with the facts of its hops.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) chain: Arc<Chain>,
    /// One for each statement below hop 0.
    pub(crate) links: Vec<Link>,
    /// None where it is gone, or is another one by now.
    root_owner: Option<Arc<OwnerFacts>>,
    root_revoked: bool,
}

/// What is known of a chain's hops.
struct Known {
    links: Vec<Link>,
    root_owner: Option<Arc<OwnerFacts>>,
}

impl Trace {
    /// Finds and verifies it. Whether it is alive is for [`Self::check_alive`].
    pub(crate) fn of(
        authority: &Authority,
        asking: &Identity,
        verifier: &Verifier,
        world: &World,
        now: Timestamp,
    ) -> Result<Self, Denial> {
        let (chain, known) = match authority {
            Authority::Digest(digest) => {
                let known = Known::of(&world.read(), digest)?;
                let leaf = known.links.last().map(|it| Arc::clone(&it.hop));
                let statements = leaf.as_ref().map_or(&[][..], |it| &it.statements);
                (verify(statements, verifier, now)?, known)
            }
            Authority::Statements(statements) => {
                if let Some(long) = statements.iter().find(|it| it.len() > MAX_BROUGHT_BYTES) {
                    return deny(
                        Reason::BadChain,
                        format!(
                            "its chain has a statement of {} bytes; {MAX_BROUGHT_BYTES} at most are taken, name it by its digest",
                            long.len()
                        ),
                    );
                }
                let chain = verify(statements, verifier, now)?;
                let known = Known::of(&world.read(), chain.leaf().digest())?;
                (chain, known)
            }
        };
        known.check_fits(&chain, asking)?;
        Ok(Self {
            root_revoked: world.read().is_statement_revoked(chain.root().digest()),
            links: known.links,
            root_owner: known.root_owner,
            chain,
        })
    }

    /// Is each hop in force, and may each agent above act, and the owner that it begins with? Gives
    /// that owner.
    pub(crate) fn check_alive(&self, now: Timestamp) -> Result<&OwnerFacts, Denial> {
        let ended = |why: &str| deny(Reason::DelegationEnded, why);
        if self.root_revoked {
            return ended("its chain was revoked at the root");
        }
        let root_owner = match &self.root_owner {
            Some(owner) if owner.active => owner,
            _ => {
                return deny(
                    Reason::OwnerGone,
                    "the owner that its chain begins with is gone or not active",
                );
            }
        };
        for (hop, link) in (1..).zip(&self.links) {
            if link.revoked {
                return ended(&format!("hop {hop} of its chain was revoked"));
            }
            match link.hop.state {
                HopState::Active => {}
                HopState::Suspended => {
                    return deny(
                        Reason::DelegationSuspended,
                        format!("hop {hop} of its chain is suspended"),
                    );
                }
                HopState::Ended => return ended(&format!("hop {hop} of its chain is over")),
            }
            if link.hop.expires <= now {
                return ended(&format!(
                    "hop {hop} of its chain ended at {}",
                    link.hop.expires
                ));
            }
            match &link.delegator {
                Some(delegator) => standing::check_above(delegator, now)?,
                None if hop == 1 => {}
                None => return ended("an agent above in its chain is gone"),
            }
        }
        Ok(root_owner)
    }

    /// The statement that belongs to each link.
    pub(crate) fn below_zero(&self) -> impl Iterator<Item = (&Statement, &Link)> {
        self.chain.hops().skip(1).zip(&self.links)
    }

    /// Each agent that handed on, from the root's delegate on.
    pub(crate) fn delegators(&self) -> impl Iterator<Item = (&Statement, &Principal)> {
        let hops = self.below_zero();
        hops.filter_map(|(statement, link)| Some((statement, link.delegator.as_ref()?)))
    }

    pub(crate) fn depth(&self) -> u8 {
        self.chain.leaf().claims().depth
    }
}

impl Known {
    fn of(maps: &Maps, leaf: &Digest) -> Result<Self, Denial> {
        if maps.statement(leaf).is_none() {
            return deny(Reason::UnknownDelegation, "there is no such delegation");
        }
        let links = maps.links(leaf, usize::from(MAX_DEPTH)).unwrap_or_default();
        let Some(first) = links.first().map(|it| &it.hop) else {
            return deny(
                Reason::DelegationEnded,
                "a delegation above in its chain is gone",
            );
        };
        // Those that have ended may have no statement to verify any more.
        if let Some(hop) = links.iter().position(|it| it.hop.state == HopState::Ended) {
            return deny(
                Reason::DelegationEnded,
                format!("hop {} of its chain is over", hop + 1),
            );
        }
        // One of the same name that came later is another owner.
        let (name, uid) = &first.root_owner;
        let root_owner = maps.owner(name).filter(|it| *it.uid == **uid);
        Ok(Self {
            root_owner: root_owner.cloned(),
            links,
        })
    }

    /// Do statements and facts say the same, and that the chain ends at whoever asks?
    fn check_fits(&self, chain: &Chain, asking: &Identity) -> Result<(), Denial> {
        let leaf = chain.leaf().claims();
        let last = self.links.last().map(|it| &it.hop.delegate_uid);
        if leaf.subject.as_str() != &*asking.spiffe_id || last != Some(&asking.uid) {
            return deny(
                Reason::NotTheDelegate,
                "the chain doesn't end at this agent",
            );
        }
        if !self.fits(chain) {
            return deny(
                Reason::BadChain,
                "its chain isn't the one that its delegations have",
            );
        }
        Ok(())
    }

    fn fits(&self, chain: &Chain) -> bool {
        if chain.hops().len() != self.links.len() + 1 {
            return false;
        }
        let owner = chain.root().claims().owner.as_str();
        let mut delegate_above: Option<&Arc<str>> = None;
        for (statement, link) in chain.hops().skip(1).zip(&self.links) {
            let hop = &link.hop;
            if hop.digest != *statement.digest()
                || *hop.root_owner.0 != *owner
                || hop.delegator_uid.as_ref() != delegate_above
            {
                return false;
            }
            // Of the root it is the owner; of an agent that is gone nothing can be compared.
            let named = statement.claims().delegator.as_ref();
            let named = named.map(|it| it.as_str());
            if let Some(delegator) = &link.delegator
                && named != Some(&*delegator.identity.spiffe_id)
            {
                return false;
            }
            delegate_above = Some(&hop.delegate_uid);
        }
        true
    }
}

fn verify(
    statements: &[impl Borrow<str>],
    verifier: &Verifier,
    now: Timestamp,
) -> Result<Arc<Chain>, Denial> {
    let few = statements.iter().take(MAX_STATEMENTS + 1);
    let texts: Vec<&str> = few.map(Borrow::borrow).collect();
    verifier
        .verify(&texts, now, &Options::default())
        .map_err(|why| refusal(&why))
}

fn refusal(why: &ChainError) -> Denial {
    let reason = match why.broken {
        Broken::Expired(_) | Broken::Revoked(_) => Reason::DelegationEnded,
        _ => Reason::BadChain,
    };
    Denial {
        reason,
        explanation: format!("its chain: {why}"),
    }
}
