//! The certification scenario of the AuthZEN working group (`authorization-api-1_0-scenario.md`): its
//! fixture as policies of our own, its eight decisions, its six searches, and what it asks of batches.
//! Shapes, codes and headers are those of the other modules.

use serde_json::{Value, json};

use crate::client::{
    Client, EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT,
};
use crate::engine;

fn pdp() -> Client {
    let policies = [
        r#"permit (principal, action == Countersign::Action::"read", resource)
           when { resource.type == "record" };"#,
        r#"permit (
             principal == Countersign::Agent::"alice",
             action == Countersign::Action::"write",
             resource
           ) when { resource.type == "record" }
           unless { resource.hasTag("status") && resource.getTag("status") == "archived" };"#,
        // Where nobody says so, it is known which one is archived.
        r#"permit (principal, action == Countersign::Action::"write", resource)
           when {
             resource.type == "record"
             && principal.claimed.hasTag("role") && principal.claimed.getTag("role") == "admin"
             && ((resource.hasTag("status") && resource.getTag("status") == "archived")
                 || (!resource.hasTag("status") && resource.path == "record-2"))
           };"#,
        r#"permit (
             principal == Countersign::Agent::"alice",
             action == Countersign::Action::"delete",
             resource
           ) when { resource.hasTag("action.soft") && resource.getTag("action.soft") == "true" };"#,
    ];
    engine::client(
        &[("alice", &[]), ("bob", &[("role", "admin")])],
        &["read", "write", "delete"],
        &["record-1", "record-2"],
        &policies.map(str::to_owned),
    )
}

fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

fn admin() -> Value {
    json!({"type": "user", "id": "bob", "properties": {"role": "admin"}})
}

fn record(id: &str) -> Value {
    json!({"type": "record", "id": id})
}

fn record_that_is(id: &str, status: &str) -> Value {
    json!({"type": "record", "id": id, "properties": {"status": status}})
}

fn action(name: &str) -> Value {
    json!({"name": name})
}

fn delete(soft: bool) -> Value {
    json!({"name": "delete", "properties": {"soft": soft}})
}

