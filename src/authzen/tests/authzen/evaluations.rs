//! Many evaluations at once.

use std::sync::Arc;

use axum::http::StatusCode;
use countersign_decision::{Question, Reason};
use serde_json::{Value, json};

use crate::client::{Client, EVALUATIONS, settings};
use crate::evaluation::may_read;
use crate::fake::{Fake, answer, only_read, yes};

/// The decisions of an answer, in their order.
fn decisions(answer: &Value) -> Vec<bool> {
    let evaluations = answer["evaluations"].as_array().unwrap().iter();
    evaluations
        .map(|it| it["decision"].as_bool().unwrap())
        .collect()
}

async fn asked(point: &Arc<Fake>, body: &Value) -> Vec<Question> {
    Client::new(point.clone()).ask(EVALUATIONS, body).await;
    let asked = point.asked.lock();
    asked.iter().map(|(_, question)| question.clone()).collect()
}

fn actions(names: &[&str], semantic: Option<&str>) -> Value {
    let evaluations = names.iter().map(|it| json!({"action": {"name": it}}));
    let mut body = may_read();
    body["evaluations"] = evaluations.collect();
    if let Some(semantic) = semantic {
        body["options"] = json!({"evaluations_semantic": semantic, "another": "value"});
    }
    body
}

#[tokio::test]
async fn all_are_answered_in_their_order() {
    for semantic in [None, Some("execute_all")] {
        let client = Client::new(Fake::new(only_read));
        let body = actions(&["read", "write", "read", "delete"], semantic);
        let answer = client.ask(EVALUATIONS, &body).await;
        assert_eq!(decisions(&answer), [true, false, true, false]);
        assert!(answer.get("decision").is_none());
        assert_eq!(
            answer["evaluations"][1]["context"]["reason"],
            "NoPolicyPermits"
        );
    }
}

#[tokio::test]
async fn deny_on_first_deny_ends_with_the_first_deny() {
    let point = Fake::new(only_read);
    let body = actions(&["read", "write", "read"], Some("deny_on_first_deny"));
    let answer = Client::new(point.clone()).ask(EVALUATIONS, &body).await;
    assert_eq!(decisions(&answer), [true, false]);
    assert_eq!(point.asked.lock().len(), 2, "the third was never asked");
}

#[tokio::test]
async fn deny_on_first_deny_ends_with_the_first_error_too() {
    let mut body = actions(&["read", "read"], Some("deny_on_first_deny"));
    body["evaluations"][0]["action"] = json!({"name": 7});
    let client = Client::new(Fake::new(only_read));
    assert_eq!(decisions(&client.ask(EVALUATIONS, &body).await), [false]);
}

#[tokio::test]
async fn permit_on_first_permit_ends_with_the_first_permit() {
    let point = Fake::new(only_read);
    let body = actions(&["write", "read", "read"], Some("permit_on_first_permit"));
    let answer = Client::new(point.clone()).ask(EVALUATIONS, &body).await;
    assert_eq!(decisions(&answer), [false, true]);
    assert_eq!(point.asked.lock().len(), 2, "the third was never asked");
}

#[tokio::test]
async fn an_unknown_semantic_is_refused() {
    let client = Client::new(Fake::new(yes));
    for semantic in [json!("execute_some"), json!(""), json!(7), json!(null)] {
        let mut body = actions(&["read"], None);
        body["options"] = json!({"evaluations_semantic": semantic});
        let message = client.refused(EVALUATIONS, &body).await;
        assert!(
            message.contains("options.evaluations_semantic"),
            "{message}"
        );
    }
    let mut body = actions(&["read"], None);
    body["options"] = json!([]);
    assert!(client.refused(EVALUATIONS, &body).await.contains("options"));
}

