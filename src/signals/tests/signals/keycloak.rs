//! The transmitter of a real Keycloak, by push and by poll.
//!
//! Keycloak 26.7.0 knows two events of CAEP by itself, `session-revoked` and `credential-change`, and
//! an admin can have it say them of whomever it knows. It is skipped, and says so, where there is no
//! Keycloak and none can be fetched; `REQUIRE_KEYCLOAK=1` makes that a failure.

use std::sync::Arc;
use std::time::Duration;

use countersign_decision::{Effect, SignalSink as _, SignalSubject};
use countersign_signals::{
    Authorization, BearerToken, ClientCredentials, KeySource, Metrics, Now, PUSH_PATH,
    PollSettings, Poller, Receiver, Secret, Stream, Verifier, discover, router,
};
use countersign_testbed::{Keycloak, Wanted, left_out};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::poll::http;
use crate::push::settings;
use crate::table::Table;
use crate::wire::{Server, request};

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const PUSH_TOKEN: &str = "a-token-of-keycloak-for-push";
const SECRET: &str = "a-secret-of-the-receiver";
const TOKEN_PATH: &str = "/realms/agents/protocol/openid-connect/token";

#[allow(
    clippy::disallowed_methods,
    reason = "a real transmitter's tokens are of now"
)]
fn system() -> Now {
    Arc::new(Timestamp::now)
}

/// Short waits, and pushes to loopback, which it refuses otherwise.
const OPTIONS: [&str; 3] = [
    "--spi-ssf-transmitter--default--allow-insecure-push-targets=true",
    "--spi-ssf-transmitter--default--outbox-drainer-interval=1s",
    "--spi-ssf-transmitter--default--min-verification-interval-seconds=0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_keycloak_says_of_a_person_counts_by_push_and_by_poll() {
    let keycloak = match Keycloak::start(&OPTIONS).await {
        Ok(keycloak) => keycloak,
        Err(why) => return left_out(Wanted::Keycloak, format!("there is no Keycloak: {why:#}")),
    };
    let issuer = format!("{}/realms/agents", keycloak.url());
    let alice = realm_with_alice(&keycloak).await;
    let table = Table::new();

    // By push: the endpoint is there before the stream is made, and knows its audience after.
    let reserved = Server::start(axum::Router::new()).await;
    let address = reserved.address;
    drop(reserved);
    let endpoint = format!("http://{address}{PUSH_PATH}");
    let pushed = stream(
        &keycloak,
        "push",
        json!({
            "method": "urn:ietf:rfc:8935",
            "endpoint_url": endpoint,
            "authorization_header": format!("Bearer {PUSH_TOKEN}"),
        }),
        &endpoint,
    )
    .await;
    let by_push = receiver(&issuer, &pushed, Some(PUSH_TOKEN), &table);
    let routes = router(table.clone(), settings(vec![by_push.clone()]));
    let server = Server::at(address, routes).await;
    by_push.expect_state("state-of-push");
    verify(&keycloak, "push", &pushed, "state-of-push").await;
    until_or_log(&keycloak, || by_push.verified().is_some()).await;

    // By poll.
    let polled = stream(
        &keycloak,
        "poll",
        json!({"method": "urn:ietf:rfc:8936"}),
        "",
    )
    .await;
    let by_poll = receiver(&issuer, &polled, None, &table);
    let poll = PollSettings {
        endpoint: polled["delivery"]["endpoint_url"]
            .as_str()
            .unwrap()
            .to_owned(),
        authorization: Authorization::ClientCredentials(ClientCredentials {
            token_endpoint: format!("{}{TOKEN_PATH}", keycloak.url()),
            client_id: "poll".to_owned(),
            client_secret: Secret::new(SECRET).unwrap(),
            scope: Some("ssf.read".to_owned()),
        }),
        interval: Duration::from_millis(250),
    };
    let mut polling = JoinSet::new();
    polling.spawn(Poller::new(http(), poll, by_poll.clone()).run());
    by_poll.expect_state("state-of-poll");
    verify(&keycloak, "poll", &polled, "state-of-poll").await;
    until_or_log(&keycloak, || by_poll.verified().is_some()).await;
    assert!(table.all().is_empty());

    // An admin logs her out.
    log_in(&keycloak).await;
    let before = (system())();
    let path = format!("/admin/realms/agents/users/{alice}/logout");
    keycloak.admin(Method::POST, &path, None).await.unwrap();
    until_or_log(&keycloak, || table.all().len() >= 2).await;
    let took = (system())().duration_since(before);
    eprintln!("logged out to both signals: {took:#}");
    for signal in table.all() {
        assert_eq!(signal.kind, "caep/session-revoked");
        assert_eq!(signal.effect, Effect::EndSessions);
        assert_eq!(signal.source, issuer);
        let owner = SignalSubject::Owner("alice@example.com".to_owned());
        assert_eq!(signal.subject, owner);
        let late = signal.observed.duration_since(before).abs();
        assert!(late < SignedDuration::from_secs(30), "{signal:?}");
    }

    // An admin resets her password: a note, since it says no more than that it changed.
    let path = format!("/admin/realms/agents/users/{alice}/reset-password");
    let password = json!({"type": "password", "value": "another", "temporary": false});
    keycloak
        .admin(Method::PUT, &path, Some(&password))
        .await
        .unwrap();
    until_or_log(&keycloak, || table.all().len() >= 4).await;
    for signal in &table.all()[2..] {
        let found = (signal.kind.as_str(), signal.severity);
        assert_eq!(found, ("caep/credential-change", 0));
    }

    // An admin says that a certificate of hers is revoked.
    let revoked = json!({
        "eventType": format!("{CAEP}credential-change"),
        "sub_id": {"format": "email", "email": "alice@example.com"},
        "event": {"credential_type": "x509", "change_type": "revoke", "x509_serial": "0A:1B:2C"},
    });
    let path = "/admin/realms/agents/ssf/clients/poll/events/emit";
    keycloak
        .admin(Method::POST, path, Some(&revoked))
        .await
        .unwrap();
    until_or_log(&keycloak, || table.all().len() >= 5).await;
    let last = table.all().pop().unwrap();
    let certificate = SignalSubject::Certificate("0a1b2c".to_owned());
    assert_eq!((last.subject, last.effect), (certificate, Effect::Deny));

    nobody_else_is_believed(&server, &keycloak).await;
    assert_eq!(table.all().len(), 5);
}

