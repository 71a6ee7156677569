//! The decision point behind its protocols: decides, counts, records.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_audit::{Entry, Log};
use countersign_decision::{
    Answer, Caller, Changes, DecisionPoint, Engine, Found, Question, Reason, Search,
};
use countersign_runtime::Clock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use tracing::warn;

use crate::metrics::Metrics;
use crate::record;
use crate::settings::Record;

/// What answers.
pub(crate) struct Point {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    pub(crate) record: Record,
    pub(crate) metrics: Metrics,
    pub(crate) changes: Arc<watch::Sender<u64>>,
    pub(crate) max_concurrent: usize,
    pub(crate) in_work: AtomicUsize,
}

/// A question in work.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The denial of an allow that nobody is given: it couldn't be recorded in time, or whoever asked has
/// gone meanwhile. The allow's commit may have been under way, so that it is on record all the same; this
/// then stands behind it under the same id.
struct LastWord<'a> {
    log: &'a Log,
    denial: Option<Entry>,
}

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        if let Some(denial) = self.denial.take() {
            self.log.later(denial);
        }
    }
}

impl Point {
    fn place(&self) -> Option<Place<'_>> {
        let before = self.in_work.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.in_work);
        (before < self.max_concurrent).then_some(place)
    }

    async fn answer(&self, caller: &Caller, question: Question) -> Answer {
        let started = Instant::now();
        let Some(_place) = self.place() else {
            // Not recorded: that would be more work, when there is too much.
            return self.overloaded();
        };
        let mut answer = self.engine.decide(caller, &question, self.clock.now());
        let mut recorded = false;
        if answer.allowed && answer.record_first {
            let entry = record::entry(&answer, &question, caller);
            let denial = Answer {
                allowed: false,
                reason: Reason::NotRecorded,
                explanation: "it would be allowed, but can't be recorded now, and must be first"
                    .to_owned(),
                obligations: Vec::new(),
                ..answer.clone()
            };
            let mut last_word = LastWord {
                log: &self.log,
                denial: Some(record::entry(&denial, &question, caller)),
            };
            let appended = self.log.append(entry).await;
            recorded = true; // the allow, or the denial behind it
            match appended {
                Ok(_) => last_word.denial = None,
                Err(why) => {
                    warn!("an allow that must be on record first is denied: {why}");
                    answer = denial;
                }
            }
        }
        let wanted = !answer.allowed || self.record == Record::All;
        if wanted && !recorded {
            self.log.later(record::entry(&answer, &question, caller));
        }
        self.metrics
            .decided(answer.allowed, answer.reason, started.elapsed());
        answer
    }

    fn overloaded(&self) -> Answer {
        let why = "too many questions at once: ask again";
        self.metrics.shed();
        Answer::denied(Reason::Overloaded, why, self.clock.now())
    }
}

impl DecisionPoint for Point {
    fn decide<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(self.answer(caller, question))
    }

    fn refuse(&self, caller: &Caller, sent: &Question, why: &str) -> Answer {
        let started = Instant::now();
        let Some(_place) = self.place() else {
            return self.overloaded();
        };
        let answer = Answer::denied(Reason::BadRequest, why, self.clock.now());
        self.log.later(record::entry(&answer, sent, caller));
        self.metrics
            .decided(false, answer.reason, started.elapsed());
        answer
    }

    fn look<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            match self.place() {
                Some(_place) => self.engine.look(caller, &question, self.clock.now()),
                None => self.overloaded(),
            }
        })
    }

    fn search<'a>(
        &'a self,
        caller: &'a Caller,
        search: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(async move {
            match self.place() {
                Some(_place) => self.engine.search(caller, &search, self.clock.now()),
                None => {
                    self.metrics.shed();
                    Found::default()
                }
            }
        })
    }

    fn changes(&self) -> Changes {
        Box::pin(WatchStream::from_changes(self.changes.subscribe()).map(drop))
    }
}
