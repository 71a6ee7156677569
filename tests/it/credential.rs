//! What is in the agent's hands: a Secret that others can read, and certificates that verify.

use std::collections::BTreeSet;

use countersign_api::TrustDomain;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use serde_json::{Value, json};

use crate::harness::{DOMAIN, World};
use crate::pki::{
    Credential, certificates, described, handshake, verify_by_openssl, verify_by_webpki,
};
use crate::support::{OPERATOR_NAMESPACE, uid, version};

#[tokio::test]
async fn the_secret_has_the_shape_that_others_read() {
    let world = World::shared().await;
    let space = world.space("shape").await;
    let identity = space.running("reader", json!({})).await;
    let job = space.jobs().get("reader-job").await.unwrap();
    let secret = space.secret("reader-identity").await.unwrap();

    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
    let keys: Vec<_> = secret.data.as_ref().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"]);
    let labels = secret.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["countersign.dev/identity-uid"], uid(&identity));
    assert_eq!(labels["app.kubernetes.io/managed-by"], "countersign");
    let owners = serde_json::to_value(&secret.metadata.owner_references).unwrap();
    let expected = json!([{
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "reader-job",
        "uid": uid(&job),
        "controller": false,
        "blockOwnerDeletion": false,
    }]);
    assert_eq!(owners, expected);
    assert!(secret.metadata.finalizers.is_none());

    let status = identity.status.unwrap();
    let recorded = status.secret.unwrap();
    assert_eq!(recorded.uid, uid(&secret));
    assert_eq!(recorded.resource_version, version(&secret));
}

#[tokio::test]
async fn the_certificate_says_what_the_api_server_knows_and_the_status_repeats_it() {
    let world = World::shared().await;
    let space = world.space("facts").await;
    let identity = space.running("reader", json!({})).await;
    let job = space.jobs().get("reader-job").await.unwrap();
    let secret = space.secret("reader-identity").await.unwrap();
    let credential = Credential::of(&secret);
    let facts = countersign_authority::inspect_leaf(
        credential.chain.as_bytes(),
        Some(credential.key.as_bytes()),
    )
    .unwrap();

    let id = format!(
        "spiffe://{DOMAIN}/ns/{}/agent/reader/task/{}/{}",
        space.name,
        uid(&job),
        uid(&identity)
    );
    assert_eq!(facts.spiffe_id, id);
    let status = identity.status.unwrap();
    assert_eq!(status.spiffe_id.as_deref(), Some(id.as_str()));
    assert_eq!(status.task.unwrap().uid.unwrap(), uid(&job));
    let certificate = status.certificate.unwrap();
    assert_eq!(certificate.serial_number, facts.serial_number);
    assert_eq!(certificate.not_before.0, facts.not_before);
    assert_eq!(certificate.not_after.0, facts.not_after);
    assert_eq!(certificate.public_key_sha256, facts.public_key_sha256);
    assert_eq!(certificate.authority_id, facts.authority_id.to_string());
    assert!(certificate.chain.is_none(), "the chain is in the Secret");
    let life = facts.not_after.duration_since(facts.not_before).as_secs();
    assert_eq!(life, 300 + 10, "as asked for, and 10 s back");
    let renewal = certificate.renewal_time.unwrap().0;
    let wait = renewal.duration_since(facts.not_before).as_secs() - 10;
    assert!((120..=150).contains(&wait), "half of its life: {wait} s");

    let described = described(&credential.chain).await;
    for words in [
        "X509v3 Subject Alternative Name: critical",
        "CA:FALSE",
        "Digital Signature",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(described.contains(words), "{words}:\n{described}");
    }
    assert_eq!(described.matches("URI:").count(), 1);
    assert!(!described.contains("DNS:"));
}

