//! A decision point that answers as it was told, and remembers what it was asked.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use countersign_core::DataClass;
use countersign_decision::{
    Answer, Caller, Changes, DecisionId, DecisionPoint, Found, Question, Reason, Risk, Search,
};
use jiff::Timestamp;
use parking_lot::Mutex;

/// It answers by a function of the question, and finds names in their order.
pub(crate) struct Fake {
    answer: fn(&Question) -> Answer,
    pub(crate) found: Vec<String>,
    pub(crate) asked: Mutex<Vec<(Caller, Question)>>,
    pub(crate) searched: Mutex<Vec<Search>>,
}

impl Fake {
    pub(crate) fn new(answer: fn(&Question) -> Answer) -> Arc<Self> {
        Self::finding(answer, &[])
    }

    pub(crate) fn finding(answer: fn(&Question) -> Answer, found: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            answer,
            found: found.iter().map(|it| (*it).to_owned()).collect(),
            asked: Mutex::default(),
            searched: Mutex::default(),
        })
    }

    /// The only question that it was asked.
    pub(crate) fn question(&self) -> Question {
        let asked = self.asked.lock();
        assert_eq!(asked.len(), 1);
        asked[0].1.clone()
    }
}

/// Whatever is asked is permitted.
pub(crate) fn yes(_: &Question) -> Answer {
    answer(true, Reason::Permitted)
}

/// Whatever is asked is denied.
pub(crate) fn no(_: &Question) -> Answer {
    answer(false, Reason::NoPolicyPermits)
}

/// Only `read` is permitted.
pub(crate) fn only_read(question: &Question) -> Answer {
    if question.action == "read" {
        yes(question)
    } else {
        no(question)
    }
}

pub(crate) fn answer(allowed: bool, reason: Reason) -> Answer {
    Answer {
        id: DecisionId::random(),
        allowed,
        reason,
        explanation: "because it was told so".to_owned(),
        policies: vec!["cluster/guard/all".to_owned()],
        would_deny: vec!["cluster/trial/all".to_owned()],
        obligations: Vec::new(),
        policy_set: "sha256:00".to_owned(),
        risk: Risk::default(),
        sensitivity: DataClass::Internal,
        agent: None,
        time: Timestamp::UNIX_EPOCH,
        record_first: false,
    }
}

impl DecisionPoint for Fake {
    fn decide<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        let answer = (self.answer)(&question);
        self.asked.lock().push((caller.clone(), question));
        Box::pin(ready(answer))
    }

    fn refuse(&self, _: &Caller, _: &Question, why: &str) -> Answer {
        Answer::denied(Reason::BadRequest, why, Timestamp::UNIX_EPOCH)
    }

    fn search<'a>(
        &'a self,
        _: &'a Caller,
        search: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        let after = search.after.as_deref();
        let begin = after.map_or(0, |it| {
            let place = self.found.iter().position(|name| name == it);
            place.expect("a place that was named") + 1
        });
        let rest = &self.found[begin..];
        let results = rest[..rest.len().min(search.limit)].to_vec();
        let more = results.len() < rest.len();
        let found = Found {
            next: results.last().filter(|_| more).cloned(),
            results,
        };
        self.searched.lock().push(search);
        Box::pin(ready(found))
    }

    fn changes(&self) -> Changes {
        Box::pin(futures::stream::empty())
    }
}
