//! Single evaluations: the shape of what comes out.

use axum::http::StatusCode;
use countersign_decision::{Answer, Obligation, Question, Reason, Risk, RiskPart};
use serde_json::{Value, json};

use crate::client::{Client, EVALUATION};
use crate::fake::{Fake, answer, no, yes};

pub(crate) fn may_read() -> Value {
    json!({
        "subject": {"type": "agent", "id": "spiffe://example.org/ns/finance/agent/reader"},
        "action": {"name": "read"},
        "resource": {"type": "document", "id": "ledger/invoices/7"}
    })
}

fn obligation(kind: &str, properties: &str) -> Obligation {
    Obligation {
        kind: kind.to_owned(),
        properties: properties.to_owned(),
    }
}

#[tokio::test]
async fn a_permit_and_a_deny_are_both_answers() {
    for (decide, decision) in [(yes as fn(&_) -> _, true), (no, false)] {
        let client = Client::new(Fake::new(decide));
        let answer = client.ask(EVALUATION, &may_read()).await;
        assert_eq!(answer["decision"], json!(decision));
    }
}

#[tokio::test]
async fn the_context_says_why_and_no_more() {
    let point = Fake::new(|_| {
        let mut it = answer(false, Reason::RiskTooHigh);
        it.obligations = vec![
            obligation("step-up", r#"{"acr_value": "urn:loa:3"}"#),
            obligation("notification", r#" {"to":"audit","body":"x"} "#),
        ];
        it.risk = Risk {
            risk: 90,
            anomaly: 10,
            parts: vec![RiskPart {
                kind: "caep/risk-level-change".to_owned(),
                score: 90,
                why: "the risk is high".to_owned(),
            }],
        };
        it
    });
    let mut got = Client::new(point).ask(EVALUATION, &may_read()).await;
    let id = got["context"]["id"].take();
    assert_eq!(id.as_str().unwrap().len(), 32);
    assert_eq!(
        got,
        json!({
            "decision": false,
            "context": {
                "id": null,
                "reason": "RiskTooHigh",
                "explanation": "because it was told so",
                "policies": ["cluster/guard/all"],
                "obligations": [
                    {"id": "1", "type": "step-up", "properties": {"acr_value": "urn:loa:3"}},
                    {"id": "2", "type": "notification", "properties": {"to": "audit", "body": "x"}}
                ],
                "risk": {
                    "risk": 90,
                    "anomaly": 10,
                    "parts": [{
                        "kind": "caep/risk-level-change", "score": 90, "why": "the risk is high"
                    }]
                }
            }
        })
    );
}

#[tokio::test]
async fn without_obligations_none_are_told() {
    let client = Client::new(Fake::new(yes));
    let answer = client.ask(EVALUATION, &may_read()).await;
    assert!(answer["context"].get("obligations").is_none());
}

#[tokio::test]
async fn a_permit_whose_obligation_cant_be_told_is_none() {
    let points: [fn(&Question) -> Answer; 5] = [
        |_| with_properties(""),
        |_| with_properties("[]"),
        |_| with_properties("\"x\""),
        |_| with_properties("{"),
        |_| with_properties("{} {}"),
    ];
    for point in points.map(Fake::new) {
        let client = Client::new(point);
        let got = client.post(EVALUATION, may_read().to_string()).await;
        got.refused(StatusCode::INTERNAL_SERVER_ERROR);
    }
}

fn with_properties(properties: &str) -> Answer {
    let mut it = answer(true, Reason::Permitted);
    it.obligations = vec![obligation("step-up", properties)];
    it
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let point = Fake::new(yes);
    let mut body = may_read();
    body["foo"] = json!("bar");
    body["futureField"] = json!({"nested": [true, null, {"a": 1}]});
    body["evaluations"] = json!("of no concern here");
    body["page"] = json!(7);
    body["subject"]["foo"] = json!(1);
    body["action"]["foo"] = json!([]);
    body["resource"]["foo"] = json!({});
    body["context"] = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1", "x": [1]});
    let client = Client::new(point.clone());
    assert_eq!(client.ask(EVALUATION, &body).await["decision"], json!(true));
    let plain = Fake::new(yes);
    Client::new(plain.clone())
        .ask(EVALUATION, &may_read())
        .await;
    assert_eq!(point.question(), plain.question());
}

#[tokio::test]
async fn the_same_question_gets_the_same_decision() {
    let client = Client::new(Fake::new(yes));
    for _ in 0..5 {
        let answer = client.ask(EVALUATION, &may_read()).await;
        assert_eq!(answer["decision"], json!(true));
    }
}
