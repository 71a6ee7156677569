//! What a pod gets.

use std::time::Duration;

use countersign_authority::inspect_leaf;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use kube::ResourceExt as _;
use kube::api::Api;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use tokio::time::sleep;

use super::asker::hourly;
use super::setting::Signing;
use crate::harness::DOMAIN;
use crate::pki::{Credential, handshake, verify_by_openssl, verify_by_webpki};

#[tokio::test]
async fn what_the_kubelet_asks_for_verifies_by_the_trust_bundle_and_writes_nothing_else() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    let before = space.get("reader").await;
    let bundle = Api::<ClusterTrustBundle>::all(space.client.clone())
        .get(&format!("countersign.dev:agent:{DOMAIN}"))
        .await
        .unwrap();
    let roots = bundle.spec.trust_bundle;
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072);
    for key in [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        rsa.unwrap(),
    ] {
        let name = space.ask(signing, &pod, &key).await;
        let chain = space.issued(&name).await;
        verify_by_webpki(&chain, &roots).unwrap();
        verify_by_openssl(&chain, &roots).await.unwrap();
        let facts = inspect_leaf(chain.as_bytes(), Some(key.serialize_pem().as_bytes())).unwrap();
        let id = before.status.as_ref().unwrap().spiffe_id.clone();
        assert_eq!(Some(facts.spiffe_id), id);
        let status = space.requests().get(&name).await.unwrap().status.unwrap();
        assert_eq!(status.not_before.unwrap().0, facts.not_before);
        assert_eq!(status.not_after.unwrap().0, facts.not_after);
        let life = facts.not_after.duration_since(facts.not_before).as_secs();
        assert_eq!(life, 3610, "an hour from now, and ten seconds before");
        let refresh = status.begin_refresh_at.unwrap().0;
        assert_eq!(refresh.duration_since(facts.not_before).as_secs(), 1805);
        let credential = Credential {
            chain,
            key: key.serialize_pem(),
            roots: roots.clone(),
        };
        handshake(&credential, &credential).await.unwrap();
    }
    let after = space.get("reader").await;
    assert_eq!(before.resource_version(), after.resource_version());
}

#[tokio::test]
async fn no_more_is_given_than_is_asked_for() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    let key = KeyPair::generate().unwrap();
    let hour = json!({"spec": {"maxExpirationSeconds": 3600}});
    let name = space.ask_with(signing, &pod, &key, &hour).await;
    let facts = inspect_leaf(space.issued(&name).await.as_bytes(), None).unwrap();
    assert_eq!(
        facts.not_after.duration_since(facts.not_before).as_secs(),
        3600
    );
}

#[tokio::test]
async fn of_two_identities_the_pod_names_one() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed("work").await;
    for name in ["reader", "writer"] {
        space
            .create_identity(&hourly(name, "work", &json!({})))
            .await;
    }
    space.until_ready("reader").await;
    let writer = space.until_ready("writer").await;
    let key = KeyPair::generate().unwrap();
    let unnamed = space.ask(signing, &pod, &key).await;
    let named =
        json!({"spec": {"unverifiedUserAnnotations": {"countersign.dev/identity": "writer"}}});
    let named = space.ask_with(signing, &pod, &key, &named).await;
    let facts = inspect_leaf(space.issued(&named).await.as_bytes(), None).unwrap();
    assert_eq!(Some(facts.spiffe_id), writer.status.unwrap().spiffe_id);
    space.denied(&unnamed, "SeveralIdentities").await;
}

#[tokio::test]
async fn a_pod_may_be_there_before_its_identity() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed("work").await;
    let key = KeyPair::generate().unwrap();
    let name = space.ask(signing, &pod, &key).await;
    sleep(Duration::from_millis(700)).await;
    assert!(space.is_open(&name).await);
    space
        .create_identity(&hourly("reader", "work", &json!({})))
        .await;
    space.issued(&name).await;
}

#[tokio::test]
async fn a_pod_of_a_suspended_identity_waits_and_goes_on() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    space
        .until("reader", "Suspended", |it| {
            crate::support::is(it, "Suspended")
        })
        .await;
    let key = KeyPair::generate().unwrap();
    let name = space.ask(signing, &pod, &key).await;
    // Longer than a request without an identity is left open.
    sleep(Duration::from_secs(10)).await;
    assert!(space.is_open(&name).await);
    space
        .patch("reader", json!({"spec": {"desiredState": "Active"}}))
        .await;
    space.issued(&name).await;
}
