//! An answer in the making.

use std::sync::Arc;

use countersign_core::DataClass;
use countersign_policy::Obligation;
use jiff::Timestamp;

use super::denial::{Denial, deny};
use crate::signals::concern::Concern;
use crate::world::held::Identity;
use crate::{Agent, Answer, Call, DecisionId, Reason, RiskPart};

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) agent: Option<Agent>,
    /// The identity, once it has shown who it is, or its caller vouched for it.
    pub(crate) known: Option<Arc<Identity>>,
    pub(crate) sensitivity: DataClass,
    pub(crate) concern: Concern,
    pub(crate) odd: Vec<RiskPart>,
    pub(crate) policies: Vec<String>,
    pub(crate) would_deny: Vec<String>,
    pub(crate) obligations: Vec<Obligation>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            agent: None,
            known: None,
            sensitivity: DataClass::Restricted,
            concern: Concern::default(),
            odd: Vec::new(),
            policies: Vec::new(),
            would_deny: Vec::new(),
            obligations: Vec::new(),
        }
    }

    pub(crate) fn set_agent(&mut self, identity: &Identity) {
        self.agent = Some(Agent {
            spiffe_id: identity.spiffe_id.as_ref().into(),
            namespace: identity.namespace.as_ref().into(),
            name: identity.name.as_ref().into(),
            uid: identity.uid.as_ref().into(),
            trust_domain: identity.trust_domain.as_ref().into(),
            owner: identity.owner.as_ref().into(),
            requester: identity.requester.as_deref().map(str::to_owned),
            serial_number: None,
            delegation: None,
            delegation_uid: None,
            delegation_expires: None,
            root: None,
            depth: 0,
        });
    }

    /// Is it clear who asks, and can everything be done that must be done along with an allow?
    pub(crate) fn check_enforceable(&mut self, call: &Call) -> Result<(), Denial> {
        if let Some(why) = call.doubt {
            self.policies.clear();
            self.obligations.clear();
            return deny(Reason::BadCertificate, why);
        }
        let Some(known) = &call.obligations else {
            return Ok(());
        };
        let mut kinds = self.obligations.iter().map(|it| &it.kind);
        if kinds.all(|it| known.contains(it)) {
            return Ok(());
        }
        self.obligations.clear();
        deny(
            Reason::UnknownObligation,
            "what must be done along with it can't be done here",
        )
    }

    pub(crate) fn answer(
        self,
        outcome: Result<String, Denial>,
        policy_set: &str,
        record_first: DataClass,
        now: Timestamp,
    ) -> Answer {
        let (reason, explanation) = match outcome {
            Ok(explanation) => (Reason::Permitted, explanation),
            Err(denial) => (denial.reason, denial.explanation),
        };
        let allowed = reason == Reason::Permitted;
        Answer {
            id: DecisionId::random(),
            allowed,
            reason,
            explanation,
            policies: self.policies,
            would_deny: self.would_deny,
            obligations: self.obligations,
            policy_set: policy_set.to_owned(),
            risk: self.concern.with_behaviour(&self.odd),
            sensitivity: self.sensitivity,
            agent: self.agent,
            time: now,
            record_first: allowed && self.sensitivity >= record_first,
        }
    }
}