#[tokio::test]
async fn the_certificate_verifies_against_all_that_is_published() {
    let world = World::shared().await;
    let space = world.space("verify").await;
    space.running("reader", json!({})).await;
    let secret = space.secret("reader-identity").await.unwrap();
    let credential = Credential::of(&secret);

    let bundles = Api::<ConfigMap>::namespaced(world.client().await, OPERATOR_NAMESPACE);
    let bundle = bundles.get(&format!("{DOMAIN}-bundle")).await.unwrap();
    let data = bundle.data.unwrap();
    let trust_bundle = Api::<ClusterTrustBundle>::all(world.client().await)
        .get(&format!("countersign.dev:agent:{DOMAIN}"))
        .await
        .unwrap();
    assert_eq!(
        trust_bundle.spec.signer_name.as_deref(),
        Some("countersign.dev/agent")
    );
    for roots in [
        &credential.roots,
        &data["ca.crt"],
        &trust_bundle.spec.trust_bundle,
    ] {
        verify_by_webpki(&credential.chain, roots).unwrap();
        verify_by_openssl(&credential.chain, roots).await.unwrap();
    }

    // SPIFFE Trust Domain and Bundle, section 4: a JWK set of one certificate a key.
    let json: Value = serde_json::from_str(&data["bundle.json"]).unwrap();
    let domain = Api::<TrustDomain>::all(world.client().await);
    let status = domain.get(DOMAIN).await.unwrap().status.unwrap();
    assert_eq!(json["spiffe_sequence"], status.bundle_sequence.unwrap());
    assert!(json["spiffe_refresh_hint"].as_u64().unwrap() > 0);
    let keys = json["keys"].as_array().unwrap().iter();
    let (roots, ours): (Vec<_>, Vec<_>) = keys.partition(|key| key["use"] == "x509-svid");
    // One signing key for each purpose; of those, SPIFFE knows that of JWT-SVIDs.
    let uses: BTreeSet<_> = ours
        .iter()
        .map(|key| key["use"].as_str().unwrap())
        .collect();
    let known = [
        "countersign-statement",
        "countersign-list",
        "countersign-checkpoint",
        "jwt-svid",
    ];
    assert_eq!(uses, BTreeSet::from(known));
    assert_eq!(roots.len(), certificates(&data["ca.crt"]).len());
    for key in roots {
        assert_eq!(key["kty"], "EC");
        assert!(key.get("kid").is_none());
        let base64 = key["x5c"][0].as_str().unwrap();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        assert!(certificates(&data["ca.crt"]).contains(&certificates(&pem)[0]));
    }
}

#[tokio::test]
async fn two_agents_talk_mtls() {
    let world = World::shared().await;
    let space = world.space("mtls").await;
    let ledger = space.running("ledger", json!({})).await;
    let reader = space.running("reader", json!({})).await;
    let of = async |name: &str| Credential::of(&space.secret(name).await.unwrap());
    let (server, client) = (of("ledger-identity").await, of("reader-identity").await);

    let (seen_by_client, seen_by_server) = handshake(&client, &server).await.unwrap();
    assert_eq!(seen_by_client, ledger.status.unwrap().spiffe_id.unwrap());
    assert_eq!(seen_by_server, reader.status.unwrap().spiffe_id.unwrap());
}

#[tokio::test]
async fn an_agent_of_another_trust_domain_is_a_stranger() {
    let world = World::shared().await;
    let space = world.space("stranger").await;
    space.running("ledger", json!({})).await;
    let domain = world.domain("stranger", json!({})).await;
    let other = world.space_in("stranger", &domain).await;
    let elsewhere = json!({"spec": {"trustDomainRef": {"name": domain}}});
    other.running("reader", elsewhere).await;
    let server = Credential::of(&space.secret("ledger-identity").await.unwrap());
    let client = Credential::of(&other.secret("reader-identity").await.unwrap());

    handshake(&client, &server).await.unwrap_err();
    handshake(&server, &client).await.unwrap_err();
    verify_by_webpki(&client.chain, &server.roots).unwrap_err();
    verify_by_openssl(&client.chain, &server.roots)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn every_key_algorithm_verifies() {
    let world = World::shared().await;
    let space = world.space("keys").await;
    for (algorithm, words) in [
        ("ECDSAP384", "secp384r1"),
        ("Ed25519", "ED25519"),
        ("ECDSAP256", "prime256v1"),
    ] {
        let name = algorithm.to_lowercase();
        let patch = json!({"spec": {"credential": {"keyAlgorithm": algorithm}}});
        space.running(&name, patch).await;
        let secret = space.secret(&format!("{name}-identity")).await.unwrap();
        let credential = Credential::of(&secret);
        verify_by_webpki(&credential.chain, &credential.roots).unwrap();
        verify_by_openssl(&credential.chain, &credential.roots)
            .await
            .unwrap();
        assert!(described(&credential.chain).await.contains(words));
        handshake(&credential, &credential).await.unwrap();
    }
}

#[tokio::test]
async fn no_status_and_no_event_holds_a_private_key() {
    let world = World::shared().await;
    let space = world.space("silent").await;
    space.running("reader", json!({})).await;
    space.finish_job("reader-job", "Succeeded").await;
    space.until_completed("reader").await;
    let everything = world
        .plane()
        .kubectl(&[
            "get",
            "agid,td,agown,tkind,events,configmaps",
            "-A",
            "-o",
            "yaml",
        ])
        .await
        .unwrap();
    assert!(everything.contains("spiffe://"));
    assert!(!everything.contains("PRIVATE KEY"));
}
