//! Tokens that let nobody in.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_runtime::Clock;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tonic::Code;

use super::APod;
use super::client::AUDIENCE;
use super::program::Issuer;
use crate::harness::World;

/// A copy of a token of this world's API server in which one claim is another, signed by the same key.
pub(crate) fn with_claim(world: &World, token: &str, member: &str, value: Value) -> String {
    let key = std::fs::read(world.plane().dir().join("service-account.key")).unwrap();
    let mut claims = claims_of(token);
    claims[member] = value;
    sign(&servers_key(&key), &header_of(token), &claims)
}

/// The key that this control plane's API server signs tokens with.
fn servers_key(pem: &[u8]) -> EcdsaKeyPair {
    let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der()).unwrap()
}

fn header_of(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

fn claims_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn sign(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let parts = [header, claims].map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
    let input = parts.join(".");
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn only_a_token_of_this_cluster_for_this_audience_of_a_pod_that_is_there_lets_anybody_in() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("tokens").await;
    let pod = space.working_for("reader", "work").await;
    let good = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.issue_past(&good, &["UnknownPod"]).await.unwrap();
    let (header, claims) = (header_of(&good), claims_of(&good));
    let with = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        claims
    };
    let ours = std::fs::read(world.plane().dir().join("service-account.key")).unwrap();
    let ours = servers_key(&ours);
    let theirs = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let now = Clock::system().now().as_second();
    // What is signed here as the API server does is as good as its own.
    let copied = sign(&ours, &header, &claims);
    sidecar.issue(&copied).await.unwrap();
    let other_key = json!({"alg": "ES256", "kid": "another"});
    let (head, signature) = good.rsplit_once('.').unwrap();
    let table = [
        ("no token", String::new(), "BadToken"),
        ("no JWT", "abc".to_owned(), "BadToken"),
        ("no signature", format!("{head}."), "BadToken"),
        (
            "a signature of another's",
            format!(
                "{}.{signature}",
                sign(&ours, &header, &with("jti", json!("x")))
                    .rsplit_once('.')
                    .unwrap()
                    .0
            ),
            "BadToken",
        ),
        (
            "another cluster",
            sign(&theirs, &other_key, &claims),
            "UnknownKey",
        ),
        (
            "another cluster's under our key's name",
            sign(&theirs, &header, &claims),
            "BadToken",
        ),
        (
            "expired",
            sign(&ours, &header, &with("exp", json!(now - 1))),
            "ExpiredToken",
        ),
        (
            "not yet good",
            sign(&ours, &header, &with("nbf", json!(now + 300))),
            "BadToken",
        ),
        (
            "another issuer",
            sign(&ours, &header, &with("iss", json!("https://elsewhere"))),
            "BadToken",
        ),
        (
            "another audience",
            space.token_for(&pod, "default", "vault").await,
            "WrongAudience",
        ),
        (
            "bound to no pod",
            space.token_bound(&Value::Null, "default", AUDIENCE).await,
            "UnboundToken",
        ),
    ];
    for (what, token, reason) in table {
        let refused = sidecar.issue(&token).await.unwrap_err();
        assert_eq!(
            refused,
            (Code::Unauthenticated, reason.to_owned()),
            "{what}"
        );
        assert_eq!(sidecar.watch(&token).await.unwrap_err().1, reason, "{what}");
    }
    let gone = APod {
        uid: "another-uid".to_owned(),
        ..pod
    };
    let mut claims = claims.clone();
    claims["kubernetes.io"]["pod"]["uid"] = json!(gone.uid);
    let of_another = sign(&ours, &header, &claims);
    let refused = sidecar.issue(&of_another).await.unwrap_err();
    assert_eq!(refused, (Code::PermissionDenied, "UnknownPod".to_owned()));
    assert!(!issuer.log().contains(signature), "no token is logged");
}
