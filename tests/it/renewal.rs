//! When a new certificate is issued, and when not.

use kube::api::{DeleteParams, Preconditions};
use serde_json::json;

use crate::harness::{Space, World};
use crate::pki::{Credential, handshake, text, verify_by_webpki};
use crate::support::{serial, uid, version};

const SECRET: &str = "reader-identity";

/// Waits for another certificate than `old`, good and recorded.
async fn until_reissued(space: &Space, old: &str) -> Credential {
    let it = space
        .until("reader", "issued anew", |it| {
            !serial(it).is_empty() && serial(it) != old && crate::support::is(it, "Ready")
        })
        .await;
    let recorded = it.status.as_ref().unwrap().secret.clone().unwrap();
    let secret = space.secret(SECRET).await.unwrap();
    assert_eq!(recorded.uid, uid(&secret));
    assert_eq!(recorded.resource_version, version(&secret));
    let credential = Credential::of(&secret);
    let facts = countersign_authority::inspect_leaf(
        credential.chain.as_bytes(),
        Some(credential.key.as_bytes()),
    );
    assert_eq!(facts.unwrap().serial_number, serial(&it));
    verify_by_webpki(&credential.chain, &credential.roots).unwrap();
    credential
}

#[tokio::test]
async fn another_lifetime_is_issued_at_once_with_another_key_in_the_same_secret() {
    let world = World::shared().await;
    let space = world.space("renewal").await;
    let first = space.running("reader", json!({})).await;
    let old = space.secret(SECRET).await.unwrap();
    for seconds in [600, 300] {
        let before = serial(&space.get("reader").await);
        let patch = json!({"spec": {"credential": {"certificateTTLSeconds": seconds}}});
        space.patch("reader", patch).await;
        let credential = until_reissued(&space, &before).await;
        let facts = countersign_authority::inspect_leaf(credential.chain.as_bytes(), None).unwrap();
        let life = facts.not_after.duration_since(facts.not_before).as_secs();
        assert_eq!(life, seconds + 10);
    }
    let new = space.secret(SECRET).await.unwrap();
    assert_eq!(
        uid(&new),
        uid(&old),
        "a renewal replaces, it doesn't create"
    );
    assert_ne!(text(&new, "tls.key"), text(&old, "tls.key"));
    let last = space.get("reader").await.status.unwrap();
    assert_eq!(
        last.first_issue_time,
        first.status.unwrap().first_issue_time
    );
    handshake(&Credential::of(&new), &Credential::of(&old))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_that_asks_for_no_other_certificate_issues_none() {
    let world = World::shared().await;
    let space = world.space("renewal").await;
    let before = space.running("reader", json!({})).await;
    let after = space.looked_at("reader").await;
    assert_eq!(serial(&after), serial(&before));
    let secret = space.secret(SECRET).await.unwrap();
    assert_eq!(
        after.status.unwrap().secret.unwrap().resource_version,
        version(&secret)
    );
}

#[tokio::test]
async fn what_others_break_in_the_secret_is_mended_at_once() {
    let world = World::shared().await;
    let space = world.space("tamper").await;
    space.running("reader", json!({})).await;
    let stranger = space.running("stranger", json!({})).await;
    assert!(!serial(&stranger).is_empty());
    let other = space.secret("stranger-identity").await.unwrap();
    let other_key = serde_json::to_value(&other.data).unwrap()["tls.key"].clone();
    let other_chain = serde_json::to_value(&other.data).unwrap()["tls.crt"].clone();
    let breaks = [
        ("the chain is cut", json!({"data": {"tls.crt": "AAAA"}})),
        (
            "another's chain",
            json!({"data": {"tls.crt": other_chain, "tls.key": other_key}}),
        ),
        ("another key", json!({"data": {"tls.key": other_key}})),
        ("other roots", json!({"data": {"ca.crt": "AAAA"}})),
        ("no roots", json!({"data": {"ca.crt": null}})),
        ("no owner", json!({"metadata": {"ownerReferences": []}})),
        (
            "a lying sequence",
            json!({"metadata": {"annotations": {"countersign.dev/bundle-sequence": "99"}}}),
        ),
    ];
    for (what, patch) in breaks {
        let before = serial(&space.get("reader").await);
        space.patch_secret(SECRET, patch).await;
        eprintln!("{what}");
        until_reissued(&space, &before).await;
    }
    let secret = space.secret(SECRET).await.unwrap();
    assert_eq!(secret.metadata.owner_references.unwrap().len(), 1);
}

#[tokio::test]
async fn a_deleted_secret_comes_back_with_another_key() {
    let world = World::shared().await;
    let space = world.space("tamper").await;
    let before = space.running("reader", json!({})).await;
    let old = space.secret(SECRET).await.unwrap();
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: old.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    space.secrets().delete(SECRET, &params).await.unwrap();
    let credential = until_reissued(&space, &serial(&before)).await;
    assert_ne!(credential.key, text(&old, "tls.key"));
}

#[tokio::test]
async fn a_secret_that_lost_its_label_or_got_anothers_is_labelled_again() {
    let world = World::shared().await;
    let space = world.space("tamper").await;
    let it = space.running("reader", json!({})).await;
    let stranger = space.running("stranger", json!({})).await;
    for label in [json!(null), json!(uid(&stranger)), json!("nobody")] {
        let before = serial(&space.get("reader").await);
        let patch = json!({"metadata": {"labels": {"countersign.dev/identity-uid": label}}});
        space.patch_secret(SECRET, patch).await;
        until_reissued(&space, &before).await;
        let secret = space.secret(SECRET).await.unwrap();
        let labels = secret.metadata.labels.unwrap();
        assert_eq!(labels["countersign.dev/identity-uid"], uid(&it));
    }
    assert_eq!(serial(&space.get("stranger").await), serial(&stranger));
}

#[tokio::test]
async fn a_secret_that_was_made_immutable_is_replaced_by_another() {
    let world = World::shared().await;
    let space = world.space("tamper").await;
    let before = space.running("reader", json!({})).await;
    let frozen = space.patch_secret(SECRET, json!({"immutable": true})).await;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("reader", longer).await;
    until_reissued(&space, &serial(&before)).await;
    let secret = space.secret(SECRET).await.unwrap();
    assert_ne!(uid(&secret), uid(&frozen));
    assert_eq!(secret.immutable, None);
}

#[tokio::test]
async fn a_label_of_somebody_elses_issues_nothing() {
    let world = World::shared().await;
    let space = world.space("tamper").await;
    let before = space.running("reader", json!({})).await;
    let patch =
        json!({"metadata": {"labels": {"team": "finance"}, "annotations": {"seen": "yes"}}});
    let labelled = space.patch_secret(SECRET, patch).await;
    let after = space
        .until("reader", "recorded", |it| {
            let secret = it.status.as_ref().unwrap().secret.as_ref();
            secret.is_some_and(|it| it.resource_version == version(&labelled))
        })
        .await;
    assert_eq!(serial(&after), serial(&before));
    let secret = space.secret(SECRET).await.unwrap();
    assert_eq!(secret.metadata.labels.unwrap()["team"], "finance");
}

#[tokio::test]
async fn a_restart_issues_nothing_that_is_good() {
    let world = World::own().await;
    let arguments = ["--secret-namespaces", "*"];
    let mut operator = world.operator("first", &arguments);
    let space = world.space("restart").await;
    let names: Vec<String> = (0..10).map(|it| format!("agent-{it}")).collect();
    let mut before = Vec::new();
    for name in &names {
        let it = space.running(name, json!({})).await;
        before.push((version(&it), serial(&it)));
    }
    assert!(operator.stop().success(), "SIGTERM ends it well");

    let _second = world.operator("second", &arguments);
    // The queue takes what is there before what comes.
    let fresh = space.running("fresh", json!({})).await;
    assert!(!serial(&fresh).is_empty());
    for (name, (version_before, serial_before)) in names.iter().zip(before) {
        let it = space.get(name).await;
        assert_eq!(
            (version(&it), serial(&it)),
            (version_before, serial_before.clone())
        );
        assert_eq!(serial(&space.looked_at(name).await), serial_before);
        let secret = space.secret(&format!("{name}-identity")).await.unwrap();
        let recorded = it.status.unwrap().secret.unwrap().resource_version;
        assert_eq!(version(&secret), recorded);
    }
}