#[tokio::test]
async fn without_evaluations_it_is_a_single_one() {
    for evaluations in [None, Some(json!([]))] {
        let mut body = may_read();
        if let Some(evaluations) = evaluations {
            body["evaluations"] = evaluations;
        }
        let answer = Client::new(Fake::new(only_read))
            .ask(EVALUATIONS, &body)
            .await;
        assert_eq!(answer["decision"], json!(true));
        assert!(answer.get("evaluations").is_none());
    }
    let nothing = json!({"evaluations": []});
    let message = Client::new(Fake::new(yes))
        .refused(EVALUATIONS, &nothing)
        .await;
    assert!(message.contains("subject"), "{message}");
}

#[tokio::test]
async fn evaluations_must_be_a_list() {
    let client = Client::new(Fake::new(yes));
    for evaluations in [
        json!({"1": {}}),
        json!("x"),
        json!(null),
        json!(1),
        json!(true),
    ] {
        let mut body = may_read();
        body["evaluations"] = evaluations;
        let message = client.refused(EVALUATIONS, &body).await;
        assert!(message.contains("evaluations must be a list"), "{message}");
    }
}

#[tokio::test]
async fn a_default_is_replaced_whole() {
    let point = Fake::new(yes);
    let body = json!({
        "subject": {"type": "agent", "id": "alice"},
        "action": {"name": "read", "properties": {"soft": true}},
        "resource": {"type": "record", "id": "1", "properties": {"status": "active"}},
        "context": {"tool": "browser", "bytes": 7},
        "evaluations": [
            {},
            {"resource": {"type": "record", "id": "2"}},
            {"action": {"name": "write"}, "subject": {"type": "agent", "id": "bob"}},
            {"context": {"bytes": 1}}
        ]
    });
    let asked = asked(&point, &body).await;
    let said: Vec<_> = asked
        .iter()
        .map(|it| {
            let properties: Vec<_> = it.resource.properties.keys().map(|it| &**it).collect();
            let (agent, action, path) = (&*it.agent, &*it.action, &*it.resource.path);
            (
                agent,
                action,
                path,
                properties,
                it.call.tool.as_deref(),
                it.call.bytes,
            )
        })
        .collect();
    let (status, soft) = ("status", "action.soft");
    assert_eq!(
        said,
        [
            ("alice", "read", "1", vec![soft, status], Some("browser"), 7),
            ("alice", "read", "2", vec![soft], Some("browser"), 7),
            ("bob", "write", "1", vec![status], Some("browser"), 7),
            ("alice", "read", "1", vec![soft, status], None, 1),
        ]
    );
}

#[tokio::test]
async fn a_required_member_that_is_absent_is_that_of_the_default() {
    let point = Fake::new(yes);
    let body = json!({
        "subject": {"type": "agent"},
        "action": {"name": "read"},
        "resource": {"type": "record"},
        "evaluations": [
            {"subject": {"id": "alice"}, "resource": {"id": "1"}, "action": {}},
            {"subject": {"id": "bob"}, "resource": {"type": "folder", "id": "2"}}
        ]
    });
    let asked = asked(&point, &body).await;
    let kinds: Vec<_> = asked.iter().map(|it| &*it.resource.kind).collect();
    assert_eq!(kinds, ["record", "folder"]);
    let agents: Vec<_> = asked.iter().map(|it| &*it.agent).collect();
    assert_eq!(agents, ["alice", "bob"]);
}

#[tokio::test]
async fn one_that_cant_be_read_fails_by_itself() {
    let mut body = may_read();
    body.as_object_mut().unwrap().remove("resource");
    let resource = json!({"type": "record", "id": "1"});
    body["evaluations"] = json!([
        {"resource": resource},
        {},
        {"resource": "record-1"},
        {"resource": resource, "action": {"name": 123}},
        {"resource": {"type": "record"}},
        7,
        null,
        {"resource": resource, "context": {"delegation": 7}},
        {"resource": resource}
    ]);
    let point = Fake::new(yes);
    let answer = Client::new(point.clone()).ask(EVALUATIONS, &body).await;
    let expected = [true, false, false, false, false, false, false, false, true];
    assert_eq!(decisions(&answer), expected);
    for (at, message) in [
        (1, "resource is missing"),
        (2, "resource must be an object, not a string"),
        (3, "action.name must be a string, not a number"),
        (4, "resource.id is missing"),
        (5, "each of evaluations must be an object, not a number"),
        (6, "each of evaluations must be an object, not null"),
        (
            7,
            "context.delegation must be a string or a list of strings, not a number",
        ),
    ] {
        let expected = json!({
            "decision": false, "context": {"error": {"status": 400, "message": message}}
        });
        assert_eq!(answer["evaluations"][at], expected);
    }
    assert_eq!(point.asked.lock().len(), 2);
}

