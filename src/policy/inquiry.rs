//! Policies, asked about a request.

use cedar_policy::Effect;

use crate::direct::Failed;
use crate::index::{About, TypeName};
use crate::policy_set::PolicySet;
use crate::prepared::PreparedAgent;
use crate::request::{Asked, Request, above};
use crate::rule::{Condition, Rule};
use crate::source::Obligation;
use crate::verdict::{Kind, PolicyName, Verdict};
use crate::vocabulary::ANY_ACTION;
use crate::whole::{self, OfAgent};

/// A request as it is put to all policies, for one agent after the other: what doesn't depend on the
/// agent is looked for once.
#[derive(Debug)]
pub struct Inquiry<'a> {
    policies: &'a PolicySet,
    /// `None`: its facts can't be put to policies.
    asked: Option<(&'a Asked<'a>, About)>,
    /// Of the agent that is asked about; kept for its room.
    candidates: Vec<u32>,
}

impl<'a> Inquiry<'a> {
    pub(crate) fn new(policies: &'a PolicySet, request: &'a Request<'a>) -> Self {
        let about = |asked: &'a Asked<'a>| {
            let action = [asked.action(), ANY_ACTION].map(|it| (TypeName::Action, it));
            let resource = [(TypeName::Resource, asked.path())].into_iter();
            let above = above(asked.path()).map(|it| (TypeName::Collection, it));
            (asked, policies.index().about(action, resource.chain(above)))
        };
        Self {
            policies,
            asked: request.asked.as_ref().map(about),
            candidates: Vec::new(),
        }
    }

    /// What they say to this agent's request: default deny, forbid wins, and a forbid that fails
    /// denies.
    pub fn of(&mut self, agent: &PreparedAgent) -> Verdict {
        self.evaluate(agent).unwrap_or_else(Verdict::unreadable)
    }

    fn evaluate(&mut self, agent: &PreparedAgent) -> Option<Verdict> {
        let (asked, about) = self.asked.as_ref()?;
        if !asked.agrees_with(agent) {
            return None;
        }
        let index = self.policies.index();
        index.candidates(
            about,
            agent.namespace(),
            agent.lineage(),
            &mut self.candidates,
        );
        let candidates = || {
            let positions = self.candidates.iter();
            positions.filter_map(|it| self.policies.entry(*it))
        };
        let whole: Option<OfAgent> = if candidates().any(|it| it.rule.condition.is_whole()) {
            Some(asked.whole()?.with(agent)?)
        } else {
            None
        };
        let evaluator = whole.as_ref().map(OfAgent::evaluator);
        let facts = asked.facts(agent);
        let mut tally = Tally::default();
        for entry in candidates() {
            let holds = match (&entry.rule.condition, &evaluator) {
                (Condition::None, _) => Ok(true),
                (Condition::Direct(test), _) => test.holds(&facts),
                (Condition::Whole(condition), Some(it)) => whole::holds(it, condition),
                (Condition::Whole(_), None) => Err(Failed),
            };
            tally.add(&entry.rule, entry.audited, holds);
        }
        Some(tally.verdict())
    }
}

/// What policies said so far.
#[derive(Default)]
struct Tally<'a> {
    permits: Vec<&'a Rule>,
    forbids: Vec<&'a Rule>,
    failed_forbids: Vec<&'a Rule>,
    failed: Vec<PolicyName>,
    would_deny: Vec<PolicyName>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, rule: &'a Rule, audited: bool, holds: Result<bool, Failed>) {
        match (audited, rule.effect, holds) {
            (_, _, Ok(false)) | (true, Effect::Permit, _) => {}
            (true, Effect::Forbid, _) => self.would_deny.push(rule.name.clone()),
            (false, Effect::Permit, Ok(true)) => self.permits.push(rule),
            (false, Effect::Forbid, Ok(true)) => self.forbids.push(rule),
            (false, effect, Err(Failed)) => {
                self.failed.push(rule.name.clone());
                if effect == Effect::Forbid {
                    self.failed_forbids.push(rule);
                }
            }
        }
    }

    fn verdict(self) -> Verdict {
        let (kind, decided) = if !self.forbids.is_empty() {
            (Kind::Forbidden, self.forbids)
        } else if !self.failed_forbids.is_empty() {
            (Kind::Failed, self.failed_forbids)
        } else if !self.permits.is_empty() {
            (Kind::Permitted, self.permits)
        } else {
            (Kind::NoPermit, Vec::new())
        };
        let mut obligations: Vec<Obligation> = Vec::new();
        if kind != Kind::Failed {
            for obligation in decided.iter().flat_map(|it| &it.obligations) {
                if !obligations.contains(obligation) {
                    obligations.push(obligation.clone());
                }
            }
        }
        Verdict {
            allowed: kind == Kind::Permitted,
            kind,
            policies: decided.iter().map(|it| it.name.clone()).collect(),
            obligations,
            failed: self.failed,
            would_deny: self.would_deny,
        }
    }
}
