//! The engine: one question, one answer.

mod alarm;
mod certificate;
mod chain;
mod denial;
mod draft;
mod grants;
mod peer;
mod policies;
mod request;
mod risk;
mod search;
mod seen;
mod standing;

pub use self::peer::Peer;

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_policy::{
    CallFacts, CertificateFacts, ContextFacts, DelegationFacts, Request, ResourceFacts, SignalFacts,
};
use jiff::Timestamp;

use self::certificate::{Certificates, Shown};
use self::chain::Trace;
use self::denial::{Denial, deny};
use self::draft::Draft;
use self::grants::{Ask, Granting};
use self::policies::Agents;
use self::seen::Seen;
use crate::behaviour::Behaviour;
use crate::signals::concern::Concern;
use crate::signals::{About, Signals};
use crate::world::calls::{Holder, Level};
use crate::world::held::Domain;
use crate::world::maps::Principal;
use crate::world::store::World;
use crate::{Answer, Authority, Caller, OwnerFacts, Question, Reason};

/// Decides. Cheap to share; any number of threads may ask at once.
///
/// What it remembers is what was verified (certificates, chains) and what agents usually do; no
/// answer is ever kept.
#[derive(Debug)]
pub struct Engine {
    world: Arc<World>,
    signals: Arc<Signals>,
    behaviour: Behaviour,
    certificates: Certificates,
    agents: Agents,
}

/// What was found out about who asks.
struct Asking<'a> {
    principal: &'a Principal,
    owner: &'a OwnerFacts,
    domain: &'a Domain,
    shown: Option<Arc<Shown>>,
}

impl Engine {
    /// One that decides by these facts and signals.
    pub fn new(world: Arc<World>, signals: Arc<Signals>) -> Self {
        Self {
            world,
            signals,
            behaviour: Behaviour::new(),
            certificates: Certificates::new(),
            agents: Agents::new(),
        }
    }

    /// The facts, to be fed.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The signals, to be written to.
    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// What agents usually do.
    pub fn behaviour(&self) -> &Behaviour {
        &self.behaviour
    }

    /// Forgets what is over at `now`. To be called every few minutes.
    pub fn prune(&self, now: Timestamp) {
        self.world.prune(now);
        self.signals.prune(now);
    }

    /// Decides at `now`. Costs one hash of the certificate and one of the chain's last statement
    /// where both were verified before, and for each agent in the chain what its policies cost.
    ///
    /// An allow counts as one call of each grant with a bound on calls: whoever may not act on it,
    /// because it can't be recorded, has used the call nevertheless.
    pub fn decide(&self, caller: &Caller, question: &Question, now: Timestamp) -> Answer {
        let seen = Seen::of(&self.world, &question.agent);
        let mut draft = Draft::new();
        let outcome = self.judge(&seen, caller, question, now, Counting::Calls, &mut draft);
        if let Some(identity) = &draft.known {
            let pair = self
                .behaviour
                .pair(&question.action, &question.resource.path);
            let denied = outcome.as_ref().is_err_and(|it| is_to_blame(it.reason));
            self.behaviour.observe(&identity.uid, pair, denied, now);
        }
        let record_first = seen.rules.rules.record_first;
        draft.answer(outcome, seen.policies.digest(), record_first, now)
    }

    /// What [`Engine::decide`] would answer: no call is counted, and nothing is learned of the agent.
    pub fn look(&self, caller: &Caller, question: &Question, now: Timestamp) -> Answer {
        let seen = Seen::of(&self.world, &question.agent);
        let mut draft = Draft::new();
        let outcome = self.judge(&seen, caller, question, now, Counting::Nothing, &mut draft);
        let record_first = seen.rules.rules.record_first;
        draft.answer(outcome, seen.policies.digest(), record_first, now)
    }