#[tokio::test]
async fn the_eight_decisions_are_as_the_fixture_wants_them() {
    let pdp = pdp();
    let archived = record_that_is("record-2", "archived");
    for (subject, action, resource, expected) in [
        (user("alice"), action("read"), record("record-1"), true),
        (user("alice"), action("write"), record("record-1"), true),
        (user("bob"), action("read"), record("record-1"), true),
        (user("bob"), action("write"), record("record-1"), false),
        (user("alice"), action("write"), archived.clone(), false),
        (admin(), action("write"), archived, true),
        (user("alice"), delete(true), record("record-1"), true),
        (user("alice"), delete(false), record("record-1"), false),
    ] {
        let mut request = json!({"subject": subject, "action": action, "resource": resource});
        for context in [
            None,
            Some(json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"})),
        ] {
            if let Some(context) = context {
                request["context"] = context;
            }
            let answer = pdp.ask(EVALUATION, &request).await;
            assert_eq!(answer["decision"], json!(expected), "{request}: {answer}");
            let again = pdp.ask(EVALUATIONS, &request).await;
            assert_eq!(again["decision"], json!(expected), "{request}: {again}");
        }
    }
}

#[tokio::test]
async fn additional_properties_and_unknown_members_change_nothing() {
    let request = json!({
        "subject": {
            "type": "user", "id": "alice", "properties": {"department": "Sales", "role": "manager"}
        },
        "action": {"name": "read", "properties": {"method": "GET"}},
        "resource": {
            "type": "record", "id": "record-1",
            "properties": {"status": "active", "owner": "bob"}
        },
        "foo": "bar",
        "futureField": {"nested": true}
    });
    let answer = pdp().ask(EVALUATION, &request).await;
    assert_eq!(answer["decision"], json!(true), "{answer}");
}

#[tokio::test]
async fn batches_are_decided_in_their_order() {
    let pdp = pdp();
    let archived = record_that_is("record-2", "archived");
    let active = record_that_is("record-1", "active");
    for (request, expected) in [
        (
            json!({
                "subject": user("bob"), "resource": record("record-1"),
                "evaluations": [{"action": action("read")}, {"action": action("write")}]
            }),
            [true, false],
        ),
        (
            json!({
                "subject": user("alice"), "action": action("write"),
                "evaluations": [{"resource": active}, {"resource": archived}]
            }),
            [true, false],
        ),
        (
            json!({
                "action": action("write"), "resource": archived,
                "evaluations": [{"subject": user("alice")}, {"subject": admin()}]
            }),
            [false, true],
        ),
        (
            json!({
                "evaluations": [
                    {
                        "subject": user("alice"), "action": action("read"),
                        "resource": record("record-1")
                    },
                    {
                        "subject": user("bob"), "action": action("write"),
                        "resource": record("record-1")
                    }
                ]
            }),
            [true, false],
        ),
        (
            json!({
                "subject": user("alice"), "action": action("write"),
                "resource": {"type": "record"},
                "evaluations": [
                    {"resource": {"id": "record-1", "properties": {"status": "active"}}},
                    {"resource": archived}
                ]
            }),
            [true, false],
        ),
        (
            json!({
                "subject": user("alice"), "action": action("read"),
                "evaluations": [{"resource": record("record-1")}, {}]
            }),
            [true, false],
        ),
    ] {
        let answer = pdp.ask(EVALUATIONS, &request).await;
        let decisions = answer["evaluations"].as_array().unwrap().iter();
        let decisions: Vec<_> = decisions.map(|it| it["decision"].clone()).collect();
        assert_eq!(decisions, expected.map(Value::Bool), "{request}: {answer}");
    }
}

#[tokio::test]
async fn the_six_searches_find_what_the_fixture_has() {
    let pdp = pdp();
    let archived = record_that_is("record-2", "archived");
    let (users, records) = (json!({"type": "user"}), json!({"type": "record"}));
    for (path, request, expected) in [
        (
            SEARCH_SUBJECT,
            json!({"subject": users, "action": action("read"), "resource": record("record-1")}),
            json!([user("alice"), user("bob")]),
        ),
        (
            SEARCH_RESOURCE,
            json!({"subject": user("alice"), "action": action("read"), "resource": records}),
            json!([record("record-1"), record("record-2")]),
        ),
        (
            SEARCH_ACTION,
            json!({"subject": user("alice"), "resource": record("record-1")}),
            json!([action("read"), action("write")]),
        ),
        (
            SEARCH_SUBJECT,
            json!({"subject": users, "action": action("write"), "resource": archived}),
            json!([user("bob")]),
        ),
        (
            SEARCH_RESOURCE,
            json!({"subject": admin(), "action": action("write"), "resource": records}),
            json!([record("record-2")]),
        ),
        (
            SEARCH_ACTION,
            json!({"subject": admin(), "resource": archived}),
            json!([action("read"), action("write")]),
        ),
    ] {
        let answer = pdp.ask(path, &request).await;
        assert_eq!(answer["results"], expected, "{request}");
        assert_eq!(answer["page"]["next_token"], json!(""));
    }
}

#[tokio::test]
async fn searches_for_what_nobody_knows_find_nothing() {
    let pdp = pdp();
    for (path, request) in [
        (
            SEARCH_ACTION,
            json!({"subject": user("nonexistent-user"), "resource": record("record-1")}),
        ),
        (
            SEARCH_SUBJECT,
            json!({
                "subject": {"type": "spaceship"}, "action": action("read"),
                "resource": record("record-1")
            }),
        ),
        (
            SEARCH_RESOURCE,
            json!({
                "subject": user("alice"), "action": action("read"),
                "resource": {"type": "spaceship"}
            }),
        ),
        (
            SEARCH_ACTION,
            json!({"subject": user("alice"), "resource": {"type": "spaceship", "id": "record-1"}}),
        ),
    ] {
        assert_eq!(
            pdp.ask(path, &request).await["results"],
            json!([]),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_search_goes_on_where_its_page_ended() {
    let pdp = pdp();
    let mut request = json!({
        "subject": {"type": "user"}, "action": action("read"), "resource": record("record-1"),
        "page": {"limit": 1}
    });
    let first = pdp.ask(SEARCH_SUBJECT, &request).await;
    assert_eq!(first["results"], json!([user("alice")]));
    request["page"] = json!({"token": first["page"]["next_token"]});
    let second = pdp.ask(SEARCH_SUBJECT, &request).await;
    assert_eq!(second["results"], json!([user("bob")]));
    assert_eq!(second["page"], json!({"next_token": "", "count": 1}));
}
