//! Push delivery (RFC 8935) over a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use countersign_decision::{SignalSink as _, SignalSubject};
use countersign_signals::{
    BearerToken, KeySource, Metrics, PUSH_PATH, Receiver, Settings, Stream, Verifier, router,
};
use serde_json::{Value, json};

use crate::table::{Table, standing, start};
use crate::transmitter::{AUDIENCE, RISK, Transmitter, claims, verifier, with};
use crate::wire::{Answer, Server, request};

const TOKEN: &str = "a-token-of-the-transmitter";

pub(crate) struct World {
    pub(crate) transmitter: Transmitter,
    pub(crate) table: Arc<Table>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) server: Server,
    pub(crate) metrics: Metrics,
}

pub(crate) fn receiver_of(
    transmitter: &Transmitter,
    verifier: Verifier,
    token: Option<&str>,
    table: &Arc<Table>,
    metrics: &Metrics,
) -> Arc<Receiver> {
    let stream = Stream {
        verifier,
        keys: KeySource::fixed(transmitter.keys()),
        push_token: token.map(|it| BearerToken::new(it).unwrap()),
        id: Some("f67e39a0".to_owned()),
    };
    let metrics = metrics.clone();
    Arc::new(Receiver::new(stream, table.clone(), standing(), metrics))
}

pub(crate) fn settings(receivers: Vec<Arc<Receiver>>) -> Settings {
    Settings {
        receivers,
        falco: Vec::new(),
        reporters: Vec::new(),
        replicas: None,
        now: standing(),
        metrics: Metrics::default(),
    }
}

async fn world() -> World {
    let transmitter = Transmitter::new("k");
    let table = Table::new();
    let metrics = Metrics::default();
    let receiver = receiver_of(&transmitter, verifier(), Some(TOKEN), &table, &metrics);
    let server = Server::start(router(table.clone(), settings(vec![receiver.clone()]))).await;
    World {
        transmitter,
        table,
        receiver,
        server,
        metrics,
    }
}

pub(crate) async fn push(address: SocketAddr, token: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/secevent+jwt"),
        ("Accept", "application/json"),
        ("Authorization", bearer.as_str()),
    ];
    request(address, &format!("POST {PUSH_PATH}"), &headers, body).await
}

impl World {
    async fn push(&self, claims: &Value) -> Answer {
        let token = self.transmitter.token(claims);
        push(self.server.address, TOKEN, token.as_bytes()).await
    }
}

#[tokio::test]
async fn a_good_token_is_accepted_with_an_empty_answer_and_its_signal_counts() {
    let world = world().await;
    let answer = world.push(&claims("1")).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    let all = world.table.all();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].severity, 90);
    assert_eq!(all[0].id, "1");
}

#[tokio::test]
async fn a_repeated_token_is_acknowledged_and_changes_nothing() {
    let world = world().await;
    assert_eq!(world.push(&claims("1")).await.status, 202);
    let low = with(
        "1",
        "events",
        json!({
            "https://schemas.openid.net/secevent/caep/event-type/risk-level-change": {"current_level": "LOW"},
        }),
    );
    assert_eq!(world.push(&low).await.status, 202);
    let all = world.table.all();
    assert_eq!(all.iter().map(|it| it.severity).collect::<Vec<_>>(), [90]);
}

#[tokio::test]
async fn a_refused_token_is_told_why_and_changes_nothing() {
    let world = world().await;
    let now = start().as_second();
    let cases = [
        (
            with("1", "iss", json!("https://evil.example.com")),
            "invalid_issuer",
        ),
        (
            with("1", "aud", json!("https://other.example.org")),
            "invalid_audience",
        ),
        (with("1", "exp", json!(now + 60)), "invalid_request"),
        (with("1", "iat", json!(now - 90_000)), "invalid_request"),
        (
            with("1", "events", json!({"a": {}, "b": {}})),
            "invalid_request",
        ),
        (
            with(
                "1",
                "sub_id",
                json!({"format": "phone_number", "phone_number": "+1"}),
            ),
            "invalid_request",
        ),
        (with("1", "sub_id", Value::Null), "invalid_request"),
    ];
    for (claims, err) in cases {
        let answer = world.push(&claims).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (400, err),
            "{claims}"
        );
        assert!(answer.head.contains("content-type: application/json"));
    }
    let forged = Transmitter::new("k").token(&claims("1"));
    let answer = push(world.server.address, TOKEN, forged.as_bytes()).await;
    assert_eq!((answer.status, answer.err().as_str()), (400, "invalid_key"));
    assert!(world.table.all().is_empty());
    assert_eq!(
        world.push(&claims("1")).await.status,
        202,
        "its name isn't burnt"
    );
}