/// Keycloak's own access tokens are signed by the same key, and are no events.
async fn nobody_else_is_believed(server: &Server, keycloak: &Keycloak) {
    let token = receiver_token(keycloak, "push").await;
    let bearer = format!("Bearer {PUSH_TOKEN}");
    let headers = [
        ("Content-Type", "application/secevent+jwt"),
        ("Authorization", bearer.as_str()),
    ];
    let line = format!("POST {PUSH_PATH}");
    let answer = request(server.address, &line, &headers, token.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.err().as_str()),
        (400, "invalid_request")
    );
}

/// The id of a person in a realm that transmits.
async fn realm_with_alice(keycloak: &Keycloak) -> String {
    let realm = json!({
        "realm": "agents",
        "enabled": true,
        "eventsEnabled": true,
        "adminEventsEnabled": true,
        "eventsListeners": ["jboss-logging", "ssf-events"],
        "attributes": {"ssf.transmitterEnabled": "true"},
    });
    keycloak
        .admin(Method::POST, "/admin/realms", Some(&realm))
        .await
        .unwrap();
    let alice = json!({
        "username": "alice",
        "email": "alice@example.com",
        "emailVerified": true,
        "firstName": "Alice",
        "lastName": "Example",
        "enabled": true,
        "credentials": [{"type": "password", "value": "wonderland", "temporary": false}],
    });
    let path = "/admin/realms/agents/users";
    let made = keycloak
        .admin(Method::POST, path, Some(&alice))
        .await
        .unwrap();
    let location = made.location.unwrap();
    location.rsplit('/').next().unwrap().to_owned()
}

