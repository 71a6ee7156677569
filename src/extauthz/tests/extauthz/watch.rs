//! A question that stays, over a socket.

use std::collections::HashMap;
use std::time::Duration;

use countersign_decision::{Authority, Obligation, Reason};
use countersign_extauthz::watch::{Context, WatchRequest, WatchResponse};
use countersign_extauthz::{Client, Settings};
use countersign_statement::Digest;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::fake_point::{FakePoint, allow, deny};
use crate::pki::AGENT;
use crate::serving::{Serving, serve};

fn question() -> WatchRequest {
    WatchRequest {
        agent: AGENT.to_owned(),
        certificate: vec![0x30, 0],
        action: "read".to_owned(),
        resource: "ledger/invoices/7".to_owned(),
        ..WatchRequest::default()
    }
}

async fn next(answers: &mut Streaming<WatchResponse>) -> Option<WatchResponse> {
    let next = timeout(Duration::from_secs(10), answers.message()).await;
    next.expect("an answer in time").unwrap()
}

async fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let found = timeout(Duration::from_secs(10), async {
        while !look() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(found.await.is_ok(), "{what} doesn't come");
}

#[tokio::test]
async fn the_answer_comes_at_once_and_again_when_it_changes() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let mut answers = client.watch(question()).await.unwrap();
    let first = next(&mut answers).await.unwrap();
    assert!(first.allowed);
    assert_eq!(first.reason, "Permitted");
    assert_eq!(first.decision.len(), 32);
    assert_eq!(first.time, "2026-11-24T12:00:00Z");

    point.answer(deny(Reason::RiskTooHigh));
    let second = next(&mut answers).await.unwrap();
    assert!(!second.allowed);
    assert_eq!(second.reason, "RiskTooHigh");
    point.answer(deny(Reason::AgentEnded));
    assert_eq!(next(&mut answers).await.unwrap().reason, "AgentEnded");
    point.answer(allow);
    assert!(next(&mut answers).await.unwrap().allowed);
}

#[tokio::test]
async fn an_answer_that_stays_is_not_told_again() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let mut answers = client.watch(question()).await.unwrap();
    next(&mut answers).await.unwrap();
    for asked in 2..5 {
        point.change();
        eventually("the decision", || point.asked() == asked).await;
    }
    let silence = timeout(Duration::from_millis(100), answers.message()).await;
    assert!(silence.is_err());
    point.answer(deny(Reason::OwnerGone));
    assert_eq!(next(&mut answers).await.unwrap().reason, "OwnerGone");
}

#[tokio::test]
async fn the_whole_question_is_asked() {
    let point = FakePoint::answering(|question| {
        let mut answer = allow(question);
        answer.obligations.push(Obligation {
            kind: "step-up".to_owned(),
            properties: r#"{"acr_value":"2"}"#.to_owned(),
        });
        answer
    });
    let (_serving, mut client) = serve(&point).await;
    let digest = Digest::from_bytes([3; 32]);
    let request = WatchRequest {
        resource_type: "document".to_owned(),
        resource_properties: HashMap::from([("label".to_owned(), "q4".to_owned())]),
        delegation: digest.to_string(),
        context: Some(Context {
            source_ip: "::1".to_owned(),
            tool: "fetch".to_owned(),
            bytes: 7,
            destructive: true,
            audience: "auditors".to_owned(),
            request_id: "r-1".to_owned(),
        }),
        ..question()
    };
    let mut answers = client.watch(request).await.unwrap();
    let answer = next(&mut answers).await.unwrap();
    assert_eq!(answer.obligations[0].r#type, "step-up");
    assert_eq!(answer.obligations[0].properties, r#"{"acr_value":"2"}"#);
    let asked = point.last();
    assert_eq!(asked.agent, AGENT);
    assert_eq!(asked.certificate.unwrap().der, [0x30, 0]);
    assert_eq!(asked.action, "read");
    assert_eq!(asked.resource.kind, "document");
    assert_eq!(asked.resource.path, "ledger/invoices/7");
    assert_eq!(asked.resource.properties["label"], "q4");
    assert_eq!(asked.authority, Some(Authority::Digest(digest)));
    assert_eq!(asked.call.source_ip, "::1".parse().ok());
    assert_eq!(asked.call.tool.as_deref(), Some("fetch"));
    assert_eq!(asked.call.bytes, 7);
    assert!(asked.call.destructive);
    assert_eq!(asked.call.audience.as_deref(), Some("auditors"));
    assert_eq!(asked.call.request_id.as_deref(), Some("r-1"));
    assert_eq!(point.last_caller().name, "gateway");
}

#[tokio::test]
async fn what_is_no_question_is_an_error() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let bad_address = Context {
        source_ip: "here".to_owned(),
        ..Context::default()
    };
    for request in [
        WatchRequest::default(),
        WatchRequest {
            agent: String::new(),
            ..question()
        },
        WatchRequest {
            action: String::new(),
            ..question()
        },
        WatchRequest {
            resource: String::new(),
            ..question()
        },
        WatchRequest {
            delegation: "nonsense".to_owned(),
            ..question()
        },
        WatchRequest {
            context: Some(bad_address),
            ..question()
        },
    ] {
        let error = client.watch(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
    assert_eq!(point.asked(), 0);
}

#[tokio::test]
async fn a_caller_has_so_many_subscriptions_and_gets_a_place_back_when_one_ends() {
    let point = FakePoint::allowing();
    for settings in [
        Settings {
            max_watches_per_caller: 2,
            ..Settings::default()
        },
        Settings {
            max_watches: 2,
            ..Settings::default()
        },
    ] {
        let serving = Serving::point(&point, settings).await;
        let mut client: Client = serving.client().await;
        let mut first = client.watch(question()).await.unwrap();
        let mut second = client.watch(question()).await.unwrap();
        next(&mut first).await.unwrap();
        next(&mut second).await.unwrap();
        let error = client.watch(question()).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);

        drop(second);
        eventually("the end of one", || point.followers() == 1).await;
        next(&mut client.watch(question()).await.unwrap())
            .await
            .unwrap();
        drop(first);
        drop(client);
        eventually("the end of all", || point.followers() == 0).await;
    }
}

#[tokio::test]
async fn a_subscription_ends_cleanly_with_the_decision_point() {
    let point = FakePoint::allowing();
    let (_serving, mut client) = serve(&point).await;
    let mut answers = client.watch(question()).await.unwrap();
    next(&mut answers).await.unwrap();
    point.end();
    assert_eq!(next(&mut answers).await, None);
}