#[tokio::test]
async fn a_member_that_is_there_twice_fails_by_itself() {
    let body = r#"{
        "subject": {"type": "agent", "id": "alice"}, "action": {"name": "read"},
        "evaluations": [
            {"resource": {"type": "a", "id": "1", "id": "2"}},
            {"resource": {"type": "a", "id": "1"}, "resource": {"type": "a", "id": "2"}},
            {"resource": {"type": "a", "id": "1", "properties": {"x": [], "x": "1"}}},
            {"resource": {"type": "a", "id": "1"}}
        ]
    }"#;
    let got = Client::new(Fake::new(yes)).post(EVALUATIONS, body).await;
    assert_eq!(decisions(&got.json()), [false, false, false, true]);
}

#[tokio::test]
async fn a_default_of_the_wrong_type_is_refused_whole() {
    let client = Client::new(Fake::new(yes));
    for entity in ["subject", "action", "resource", "context"] {
        let mut body = may_read();
        body["evaluations"] = json!([may_read()]);
        body[entity] = json!("alice");
        let message = client.refused(EVALUATIONS, &body).await;
        assert!(message.starts_with(entity), "{message}");
    }
}

#[tokio::test]
async fn what_the_caller_may_not_ask_is_an_error_of_its_own() {
    let point = Fake::new(|it| match &*it.action {
        "read" => answer(true, Reason::Permitted),
        _ => answer(false, Reason::CallerNotAllowed),
    });
    let body = actions(&["read", "write"], None);
    let answer = Client::new(point).ask(EVALUATIONS, &body).await;
    assert_eq!(decisions(&answer), [true, false]);
    assert_eq!(answer["evaluations"][1]["context"]["error"]["status"], 403);
}

#[tokio::test]
async fn ten_thousand_are_answered() {
    let names: Vec<_> = (0..10_000)
        .map(|it| if it % 3 == 0 { "read" } else { "write" })
        .collect();
    for semantic in [None, Some("deny_on_first_deny")] {
        let point = Fake::new(only_read);
        let body = actions(&names, semantic);
        let answer = Client::new(point.clone()).ask(EVALUATIONS, &body).await;
        let decisions = decisions(&answer);
        if semantic.is_some() {
            assert_eq!(decisions, [true, false]);
        } else {
            let expected: Vec<_> = names.iter().map(|it| *it == "read").collect();
            assert_eq!(decisions, expected);
        }
        let asked = point.asked.lock();
        let in_order = asked
            .iter()
            .zip(&names)
            .all(|((_, it), name)| it.action == *name);
        assert!(in_order);
    }
}

#[tokio::test]
async fn more_than_the_most_are_refused_and_none_is_asked() {
    let point = Fake::new(yes);
    let mut settings = settings();
    settings.max_batch = 3;
    let client = Client::with(point.clone(), settings);
    let message = client
        .refused(EVALUATIONS, &actions(&["read"; 4], None))
        .await;
    assert_eq!(message, "evaluations has more than 3");
    assert!(point.asked.lock().is_empty());
    client.ask(EVALUATIONS, &actions(&["read"; 3], None)).await;

    let many = format!("{{\"evaluations\":[{}]}}", vec!["0"; 400_000].join(","));
    let got = Client::new(point).post(EVALUATIONS, many).await;
    got.refused(StatusCode::BAD_REQUEST);
}
