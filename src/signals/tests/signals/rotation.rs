//! Keys that change at their issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use countersign_signals::{
    KeySource, Metrics, NotReceived, Received, Receiver, Stream, Verifier, discover,
};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Duration, advance, pause, resume};

use crate::poll::http;
use crate::table::{Table, standing};
use crate::transmitter::{AUDIENCE, Transmitter, with};
use crate::wire::Server;

#[derive(Default)]
struct Issuer {
    jwks: Mutex<Value>,
    fetched: AtomicUsize,
    down: AtomicBool,
}

async fn jwks(State(issuer): State<Arc<Issuer>>) -> Response {
    issuer.fetched.fetch_add(1, Ordering::SeqCst);
    if issuer.down.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    issuer.jwks.lock().to_string().into_response()
}

struct World {
    issuer: Arc<Issuer>,
    url: String,
    receiver: Receiver,
    _server: Server,
}

/// With its configuration after the path, as Keycloak has it for realms below a path.
async fn world(first: &Transmitter) -> World {
    let issuer = Arc::new(Issuer::default());
    *issuer.jwks.lock() = first.jwks();
    let address: Arc<Mutex<String>> = Arc::default();
    let configuration = {
        let address = address.clone();
        move || {
            let url = address.lock().clone();
            async move {
                json!({"spec_version": "1_0", "issuer": url, "jwks_uri": format!("{url}/jwks")})
                    .to_string()
            }
        }
    };
    let router = Router::new()
        .route(
            "/realms/agents/.well-known/ssf-configuration",
            get(configuration),
        )
        .route("/realms/agents/jwks", get(jwks))
        .with_state(issuer.clone());
    let server = Server::start(router).await;
    let url = server.url("/realms/agents");
    *address.lock() = url.clone();
    let stream = Stream {
        verifier: Verifier {
            issuer: url.clone(),
            audiences: vec![AUDIENCE.to_owned()],
        },
        keys: KeySource::discovered(http(), url.clone()),
        push_token: None,
        id: None,
    };
    World {
        receiver: Receiver::new(stream, Table::new(), standing(), Metrics::default()),
        issuer,
        url,
        _server: server,
    }
}

impl World {
    async fn receive(&self, by: &Transmitter, id: &str) -> Result<Received, NotReceived> {
        let token = by.token(&with(id, "iss", json!(self.url)));
        self.receiver.receive(&token).await
    }

    fn fetched(&self) -> usize {
        self.issuer.fetched.load(Ordering::SeqCst)
    }
}

/// Time goes by at once, and then on as usual: sockets know no other.
async fn later(by: Duration) {
    pause();
    advance(by).await;
    resume();
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_used_and_the_old_one_is_forgotten() {
    let (old, new) = (Transmitter::new("old"), Transmitter::new("new"));
    let world = world(&old).await;
    assert_eq!(world.receive(&old, "1").await, Ok(Received::Accepted));
    assert_eq!(world.receive(&old, "2").await, Ok(Received::Accepted));
    assert_eq!(world.fetched(), 1);
    *world.issuer.jwks.lock() = new.jwks();
    later(Duration::from_secs(31)).await;
    assert_eq!(world.receive(&new, "3").await, Ok(Received::Accepted));
    assert_eq!(world.fetched(), 2);
    assert!(world.receive(&old, "4").await.is_err());
}

#[tokio::test]
async fn unknown_keys_are_asked_for_twice_a_minute_at_most() {
    let (known, unknown) = (Transmitter::new("known"), Transmitter::new("unknown"));
    let world = world(&known).await;
    world.receive(&known, "1").await.unwrap();
    for id in 0..50 {
        assert!(world.receive(&unknown, &id.to_string()).await.is_err());
    }
    assert_eq!(world.fetched(), 1);
    later(Duration::from_secs(31)).await;
    for id in 0..50 {
        assert!(world.receive(&unknown, &id.to_string()).await.is_err());
    }
    assert_eq!(world.fetched(), 2);
    assert_eq!(world.receive(&known, "2").await, Ok(Received::Accepted));
}

#[tokio::test]
async fn keys_that_cant_be_fetched_count_for_a_day_and_new_ones_are_waited_for() {
    let (known, unknown) = (Transmitter::new("known"), Transmitter::new("unknown"));
    let world = world(&known).await;
    world.issuer.down.store(true, Ordering::SeqCst);
    let nothing = world.receive(&known, "1").await;
    assert!(matches!(nothing, Err(NotReceived::Later(_))), "{nothing:?}");
    world.issuer.down.store(false, Ordering::SeqCst);
    later(Duration::from_secs(31)).await;
    assert_eq!(world.receive(&known, "1").await, Ok(Received::Accepted));
    world.issuer.down.store(true, Ordering::SeqCst);
    later(Duration::from_secs(3600)).await;
    assert_eq!(world.receive(&known, "2").await, Ok(Received::Accepted));
    let unknown = world.receive(&unknown, "3").await;
    assert!(matches!(unknown, Err(NotReceived::Later(_))), "{unknown:?}");
    later(Duration::from_secs(24 * 3600)).await;
    let stale = world.receive(&known, "4").await;
    assert!(matches!(stale, Err(NotReceived::Later(_))), "{stale:?}");
}

#[tokio::test]
async fn the_configuration_of_another_issuer_is_refused() {
    let world = world(&Transmitter::new("k")).await;
    let found = discover(&http(), &world.url).await.unwrap();
    assert_eq!(found.issuer, world.url);
    let other = format!("{}/", world.url);
    assert!(discover(&http(), &other).await.is_err());
    assert!(discover(&http(), "http://idp.example.com").await.is_err());
}