    /// The order is part of the answer: the first that denies gives the reason.
    fn judge(
        &self,
        seen: &Seen,
        caller: &Caller,
        question: &Question,
        now: Timestamp,
        counting: Counting,
        draft: &mut Draft,
    ) -> Result<String, Denial> {
        seen.check_fresh()?;
        request::check(question, caller.authoritative)?;
        check_caller(caller, question)?;
        let (sensitivity, residency) = seen.rules.classify(&question.resource.path);
        draft.sensitivity = sensitivity;
        let asking = self.identify(seen, question, now, draft)?;
        let mut granting = Granting {
            ask: Ask {
                action: &question.action,
                path: &question.resource.path,
                sensitivity,
                audience: question.call.audience.as_deref(),
                now,
            },
            calls: &self.world.calls,
            uses: Vec::new(),
        };
        asking.check_grants(&mut granting)?;
        let trace = self.trace(&asking, question, now, draft)?;
        let mut root_owner = None;
        if let Some(trace) = &trace {
            let owner = trace.check_alive(now)?;
            let suspend_at = seen.rules.rules.suspend_at;
            let own_owner = &asking.principal.identity.owner;
            alarm::chain(
                trace,
                owner,
                own_owner,
                &self.signals,
                suspend_at,
                now,
                draft,
            )?;
            trace.check_grants(owner, &mut granting)?;
            root_owner = Some((trace, owner));
        }
        self.check_risk(seen, question, now, draft)?;
        let resource = ResourceFacts {
            kind: question.resource.kind.clone(),
            path: question.resource.path.clone(),
            sensitivity,
            residency,
            properties: caller.properties(question),
        };
        let context = self.context(&asking, root_owner, question, now, draft);
        let request = Request::prepare(&question.action, &resource, &context);
        let above = trace.iter().flat_map(Trace::delegators);
        let above = above.map(|(_, delegator)| delegator);
        self.agents
            .judge(&request, &seen.policies, asking.principal, above, draft)?;
        draft.check_enforceable(&question.call)?;
        if counting == Counting::Calls && !self.world.calls.take(&granting.uses) {
            draft.policies.clear();
            draft.obligations.clear();
            return deny(
                Reason::BeyondConstraint,
                "the calls that the grants have were made meanwhile",
            );
        }
        Ok(seen.permitted(draft))
    }

    /// Who asks, and may it act at all? With signals before its state: what they deny is denied
    /// whatever else is known.
    fn identify<'a>(
        &self,
        seen: &'a Seen,
        question: &Question,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<Asking<'a>, Denial> {
        let Some(principal) = &seen.principal else {
            return deny(Reason::UnknownAgent, "there is no such agent");
        };
        let identity = &principal.identity;
        draft.set_agent(identity);
        let about = About {
            agent: Some(&identity.spiffe_id),
            owner: Some(principal.owner_names()),
            // Of another certificate than the current one is asked once it is verified.
            certificate: match question.certificate {
                None => identity.serial_number.as_deref(),
                Some(_) => None,
            },
        };
        self.signals.about(about, now, &mut draft.concern);
        alarm::denied(&draft.concern)?;
        let (owner, domain) = standing::check(principal, now)?;
        seen.check_certificate_as_known(principal, question, now)?;
        let shown = match &question.certificate {
            Some(presented) => {
                let shown = self.certificates.check(presented, identity, domain, now)?;
                self.check_shown(&shown, now, draft)?;
                seen::check_not_before_suspension(identity, &shown)?;
                Some(shown)
            }
            None => {
                self.check_revoked(identity.serial_number.as_deref().unwrap_or_default())?;
                None
            }
        };
        draft.known = Some(Arc::clone(identity));
        alarm::sessions(&draft.concern, shown.as_ref().map(|it| it.issued_at()))?;
        Ok(Asking {
            principal,
            owner,
            domain,
            shown,
        })
    }

    fn check_revoked(&self, serial_number: &str) -> Result<(), Denial> {
        if self.world.read().is_serial_revoked(serial_number) {
            return deny(Reason::CertificateRevoked, "its certificate was revoked");
        }
        Ok(())
    }

    fn check_shown(&self, shown: &Shown, now: Timestamp, draft: &mut Draft) -> Result<(), Denial> {
        let serial_number = shown.serial_number.as_str();
        if let Some(agent) = &mut draft.agent {
            agent.serial_number = Some(serial_number.to_owned());
        }
        self.check_revoked(serial_number)?;
        let about = About {
            certificate: Some(serial_number),
            ..About::default()
        };
        let mut concern = Concern::default();
        self.signals.about(about, now, &mut concern);
        if concern.denied_by.is_some() || concern.ended(shown.issued_at()) {
            return deny(
                Reason::CertificateRevoked,
                "a signal denies its certificate",
            );
        }
        draft.concern.merge(concern);
        Ok(())
    }

    fn trace(
        &self,
        asking: &Asking<'_>,
        question: &Question,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<Option<Trace>, Denial> {
        let Some(authority) = &question.authority else {
            return Ok(None);
        };
        let identity = &asking.principal.identity;
        if let (Authority::Digest(digest), Some(agent)) = (authority, &mut draft.agent) {
            // So that the log has it, even where it is of no use.
            let maps = self.world.read();
            let known = maps.statement(digest);
            if let Some(hop) = known.filter(|it| it.delegate_uid == identity.uid) {
                agent.delegation = Some(*digest);
                agent.delegation_uid = Some(hop.uid.as_ref().to_owned());
            }
        }
        let verifier = &asking.domain.verifier;
        let trace = Trace::of(authority, identity, verifier, &self.world, now)?;
        if let Some(agent) = &mut draft.agent {
            let requester = trace.links.first();
            let requester = requester.and_then(|it| it.hop.root_requester.as_deref());
            agent.requester = requester.map(str::to_owned);
            agent.owner.clone_from(&trace.chain.root().claims().owner);
            agent.delegation = Some(*trace.chain.leaf().digest());
            agent.delegation_uid = trace.links.last().map(|it| it.hop.uid.as_ref().to_owned());
            agent.delegation_expires = Some(trace.chain.expires_at());
            agent.root = Some(*trace.chain.root().digest());
            agent.depth = trace.depth();
        }
        Ok(Some(trace))
    }

    fn check_risk(
        &self,
        seen: &Seen,
        question: &Question,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<(), Denial> {
        if let Some(identity) = &draft.known {
            let pair = self
                .behaviour
                .pair(&question.action, &question.resource.path);
            draft.odd = self.behaviour.assess(&identity.uid, pair, now);
        }
        let risk = draft.concern.risk();
        match seen.rules.rules.suspend_at {
            Some(most) if risk >= most => deny(
                Reason::RiskTooHigh,
                format!("the agent's risk is {risk}, and {most} is too high"),
            ),
            _ => Ok(()),
        }
    }

    fn context(
        &self,
        asking: &Asking<'_>,
        delegated: Option<(&Trace, &OwnerFacts)>,
        question: &Question,
        now: Timestamp,
        draft: &Draft,
    ) -> ContextFacts {
        let call = &question.call;
        ContextFacts {
            now,
            source_ip: call.source_ip,
            certificate: asking.shown.as_ref().map(|it| CertificateFacts {
                serial_number: it.serial_number.clone(),
                not_after: it.not_after,
            }),
            call: CallFacts {
                action: question.action.clone(),
                tool: call.tool.clone(),
                bytes: call.bytes,
                destructive: call.destructive,
                audience: call.audience.clone(),
            },
            signals: SignalFacts {
                risk: draft.concern.risk(),
                anomaly: draft.odd.iter().map(|it| it.score).max().unwrap_or(0),
                codes: draft.concern.codes().to_vec(),
                age_milliseconds: self.signals.age_milliseconds(now),
            },
            delegation: delegated.map(|(trace, root_owner)| DelegationFacts {
                depth: trace.depth(),
                root_owner: root_owner.name.clone(),
                root_owner_type: root_owner.kind.clone(),
                requester: draft.agent.as_ref().and_then(|it| it.requester.clone()),
                expires: trace.chain.expires_at(),
            }),
        }
    }
}

/// Is this a decision, or only a look at what one would be?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    Calls,
    Nothing,
}

