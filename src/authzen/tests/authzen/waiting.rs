//! Batches whose answers take their time: an allow that is on record first waits for its record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_decision::{
    Answer, Caller, Changes, DecisionPoint, Found, Question, Reason, Search,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::client::{Client, EVALUATIONS};
use crate::evaluation::may_read;
use crate::fake::{Fake, yes};

/// It permits, after a second, the later the earlier it was asked.
struct Slow;

impl DecisionPoint for Slow {
    fn decide<'a>(
        &'a self,
        _: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let place = question.call.bytes % 32;
            sleep(Duration::from_millis(1000 - place)).await;
            let mut answer = yes(&question);
            answer.explanation = question.call.bytes.to_string();
            answer
        })
    }

    fn refuse(&self, _: &Caller, _: &Question, why: &str) -> Answer {
        Answer::denied(Reason::BadRequest, why, Timestamp::UNIX_EPOCH)
    }

    fn search<'a>(
        &'a self,
        _: &'a Caller,
        _: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(async { Found::default() })
    }

    fn changes(&self) -> Changes {
        Box::pin(futures::stream::empty())
    }
}

#[tokio::test(start_paused = true)]
async fn those_of_a_batch_wait_together_and_keep_their_order() {
    let mut body = may_read();
    body["evaluations"] = (0..64)
        .map(|it| json!({"context": {"bytes": it}}))
        .collect();
    let start = Instant::now();
    let answer = Client::new(Arc::new(Slow)).ask(EVALUATIONS, &body).await;
    assert!(
        start.elapsed() <= Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    let places = answer["evaluations"].as_array().unwrap().iter();
    let places: Vec<_> = places
        .map(|it| it["context"]["explanation"].clone())
        .collect();
    let expected: Vec<_> = (0..64).map(|it| json!(it.to_string())).collect();
    assert_eq!(places, expected);
}

#[tokio::test(start_paused = true)]
async fn one_that_may_end_a_batch_is_awaited_before_the_next_is_asked() {
    let mut body = may_read();
    body["evaluations"] = json!([{}, {}, {}]);
    body["options"] = json!({"evaluations_semantic": "deny_on_first_deny"});
    let start = Instant::now();
    Client::new(Arc::new(Slow)).ask(EVALUATIONS, &body).await;
    assert!(start.elapsed() >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_long_batch_leaves_room_for_others() {
    for semantic in ["execute_all", "deny_on_first_deny"] {
        let mut body = may_read();
        body["evaluations"] = (0..10_000).map(|_| json!({})).collect();
        body["options"] = json!({"evaluations_semantic": semantic});
        let client = Client::new(Fake::new(yes));
        let others = async {
            let mut turns = 0;
            loop {
                tokio::task::yield_now().await;
                turns += 1;
                if turns == 100 {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            _ = client.ask(EVALUATIONS, &body) => panic!("others had no turn"),
            () = others => {}
        }
    }
}
