#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use countersign_authority::{Es256Key, KeyAlgorithm, PrivateKey};
use countersign_jwtsvid::{IssuerUrl, Keys};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::serve::serve_patiently;
use super::{Face, Faces, router};

struct Fixed(Arc<Vec<Face>>);

impl Faces for Fixed {
    fn faces(&self) -> Arc<Vec<Face>> {
        Arc::clone(&self.0)
    }
}

/// A trust domain with one key, whose id it gives.
fn face(issuer: &str) -> (Face, String) {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let key = Es256Key::of(&key).unwrap();
    let kid = key.thumbprint();
    let bundle = json!({"keys": [{
        "use": "jwt-svid", "kty": "EC", "crv": "P-256", "kid": kid, "x": key.x(), "y": key.y(),
    }]});
    let keys = Keys::from_bundle_json("example.org", &bundle.to_string()).unwrap();
    (Face::new(IssuerUrl::parse(issuer).unwrap(), &keys), kid)
}

async fn ask(faces: &[&Face], method: &str, host: &str, path: &str) -> Response<Body> {
    let faces = Fixed(Arc::new(faces.iter().map(|&it| it.clone()).collect()));
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", host).body(Body::empty()).unwrap();
    router(Arc::new(faces)).oneshot(request).await.unwrap()
}

/// The issuer or the key's id that the document names; empty where there is none.
async fn named(faces: &[&Face], host: &str, path: &str) -> String {
    let answer = ask(faces, "GET", host, path).await;
    if answer.status() == StatusCode::NOT_FOUND {
        return String::new();
    }
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
    let body: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
    let issuer = body["issuer"].as_str();
    let kid = body["keys"][0]["kid"].as_str();
    issuer.or(kid).unwrap().to_owned()
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn documents_are_below_the_path_of_the_issuer_url() {
    let (one, one_kid) = face("https://id.example.org/one");
    let (two, two_kid) = face("https://id.example.org/two");
    let both = [&one, &two];
    let host = "id.example.org";
    for (issuer, kid) in [("one", &one_kid), ("two", &two_kid)] {
        let found = named(&both, host, &format!("/{issuer}{DISCOVERY}")).await;
        assert_eq!(found, format!("https://id.example.org/{issuer}"));
        assert_eq!(&named(&both, host, &format!("/{issuer}/keys")).await, kid);
        // An ingress may have put its own name there.
        assert_eq!(
            &named(&both, "10.0.0.1", &format!("/{issuer}/keys")).await,
            kid
        );
    }
    for path in [
        DISCOVERY,
        "/keys",
        "/",
        "/one",
        "/one/keys/",
        "/three/keys",
        "/one/x/keys",
    ] {
        assert_eq!(named(&both, host, path).await, "", "{path}");
    }
    assert_eq!(named(&[], host, "/keys").await, "");
}

#[tokio::test]
async fn at_the_root_the_host_tells_whose_they_are_and_one_alone_needs_none() {
    let (one, one_kid) = face("https://one.example.org");
    let (two, two_kid) = face("https://two.example.org:8443");
    let both = [&one, &two];
    for host in ["one.example.org", "ONE.example.org", "one.example.org:443"] {
        assert_eq!(named(&both, host, "/keys").await, one_kid);
    }
    assert_eq!(named(&both, "two.example.org:8443", "/keys").await, two_kid);
    assert_eq!(named(&both, "two.example.org", "/keys").await, "");
    assert_eq!(named(&[&two], "two.example.org", "/keys").await, two_kid);
    // Its path cut off on the way.
    let (deep, deep_kid) = face("https://id.example.org/agents");
    assert_eq!(named(&[&deep], "other", "/keys").await, deep_kid);
    assert_eq!(named(&[&deep, &one], "other", "/keys").await, one_kid);
}

#[tokio::test]
async fn two_trust_domains_of_one_url_have_no_documents() {
    let (one, _) = face("https://id.example.org");
    let (other, _) = face("https://id.example.org");
    assert_eq!(named(&[&one, &other], "id.example.org", "/keys").await, "");
    assert_eq!(named(&[&one, &other], "x", DISCOVERY).await, "");
}

#[tokio::test]
async fn they_are_read_and_nothing_else() {
    let (one, _) = face("https://id.example.org");
    let status = async |method| ask(&[&one], method, "x", "/keys").await.status();
    assert_eq!(status("HEAD").await, StatusCode::OK);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "ANY"] {
        assert_eq!(status(method).await, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_and_the_others_are_answered() {
    let (one, kid) = face("https://id.example.org");
    let routes = router(Arc::new(Fixed(Arc::new(vec![one]))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    let soon = Duration::from_millis(300);
    serving.spawn(serve_patiently(listener, routes, soon));
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut asking = TcpStream::connect(address).await.unwrap();
    let request = b"GET /keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    asking.write_all(request).await.unwrap();
    let mut answer = String::new();
    asking.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&kid));
    let mut nothing = Vec::new();
    let closed = silent[0].read_to_end(&mut nothing);
    tokio::time::timeout(Duration::from_secs(15), closed)
        .await
        .unwrap()
        .ok();
}
