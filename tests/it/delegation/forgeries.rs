//! Statements that no delegator signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_authority::{KeyAlgorithm, PrivateKey};
use countersign_core::SpiffeId;
use countersign_statement::agent;
use serde_json::{Value, json};

use super::setting::{spiffe_id, status};
use super::statements::{Scene, Signer};
use crate::harness::World;

#[tokio::test]
async fn another_key_or_another_agents_certificate_signs_nothing() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let forger = Signer {
        key: PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        chain: scene.planner.chain.clone(),
    };
    scene.post("wrong-key", &forger.sign(&scene.request)).await;
    let reader = Signer::of(&scene.space, "reader").await;
    scene.post("another", &reader.sign(&scene.request)).await;
    let mut own = scene.request.clone();
    own.delegator = SpiffeId::parse(&spiffe_id(&scene.space.get("reader").await)).unwrap();
    scene.post("own-name", &reader.sign(&own)).await;

    let space = &scene.space;
    space
        .until_not_granted("wrong-key", "StatementInvalid")
        .await;
    space.until_not_granted("another", "StatementInvalid").await;
    let message = space
        .until_not_granted("own-name", "StatementDiffers")
        .await;
    assert!(message.contains("delegator"), "{message}");
}

#[tokio::test]
async fn garbage_no_algorithm_and_keys_that_it_brings_itself_are_refused() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let good = scene.planner.sign(&scene.request);
    let parts: Vec<&str> = good.split('.').collect();
    let x5c: Vec<String> = scene
        .planner
        .chain
        .iter()
        .map(|der| STANDARD.encode(der))
        .collect();
    let header = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with_header = |value: Value| format!("{}.{}.{}", header(value), parts[1], parts[2]);
    let altered = URL_SAFE_NO_PAD.encode(
        String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap())
            .unwrap()
            .replace("ledger/invoices", "ledger/salaries"),
    );
    for (name, statement) in [
        ("garbage", "a.b.c".to_owned()),
        ("text", format!("{}.b.c", URL_SAFE_NO_PAD.encode("hello"))),
        (
            "none",
            with_header(json!({"alg": "none", "typ": agent::TYP, "x5c": x5c})),
        ),
        (
            "hmac",
            with_header(json!({"alg": "HS256", "typ": agent::TYP, "x5c": x5c})),
        ),
        (
            "typ",
            with_header(json!({"alg": "ES256", "typ": "JWT", "x5c": x5c})),
        ),
        (
            "no-chain",
            with_header(json!({"alg": "ES256", "typ": agent::TYP})),
        ),
        (
            "jwk",
            with_header(json!({"alg": "ES256", "typ": agent::TYP, "x5c": x5c, "jwk": {}})),
        ),
        (
            "crit",
            with_header(
                json!({"alg": "ES256", "typ": agent::TYP, "x5c": x5c, "crit": ["x"], "x": 1}),
            ),
        ),
        ("altered", format!("{}.{altered}.{}", parts[0], parts[2])),
        (
            "unsigned",
            format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
        ),
    ] {
        scene.post(name, &statement).await;
        scene
            .space
            .until_not_granted(name, "StatementInvalid")
            .await;
    }
}

#[tokio::test]
async fn a_jti_is_not_used_up_by_whoever_has_no_key_to_sign_it_with() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let forger = Signer {
        key: PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        chain: scene.planner.chain.clone(),
    };
    scene.post("forged", &forger.sign(&scene.request)).await;
    scene
        .space
        .until_not_granted("forged", "StatementInvalid")
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await; // times are in seconds
    scene
        .post("good", &scene.planner.sign(&scene.request))
        .await;
    scene.space.until_in_force("good").await;
}

#[tokio::test]
async fn a_statement_of_the_trust_domains_is_not_an_agents() {
    let world = World::shared().await;
    let scene = Scene::new(world).await;
    let root = scene.space.delegations().get("to-planner").await.unwrap();
    let theirs = status(&root).statement.clone().unwrap();
    scene.post("theirs", &theirs).await;
    scene
        .space
        .until_not_granted("theirs", "StatementInvalid")
        .await;
}