/// A receiver's client and its one stream.
async fn stream(keycloak: &Keycloak, name: &str, delivery: Value, push_to: &str) -> Value {
    let client = json!({
        "clientId": name,
        "secret": SECRET,
        "publicClient": false,
        "serviceAccountsEnabled": true,
        "directAccessGrantsEnabled": true,
        "attributes": {
            "ssf.enabled": "true",
            "ssf.defaultSubjects": "ALL",
            "ssf.userSubjectFormat": "email",
            "ssf.validPushUrls": push_to,
        },
    });
    let path = "/admin/realms/agents/clients";
    let made = keycloak
        .admin(Method::POST, path, Some(&client))
        .await
        .unwrap();
    let id = made
        .location
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let scopes = "/admin/realms/agents/client-scopes";
    let scopes = keycloak
        .admin(Method::GET, scopes, None)
        .await
        .unwrap()
        .body;
    for scope in scopes.as_array().unwrap() {
        if scope["name"].as_str().unwrap().starts_with("ssf.") {
            let scope = scope["id"].as_str().unwrap();
            let path = format!("{path}/{id}/optional-client-scopes/{scope}");
            keycloak.admin(Method::PUT, &path, None).await.unwrap();
        }
    }
    let issuer = format!("{}/realms/agents", keycloak.url());
    let configuration = discover(&http(), &issuer).await.unwrap();
    let path = configuration.configuration_endpoint.unwrap();
    let path = path.strip_prefix(&keycloak.url()).unwrap().to_owned();
    let wanted = json!({
        "delivery": delivery,
        "events_requested": [format!("{CAEP}session-revoked"), format!("{CAEP}credential-change")],
    });
    let token = receiver_token(keycloak, name).await;
    let made = keycloak
        .json(Method::POST, &path, &token, Some(&wanted))
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.body
}

fn receiver(
    issuer: &str,
    stream: &Value,
    push_token: Option<&str>,
    table: &Arc<Table>,
) -> Arc<Receiver> {
    let audiences = stream["aud"].as_array().unwrap().iter();
    let stream = Stream {
        verifier: Verifier {
            issuer: issuer.to_owned(),
            audiences: audiences
                .map(|it| it.as_str().unwrap().to_owned())
                .collect(),
        },
        keys: KeySource::discovered(http(), issuer),
        push_token: push_token.map(|it| BearerToken::new(it).unwrap()),
        id: Some(stream["stream_id"].as_str().unwrap().to_owned()),
    };
    let receiver = Receiver::new(stream, table.clone(), system(), Metrics::default());
    Arc::new(receiver)
}

async fn receiver_token(keycloak: &Keycloak, name: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", name),
        ("client_secret", SECRET),
        ("scope", "ssf.read ssf.manage"),
    ];
    let answer = keycloak.form(TOKEN_PATH, &form).await.unwrap();
    answer.body["access_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

async fn log_in(keycloak: &Keycloak) {
    let form = [
        ("grant_type", "password"),
        ("client_id", "push"),
        ("client_secret", SECRET),
        ("username", "alice"),
        ("password", "wonderland"),
    ];
    let answer = keycloak.form(TOKEN_PATH, &form).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
}

async fn verify(keycloak: &Keycloak, name: &str, stream: &Value, state: &str) {
    let token = receiver_token(keycloak, name).await;
    let path = "/realms/agents/ssf/transmitter/verify";
    let body = json!({"stream_id": stream["stream_id"], "state": state});
    let answer = keycloak
        .json(Method::POST, path, &token, Some(&body))
        .await
        .unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// On a busy machine it takes its time.
async fn until_or_log(keycloak: &Keycloak, what: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(60), async {
        while !what() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    if waited.await.is_err() {
        panic!("it didn't come in time; Keycloak says:\n{}", keycloak.log());
    }
}
