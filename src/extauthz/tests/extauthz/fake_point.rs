//! A decision point that does as it is told, and remembers what it was asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use countersign_core::DataClass;
use countersign_decision::{
    Agent, Answer, Caller, Changes, DecisionId, DecisionPoint, Found, Question, Reason, Risk,
    Search,
};
use futures::StreamExt as _;
use futures::stream::unfold;
use tokio::sync::watch;

/// Answers every question by one script, until it is given another.
pub(crate) struct FakePoint {
    script: Mutex<Script>,
    asked: Mutex<Vec<(Caller, Question)>>,
    refused: Mutex<Vec<(Caller, Question)>>,
    changed: Mutex<Option<watch::Sender<u64>>>,
}

type Script = Box<dyn Fn(&Question) -> Answer + Send>;

impl FakePoint {
    pub(crate) fn allowing() -> Arc<Self> {
        Self::answering(allow)
    }

    pub(crate) fn answering(script: impl Fn(&Question) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(Box::new(script)),
            asked: Mutex::default(),
            refused: Mutex::default(),
            changed: Mutex::new(Some(watch::channel(0).0)),
        })
    }

    /// From now on it answers so; and it says that something changed.
    pub(crate) fn answer(&self, script: impl Fn(&Question) -> Answer + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
        self.change();
    }

    pub(crate) fn change(&self) {
        if let Some(changed) = &*self.changed.lock().unwrap() {
            changed.send_modify(|count| *count += 1);
        }
    }

    /// Its changes end, as they do when it stops.
    pub(crate) fn end(&self) {
        self.changed.lock().unwrap().take();
    }

    /// How many follow its changes.
    pub(crate) fn followers(&self) -> usize {
        let changed = self.changed.lock().unwrap();
        changed.as_ref().map_or(0, watch::Sender::receiver_count)
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// What was sent last that no question could be made of.
    pub(crate) fn refused(&self) -> Question {
        self.refused.lock().unwrap().last().unwrap().1.clone()
    }

    pub(crate) fn last(&self) -> Question {
        self.asked.lock().unwrap().last().unwrap().1.clone()
    }

    pub(crate) fn last_caller(&self) -> Caller {
        self.asked.lock().unwrap().last().unwrap().0.clone()
    }
}

impl DecisionPoint for FakePoint {
    fn decide<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        let answer = (self.script.lock().unwrap())(&question);
        let answer = enforceable(&question, answer);
        self.asked.lock().unwrap().push((caller.clone(), question));
        Box::pin(async { answer })
    }

    fn refuse(&self, caller: &Caller, sent: &Question, why: &str) -> Answer {
        self.refused
            .lock()
            .unwrap()
            .push((caller.clone(), sent.clone()));
        Answer {
            explanation: why.to_owned(),
            ..answer(false, Reason::BadRequest)
        }
    }

    fn search<'a>(
        &'a self,
        _caller: &'a Caller,
        _search: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(async { Found::default() })
    }

    fn changes(&self) -> Changes {
        let Some(changed) = &*self.changed.lock().unwrap() else {
            return futures::stream::empty().boxed();
        };
        let next = |mut it: watch::Receiver<u64>| async move {
            it.changed().await.ok()?;
            Some(((), it))
        };
        unfold(changed.subscribe(), next).boxed()
    }
}

/// Permitted, to an agent of `ada` for `alice`.
pub(crate) fn allow(question: &Question) -> Answer {
    Answer {
        agent: Some(Agent {
            spiffe_id: question.agent.clone(),
            namespace: "finance".to_owned(),
            name: "reader".to_owned(),
            uid: "9b2e".to_owned(),
            trust_domain: "example.org".to_owned(),
            owner: "ada".to_owned(),
            requester: Some("alice".to_owned()),
            serial_number: None,
            delegation: None,
            delegation_expires: None,
            delegation_uid: None,
            root: None,
            depth: 0,
        }),
        ..answer(true, Reason::Permitted)
    }
}

/// An allow that may be given, as a decision point must.
fn enforceable(question: &Question, answer: Answer) -> Answer {
    let known = question.call.obligations.as_ref();
    let can = |kind: &String| known.is_none_or(|it| it.contains(kind));
    let reason = if !answer.allowed {
        return answer;
    } else if question.call.doubt.is_some() {
        Reason::BadCertificate
    } else if !answer.obligations.iter().all(|it| can(&it.kind)) {
        Reason::UnknownObligation
    } else {
        return answer;
    };
    Answer {
        allowed: false,
        reason,
        obligations: Vec::new(),
        ..answer
    }
}

/// Denied for a reason.
pub(crate) fn deny(reason: Reason) -> impl Fn(&Question) -> Answer + Send + 'static {
    move |_| answer(false, reason)
}

fn answer(allowed: bool, reason: Reason) -> Answer {
    Answer {
        id: DecisionId::random(),
        allowed,
        reason,
        explanation: format!("because it is \"{reason}\""),
        policies: Vec::new(),
        would_deny: Vec::new(),
        obligations: Vec::new(),
        policy_set: String::new(),
        risk: Risk::default(),
        sensitivity: DataClass::Internal,
        agent: None,
        time: "2026-11-24T12:00:00Z".parse().unwrap(),
        record_first: false,
    }
}
