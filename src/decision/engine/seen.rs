//! What a question is decided by, and how old it may be.

use std::sync::Arc;

use countersign_policy::PolicySet;
use jiff::Timestamp;

use super::certificate::Shown;
use super::denial::{Denial, deny};
use super::draft::Draft;
use super::policies::named;
use crate::world::classes::HeldRules;
use crate::world::held::Identity;
use crate::world::maps::Principal;
use crate::world::store::World;
use crate::{Freshness, Question, Reason};

/// What a question is decided by, of one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) freshness: Freshness,
    pub(crate) rules: Arc<HeldRules>,
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) principal: Option<Principal>,
}

impl Seen {
    pub(crate) fn of(world: &World, agent: &str) -> Self {
        let maps = world.read();
        Self {
            freshness: maps.freshness,
            rules: Arc::clone(&maps.rules),
            policies: Arc::clone(&maps.policies),
            principal: maps.agent(agent).map(|it| maps.principal(it)),
        }
    }

    pub(crate) fn check_fresh(&self) -> Result<(), Denial> {
        match self.freshness {
            Freshness::Fresh => Ok(()),
            Freshness::Stale(_) if self.rules.rules.stale_until_expiry => Ok(()),
            Freshness::NotReady => deny(
                Reason::NotReady,
                "this decision point doesn't know all facts yet",
            ),
            Freshness::Stale(age) => deny(
                Reason::NotReady,
                format!(
                    "the facts of this decision point are {} s old, which is too old",
                    age.as_secs()
                ),
            ),
        }
    }

    /// The certificate as it was in the facts: there must be one; and where nobody shows one, or
    /// the facts are old, it must not have ended. Of those that pods hold the facts know nothing.
    pub(crate) fn check_certificate_as_known(
        &self,
        principal: &Principal,
        question: &Question,
        now: Timestamp,
    ) -> Result<(), Denial> {
        if let Some(in_pods) = principal.identity.in_pods {
            return match self.freshness {
                _ if question.certificate.is_some() => Ok(()),
                Freshness::Stale(age) => deny(
                    Reason::NotReady,
                    format!(
                        "the facts of this decision point are {} s old, and the agent's certificate wasn't shown",
                        age.as_secs()
                    ),
                ),
                _ if !in_pods.issuable => deny(
                    Reason::AgentNotReady,
                    "the agent's certificate wasn't shown, and its pods get none: see its conditions",
                ),
                _ => Ok(()),
            };
        }
        let Some(end) = principal.identity.not_after else {
            return deny(Reason::AgentNotReady, "the agent has no certificate");
        };
        if end > now {
            return Ok(());
        }
        if let Freshness::Stale(age) = self.freshness {
            return deny(
                Reason::NotReady,
                format!(
                    "the facts of this decision point are {} s old, and the certificate that the agent had then ended at {end}",
                    age.as_secs()
                ),
            );
        }
        if question.certificate.is_none() {
            return deny(
                Reason::AgentNotReady,
                format!("the agent's certificate ended at {end}"),
            );
        }
        Ok(())
    }

    /// The explanation of an allow.
    pub(crate) fn permitted(&self, draft: &Draft) -> String {
        let names = named(draft.policies.iter().map(String::as_str));
        match self.freshness {
            Freshness::Stale(age) => format!(
                "permitted by {names}, within all grants; the facts are {} s old",
                age.as_secs()
            ),
            _ => format!("permitted by {names}, within all grants"),
        }
    }
}

/// Of certificates that pods hold, those that were issued before a suspension don't count again.
pub(crate) fn check_not_before_suspension(
    identity: &Identity,
    shown: &Shown,
) -> Result<(), Denial> {
    let resumed = identity.in_pods.and_then(|it| it.issued_since);
    match resumed.filter(|resumed| shown.issued_at() < *resumed) {
        Some(resumed) => deny(
            Reason::CertificateRevoked,
            format!("the agent was suspended until {resumed}, and its certificate is of before"),
        ),
        None => Ok(()),
    }
}