#[tokio::test]
async fn only_the_transmitter_may_push_and_only_to_its_own_stream() {
    let (one, two) = (Transmitter::new("1"), Transmitter::new("2"));
    let (table, metrics) = (Table::new(), Metrics::default());
    let other = Verifier {
        issuer: "https://other.example.com".to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
    };
    let receivers = vec![
        receiver_of(&one, verifier(), Some(TOKEN), &table, &metrics),
        receiver_of(
            &two,
            other,
            Some("a-token-of-the-other-one"),
            &table,
            &metrics,
        ),
        receiver_of(&two, verifier(), None, &table, &metrics),
    ];
    let server = Server::start(router(table.clone(), settings(receivers))).await;
    let token = one.token(&claims("1"));
    for bearer in ["a-token-of-nobody-at-all", "", "short"] {
        let answer = push(server.address, bearer, token.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (400, "authentication_failed")
        );
    }
    let headers = [("Content-Type", "application/secevent+jwt")];
    let line = format!("POST {PUSH_PATH}");
    let answer = request(server.address, &line, &headers, token.as_bytes()).await;
    assert_eq!(answer.err(), "authentication_failed");
    let answer = push(server.address, "a-token-of-the-other-one", token.as_bytes()).await;
    assert_eq!((answer.status, answer.err().as_str()), (400, "invalid_key"));
    assert!(table.all().is_empty());
    assert_eq!(
        push(server.address, TOKEN, token.as_bytes()).await.status,
        202
    );
}

#[tokio::test]
async fn bodies_of_any_kind_are_answered() {
    let world = world().await;
    let address = world.server.address;
    let deep = "[".repeat(10_000).into_bytes();
    for (body, status) in [
        (Vec::new(), 400),
        (deep, 400),
        (vec![0xff; 1000], 400),
        (vec![b'x'; 64 * 1024], 400),
        (vec![b'x'; 64 * 1024 + 1], 413),
        (vec![b'x'; 10 * 1024 * 1024], 413),
    ] {
        let answer = push(address, TOKEN, &body).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (status, "invalid_request")
        );
    }
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", bearer.as_str()),
    ];
    let line = format!("POST {PUSH_PATH}");
    let token = world.transmitter.token(&claims("1"));
    let answer = request(address, &line, &headers, token.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.err().as_str()),
        (400, "invalid_request")
    );
    let answer = request(address, &format!("GET {PUSH_PATH}"), &headers, b"").await;
    assert_eq!(answer.status, 405);
    assert_eq!(
        world.push(&claims("1")).await.status,
        202,
        "and it still works"
    );
}

#[tokio::test]
async fn with_a_full_table_the_token_is_to_come_again() {
    let world = world().await;
    world.table.full.store(true, Ordering::Relaxed);
    let answer = world.push(&claims("1")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    world.table.full.store(false, Ordering::Relaxed);
    assert_eq!(world.push(&claims("1")).await.status, 202);
    assert_eq!(world.table.all().len(), 1);
}

#[tokio::test]
async fn what_isnt_known_is_acknowledged() {
    let world = world().await;
    let unknown = with(
        "1",
        "events",
        json!({"https://example.com/something-else": {}}),
    );
    assert_eq!(world.push(&unknown).await.status, 202);
    assert!(world.table.all().is_empty());
    assert_eq!(world.metrics.count("set", "ignored"), 1);
}

#[tokio::test]
async fn what_is_over_when_it_arrives_is_acknowledged_and_no_more() {
    let world = world().await;
    let hours_ago = |hours: i64| json!(start().as_second() - 3600 * hours);
    let mut late = with("1", "iat", hours_ago(2));
    late["events"] = json!({
        "https://schemas.openid.net/secevent/caep/event-type/token-claims-change": {"claims": {}},
    });
    assert_eq!(world.push(&late).await.status, 202);
    let mut old = claims("2");
    old["events"][RISK]["event_timestamp"] = hours_ago(25);
    assert_eq!(world.push(&old).await.status, 202);
    assert!(world.table.all().is_empty());
}

#[tokio::test]
async fn a_verification_must_bring_the_state_that_was_sent() {
    let world = world().await;
    let verification = |id: &str, stream: &str, body: Value| {
        let subject = json!({"format": "opaque", "id": stream});
        let mut claims = with(id, "sub_id", subject);
        claims["events"] = json!({
            "https://schemas.openid.net/secevent/ssf/event-type/verification": body,
        });
        claims
    };
    assert_eq!(world.receiver.verified(), None);
    world.receiver.expect_state("a-state");
    let wrong = verification("1", "f67e39a0", json!({"state": "another"}));
    assert_eq!(world.push(&wrong).await.err(), "invalid_state");
    let other = verification("2", "another-stream", json!({"state": "a-state"}));
    assert_eq!(world.push(&other).await.err(), "invalid_request");
    assert_eq!(world.receiver.verified(), None);
    let right = verification("3", "f67e39a0", json!({"state": "a-state"}));
    assert_eq!(world.push(&right).await.status, 202);
    assert_eq!(world.receiver.verified(), Some(start()));
    let unasked = verification("4", "f67e39a0", json!({}));
    assert_eq!(world.push(&unasked).await.status, 202);
}

#[tokio::test]
async fn a_session_of_a_person_with_a_foreign_name_is_the_persons() {
    let world = world().await;
    let mut claims = with(
        "1",
        "sub_id",
        json!({
            "format": "complex",
            "user": {"format": "iss_sub", "iss": "https://idp.example.com", "sub": "b6f0-42"},
            "session": {"format": "opaque", "id": "1d8f"},
        }),
    );
    claims["events"] = json!({
        "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {"initiating_entity": "admin"},
    });
    assert_eq!(world.push(&claims).await.status, 202);
    let owner = SignalSubject::Owner("b6f0-42".to_owned());
    assert_eq!(world.table.all()[0].subject, owner);
}
