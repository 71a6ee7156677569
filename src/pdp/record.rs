//! Decisions as entries of the audit log.

use countersign_audit::{
    Decision, DelegationRef, Entry, Kind, ObjectRef, Outcome, Requester, RiskPart,
};
use countersign_decision::{Agent, Answer, Caller, Question};

/// The longest text that a caller can have recorded by each of its words.
const LONGEST: usize = 1024;

/// What a caller sent may be anything; what is recorded of it is short.
pub(crate) fn entry(answer: &Answer, question: &Question, caller: &Caller) -> Entry {
    let agent = answer.agent.as_ref();
    let outcome = match answer.allowed {
        true => Outcome::Allowed,
        false => Outcome::Refused,
    };
    let object = ObjectRef {
        kind: "Decision".to_owned(),
        namespace: agent.map(|it| it.namespace.clone()),
        name: short(&question.action),
        uid: answer.id.to_string(),
    };
    let trust_domain = agent.map_or("", |it| it.trust_domain.as_str());
    let mut entry = Entry::new(
        answer.time,
        Kind::ActionDecided,
        outcome,
        trust_domain,
        object,
    );
    entry.spiffe_id = Some(short(&question.agent));
    entry.serial_number = agent.and_then(|it| it.serial_number.clone());
    entry.owner = agent.map(|it| it.owner.clone());
    entry.requester = agent
        .and_then(|it| it.requester.clone())
        .map(|username| Requester {
            username,
            uid: None,
        });
    entry.delegation = agent.and_then(delegation);
    entry.resource = Some(short(&question.resource.path));
    entry.action = Some(short(&question.action));
    answer.reason.as_str().clone_into(&mut entry.reason);
    entry.message.clone_from(&answer.explanation);
    entry.decision = Some(decision(answer, question, caller));
    entry
}

fn decision(answer: &Answer, question: &Question, caller: &Caller) -> Decision {
    let obligations = answer.obligations.iter();
    let parts = answer.risk.parts.iter().take(8);
    Decision {
        caller: caller.name.clone(),
        policies: answer.policies.iter().take(64).cloned().collect(),
        would_deny: answer.would_deny.iter().take(64).cloned().collect(),
        policy_set: answer.policy_set.clone(),
        obligations: obligations.map(|it| it.kind.clone()).collect(),
        sensitivity: answer.sensitivity.to_string(),
        risk: answer.risk.risk,
        anomaly: answer.risk.anomaly,
        risk_parts: parts
            .map(|it| RiskPart {
                kind: it.kind.clone(),
                score: it.score,
                why: it.why.clone(),
            })
            .collect(),
        request_id: question.call.request_id.as_deref().map(short),
    }
}

fn delegation(agent: &Agent) -> Option<DelegationRef> {
    Some(DelegationRef {
        digest: agent.delegation?.to_string(),
        parent: None,
        root: agent.root.map(|it| it.to_string()),
        depth: agent.depth,
        uid: agent.delegation_uid.clone().unwrap_or_default(),
        parent_uid: None,
        expires: agent.delegation_expires?,
        delegator: None,
        delegate: Some(agent.spiffe_id.clone()),
    })
}

fn short(text: &str) -> String {
    let end = (0..=LONGEST.min(text.len())).rev();
    let end = end.into_iter().find(|&at| text.is_char_boundary(at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
