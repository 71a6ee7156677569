//! Poll delivery (RFC 8936) from a small server that forgets nothing it wasn't told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use countersign_decision::SignalSink as _;
use countersign_http::Http;
use countersign_signals::{
    Authorization, ClientCredentials, Metrics, PollSettings, Polled, Poller, Secret,
};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::push::receiver_of;
use crate::table::{Table, until};
use crate::transmitter::{Transmitter, claims, verifier};
use crate::wire::Server;

/// The transmitter's side.
#[derive(Default)]
struct Outbox {
    tokens: Mutex<BTreeMap<String, String>>,
    refused: Mutex<BTreeMap<String, String>>,
    bodies: Mutex<Vec<Value>>,
    issued: AtomicUsize,
    broken: AtomicUsize,
}

async fn serve(State(outbox): State<Arc<Outbox>>, headers: HeaderMap, body: Bytes) -> Response {
    let shown = headers["authorization"].to_str().unwrap().to_owned();
    let current = format!("Bearer access-{}", outbox.issued.load(Ordering::SeqCst));
    if shown != current {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if outbox.broken.load(Ordering::SeqCst) > 0 {
        outbox.broken.fetch_sub(1, Ordering::SeqCst);
        return "<html>".into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    outbox.bodies.lock().push(body.clone());
    let mut tokens = outbox.tokens.lock();
    for id in body["ack"].as_array().into_iter().flatten() {
        tokens.remove(id.as_str().unwrap());
    }
    for (id, why) in body["setErrs"].as_object().into_iter().flatten() {
        tokens.remove(id);
        let why = why["err"].as_str().unwrap().to_owned();
        outbox.refused.lock().insert(id.clone(), why);
    }
    let most = body["maxEvents"].as_u64().unwrap() as usize;
    let sets: BTreeMap<_, _> = tokens.iter().take(most).collect();
    json!({"sets": sets, "moreAvailable": tokens.len() > most})
        .to_string()
        .into_response()
}

async fn access_token(
    State(outbox): State<Arc<Outbox>>,
    headers: HeaderMap,
    body: Bytes,
) -> String {
    assert_eq!(headers["authorization"], "Basic YWdlbnRzOnBhc3M="); // agents:pass
    assert_eq!(body, "grant_type=client_credentials&scope=ssf.read");
    let number = outbox.issued.fetch_add(1, Ordering::SeqCst) + 1;
    json!({"access_token": format!("access-{number}"), "token_type": "Bearer", "expires_in": 300})
        .to_string()
}

struct World {
    transmitter: Transmitter,
    outbox: Arc<Outbox>,
    table: Arc<Table>,
    poller: Poller,
    _server: Server,
}

pub(crate) fn http() -> Http {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Http::new(tls)
}

async fn world() -> World {
    let transmitter = Transmitter::new("k");
    let outbox = Arc::new(Outbox::default());
    let router = Router::new()
        .route("/poll", post(serve))
        .route("/token", post(access_token))
        .with_state(outbox.clone());
    let server = Server::start(router).await;
    let table = Table::new();
    let settings = PollSettings {
        endpoint: server.url("/poll"),
        authorization: Authorization::ClientCredentials(ClientCredentials {
            token_endpoint: server.url("/token"),
            client_id: "agents".to_owned(),
            client_secret: Secret::new("pass").unwrap(),
            scope: Some("ssf.read".to_owned()),
        }),
        interval: Duration::from_millis(20),
    };
    let receiver = receiver_of(&transmitter, verifier(), None, &table, &Metrics::default());
    World {
        poller: Poller::new(http(), settings, receiver),
        transmitter,
        outbox,
        table,
        _server: server,
    }
}

impl World {
    fn put(&self, id: &str, token: String) {
        self.outbox.tokens.lock().insert(id.to_owned(), token);
    }

    fn put_good(&self, id: &str) {
        self.put(id, self.transmitter.token(&claims(id)));
    }
}

#[tokio::test]
async fn tokens_are_taken_and_acknowledged_with_the_next_poll() {
    let mut world = world().await;
    world.put_good("1");
    world.put_good("2");
    world.put("3", Transmitter::new("k").token(&claims("3")));
    let polled = world.poller.poll().await.unwrap();
    assert_eq!((polled.tokens, polled.again, polled.more), (3, 0, false));
    assert_eq!(world.table.all().len(), 2);
    world.poller.poll().await.unwrap();
    assert!(world.outbox.tokens.lock().is_empty());
    assert_eq!(world.outbox.refused.lock()["3"], "invalid_key");
    let bodies = world.outbox.bodies.lock();
    assert_eq!(
        bodies[0],
        json!({"maxEvents": 100, "returnImmediately": false})
    );
    assert_eq!(bodies[1]["ack"], json!(["1", "2"]));
    assert_eq!(bodies[1]["returnImmediately"], json!(true));
}

#[tokio::test]
async fn an_answer_that_is_lost_loses_no_acknowledgement() {
    let mut world = world().await;
    world.put_good("1");
    world.poller.poll().await.unwrap();
    world.outbox.broken.store(1, Ordering::SeqCst);
    assert!(world.poller.poll().await.is_err());
    world.poller.poll().await.unwrap();
    assert!(world.outbox.tokens.lock().is_empty());
}

#[tokio::test]
async fn with_a_full_table_tokens_stay_with_the_transmitter() {
    let mut world = world().await;
    world.put_good("1");
    world.table.full.store(true, Ordering::Relaxed);
    assert_eq!(world.poller.poll().await.unwrap().again, 1);
    world.poller.poll().await.unwrap();
    assert_eq!(world.outbox.tokens.lock().len(), 1);
    world.table.full.store(false, Ordering::Relaxed);
    assert_eq!(world.poller.poll().await.unwrap().again, 0);
    assert_eq!(world.table.all().len(), 1);
}

#[tokio::test]
async fn an_access_token_that_is_refused_is_replaced() {
    let mut world = world().await;
    world.poller.poll().await.unwrap();
    world.poller.poll().await.unwrap();
    assert_eq!(
        world.outbox.issued.load(Ordering::SeqCst),
        1,
        "one is used again"
    );
    world.outbox.issued.store(6, Ordering::SeqCst);
    assert!(world.poller.poll().await.is_err());
    world.poller.poll().await.unwrap();
    assert_eq!(world.outbox.issued.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn polling_goes_on_through_errors_until_the_outbox_is_empty() {
    let World {
        transmitter,
        outbox,
        table,
        poller,
        _server,
    } = world().await;
    outbox.broken.store(1, Ordering::SeqCst);
    for id in 0..250 {
        let id = id.to_string();
        let token = transmitter.token(&claims(&id));
        outbox.tokens.lock().insert(id, token);
    }
    let mut running = JoinSet::new();
    running.spawn(poller.run());
    table.has(250).await;
    until(|| outbox.tokens.lock().is_empty()).await;
    outbox
        .tokens
        .lock()
        .insert("later".to_owned(), transmitter.token(&claims("later")));
    table.has(251).await;
    until(|| outbox.tokens.lock().is_empty()).await;
}

#[tokio::test]
async fn an_answer_that_cant_be_is_an_error_and_nothing_is_taken() {
    async fn answer(State(body): State<String>) -> String {
        body
    }
    let transmitter = Transmitter::new("k");
    let many: BTreeMap<String, &str> = (0..101).map(|it| (it.to_string(), "x")).collect();
    let deep = "[".repeat(10_000);
    let long = format!(r#"{{"sets":{{"1":"{}"}}}}"#, "x".repeat(8 * 1024 * 1024));
    for (body, good) in [
        ("", false),
        ("[]", false),
        (r#"{"sets":[]}"#, false),
        (r#"{"sets":{"1":7}}"#, false),
        (deep.as_str(), false),
        (long.as_str(), false),
        (&json!({"sets": many}).to_string(), false),
        (r#"{}"#, true),
        (r#"{"sets":{},"unknown":1}"#, true),
    ] {
        let router = Router::new()
            .route("/poll", post(answer))
            .with_state(body.to_owned());
        let server = Server::start(router).await;
        let table = Table::new();
        let settings = PollSettings {
            endpoint: server.url("/poll"),
            authorization: Authorization::Bearer(Secret::new("token").unwrap()),
            interval: Duration::from_secs(1),
        };
        let receiver = receiver_of(&transmitter, verifier(), None, &table, &Metrics::default());
        let polled = Poller::new(http(), settings, receiver).poll().await;
        let shown: String = body.chars().take(60).collect();
        let nothing = Polled {
            tokens: 0,
            again: 0,
            more: false,
        };
        assert_eq!(polled.ok(), good.then_some(nothing), "{shown}");
    }
}