impl Asking<'_> {
    fn check_grants(&self, granting: &mut Granting<'_>) -> Result<(), Denial> {
        let identity = &self.principal.identity;
        let holder = Holder::Identity(Arc::clone(&identity.uid));
        granting.check(&identity.grants, &holder, Level::Own, || {
            "the agent's grants".to_owned()
        })?;
        granting.check(&self.owner.grants, &holder, Level::Owner, || {
            "its owner's grants".to_owned()
        })
    }
}

impl Trace {
    /// The owner's of now, and each hop's as they were countersigned.
    fn check_grants(
        &self,
        root_owner: &OwnerFacts,
        granting: &mut Granting<'_>,
    ) -> Result<(), Denial> {
        for (hop, (statement, link)) in (1..).zip(self.below_zero()) {
            let holder = Holder::Hop(link.hop.digest);
            if hop == 1 {
                let zero = &self.chain.root().claims().grants;
                granting.check(zero, &holder, Level::Zero, || {
                    "the grants that its chain begins with".to_owned()
                })?;
                granting.check(&root_owner.grants, &holder, Level::Owner, || {
                    "the grants of the owner that its chain begins with".to_owned()
                })?;
            }
            granting.check(&statement.claims().grants, &holder, Level::Own, || {
                format!("the grants of hop {hop} of its chain")
            })?;
        }
        Ok(())
    }
}

impl Caller {
    /// What it says of a resource, if that counts.
    fn properties(&self, question: &Question) -> BTreeMap<String, String> {
        if self.authoritative {
            question.resource.properties.clone()
        } else {
            BTreeMap::new()
        }
    }
}

fn check_caller(caller: &Caller, question: &Question) -> Result<(), Denial> {
    if question.certificate.is_none() && !caller.vouches {
        return deny(
            Reason::CallerNotAllowed,
            "the caller must show the agent's certificate: it may not vouch for agents",
        );
    }
    Ok(())
}

/// Does a denial count against the agent that asked? Not where it follows from its score, or from
/// what others did.
fn is_to_blame(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotGranted
            | Reason::BeyondConstraint
            | Reason::NoPolicyPermits
            | Reason::UnknownDelegation
            | Reason::BadChain
            | Reason::NotTheDelegate
    )
}
