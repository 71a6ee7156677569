//! What becomes of AuthZEN's words.

use countersign_decision::{Authority, Call};
use countersign_statement::Digest;
use serde_json::{Value, json};

use crate::client::{Client, EVALUATION, gateway};
use crate::evaluation::may_read;
use crate::fake::{Fake, yes};

async fn question(change: impl Fn(&mut Value)) -> countersign_decision::Question {
    let point = Fake::new(yes);
    let mut body = may_read();
    change(&mut body);
    Client::new(point.clone()).ask(EVALUATION, &body).await;
    let (caller, question) = point.asked.lock()[0].clone();
    assert_eq!(caller, gateway());
    question
}

async fn refused(change: impl Fn(&mut Value)) -> String {
    let point = Fake::new(yes);
    let mut body = may_read();
    change(&mut body);
    let message = Client::new(point.clone()).refused(EVALUATION, &body).await;
    assert!(point.asked.lock().is_empty(), "it was asked all the same");
    message
}

#[tokio::test]
async fn ids_and_names_go_through_as_they_are() {
    let question = question(|it| {
        it["subject"]["id"] = json!("ägent \u{1f680}");
        it["action"]["name"] = json!("can_read_user");
        it["resource"] = json!({"type": "user", "id": "beth@the-smiths.com"});
    })
    .await;
    assert_eq!(question.agent, "ägent \u{1f680}");
    assert_eq!(question.action, "can_read_user");
    assert_eq!(question.resource.kind, "user");
    assert_eq!(question.resource.path, "beth@the-smiths.com");
    assert!(question.resource.properties.is_empty());
    assert_eq!(question.certificate, None);
    assert_eq!(question.authority, None);
    assert_eq!(question.call, Call::default());
}

#[tokio::test]
async fn what_a_subject_says_of_itself_counts_for_nothing() {
    let plain = question(|_| ()).await;
    let with = question(|it| {
        it["subject"]["type"] = json!("spaceship");
        it["subject"]["properties"] = json!({"role": "admin", "deep": {"a": [1]}});
    })
    .await;
    assert_eq!(with, plain);
}

#[tokio::test]
async fn properties_of_a_resource_become_text() {
    let question = question(|it| {
        it["resource"]["properties"] = json!({
            "ownerID": "rick@the-citadel.com",
            "count": 12,
            "negative": -3,
            "share": 0.5,
            "open": true,
            "none": null,
            "object": {"a": 1},
            "list": [1],
            "action.soft": "made up"
        });
    })
    .await;
    let properties: Vec<_> = question.resource.properties.into_iter().collect();
    let expected = [
        ("count", "12"),
        ("negative", "-3"),
        ("open", "true"),
        ("ownerID", "rick@the-citadel.com"),
        ("share", "0.5"),
    ];
    assert_eq!(
        properties,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[tokio::test]
async fn properties_of_an_action_are_the_call_and_the_resources() {
    let question = question(|it| {
        it["action"]["properties"] = json!({
            "soft": true, "method": "GET", "tool": "browser", "bytes": 7, "destructive": true
        });
    })
    .await;
    assert_eq!(question.call.tool.as_deref(), Some("browser"));
    assert_eq!(question.call.bytes, 7);
    assert!(question.call.destructive);
    let properties: Vec<_> = question.resource.properties.keys().collect();
    assert_eq!(properties, ["action.method", "action.soft"]);
    assert_eq!(question.resource.properties["action.soft"], "true");
}

#[tokio::test]
async fn of_two_that_say_something_of_the_call_the_graver_counts() {
    for (action, context, expected) in [
        (json!({"bytes": 7}), json!({"bytes": 9}), (9, false)),
        (json!({"bytes": 9}), json!({"bytes": 7}), (9, false)),
        (
            json!({"destructive": true}),
            json!({"destructive": false}),
            (0, true),
        ),
        (
            json!({"destructive": false}),
            json!({"destructive": true}),
            (0, true),
        ),
    ] {
        let question = question(|it| {
            it["action"]["properties"] = action.clone();
            it["context"] = context.clone();
        })
        .await;
        let call = question.call;
        assert_eq!((call.bytes, call.destructive), expected);
    }
    let message = refused(|it| {
        it["action"]["properties"] = json!({"tool": "browser"});
        it["context"] = json!({"tool": "shell"});
    })
    .await;
    assert!(message.contains("action.properties.tool"), "{message}");
}

#[tokio::test]
async fn the_context_says_where_from_and_what() {
    let question = question(|it| {
        it["context"] = json!({
            "sourceIP": "2001:db8::7",
            "tool": "browser",
            "bytes": 18446744073709551615_u64,
            "destructive": true,
            "audience": "bank",
            "certificate": "MAA="
        });
    })
    .await;
    assert_eq!(
        question.call,
        Call {
            source_ip: Some("2001:db8::7".parse().unwrap()),
            tool: Some("browser".to_owned()),
            bytes: u64::MAX,
            destructive: true,
            audience: Some("bank".to_owned()),
            ..Call::default()
        }
    );
    assert_eq!(question.certificate.unwrap().der, [0x30, 0]);
}

#[tokio::test]
async fn a_delegation_is_a_digest_or_statements() {
    let digest = Digest::from_bytes([7; 32]);
    let by_digest = question(|it| {
        it["context"] = json!({"delegation": digest.to_string()});
    });
    let digest = Authority::Digest(digest);
    assert_eq!(by_digest.await.authority, Some(digest));
    let whole = question(|it| it["context"] = json!({"delegation": ["a.b.c", "d.e.f"]}));
    let statements = vec!["a.b.c".to_owned(), "d.e.f".to_owned()];
    assert_eq!(
        whole.await.authority,
        Some(Authority::Statements(statements))
    );
}

#[tokio::test]
async fn what_is_not_as_it_must_be_is_named() {
    for (at, value) in [
        ("context.delegation", json!("no digest")),
        ("context.delegation", json!([])),
        ("context.delegation", json!(["a.b.c", 7])),
        ("context.delegation", json!(vec!["a.b.c"; 18])),
        ("context.delegation", json!({})),
        ("context.delegation", json!(["x".repeat(33 << 10)])),
        ("context.certificate", json!("no base64!")),
        ("context.certificate", json!("A".repeat(20_000))),
        ("context.sourceIP", json!("300.1.1.1")),
        ("context.bytes", json!(-1)),
        ("context.bytes", json!(1.5)),
        ("context.tool", json!("x".repeat(2000))),
        ("subject.id", json!("x".repeat(3000))),
        ("resource.id", json!("x".repeat(3000))),
        ("action.name", json!("x".repeat(2000))),
    ] {
        let (entity, member) = at.split_once('.').unwrap();
        let message = refused(|it| it[entity][member] = value.clone()).await;
        assert!(message.contains(at), "{at}: {message}");
    }
}

#[tokio::test]
async fn too_many_properties_are_refused() {
    let many: serde_json::Map<_, _> = (0..65).map(|it| (format!("p{it}"), json!(it))).collect();
    let long = json!({"p": "x".repeat(17 << 10)});
    for properties in [Value::Object(many), long] {
        for entity in ["resource", "action"] {
            let message = refused(|it| it[entity]["properties"] = properties.clone()).await;
            assert!(
                message.contains(&format!("{entity}.properties")),
                "{message}"
            );
        }
    }
}
