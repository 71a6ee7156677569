//! What was revoked before a decision point began to watch.

use std::time::Duration;

use serde_json::{Value, json};

use super::connection::Connection;
use super::decider::{Decider, free_address, question};
use super::revocation::patch_identity;
use super::setting::{guard, permit, set_cluster_policy, spiffe_id};
use super::shown::{leaf, showing};
use crate::harness::{Space, World, eventually};
use crate::pki::Credential;

async fn certificate(space: &Space) -> Vec<u8> {
    let of_secret = async || Some(space.secret("reader-identity").await?);
    let secret = eventually("the Secret", of_secret).await;
    leaf(&Credential::of(&secret).chain)
}

/// An agent that was suspended and is back: its question with the certificate of before, and of now.
async fn back(space: &Space) -> [Value; 2] {
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let old = certificate(space).await;
    patch_identity(space, "reader", "Suspended").await;
    space.until_no_secret("reader-identity").await;
    patch_identity(space, "reader", "Active").await;
    let new = certificate(space).await;
    assert_ne!(old, new);
    let asked = question(&agent, "read", "ledger/invoices/7");
    [showing(asked.clone(), &old), showing(asked, &new)]
}

#[tokio::test]
async fn a_certificate_that_was_taken_away_before_it_started_is_revoked_at_a_new_decision_point() {
    let world = World::own().await;
    let publish = free_address();
    let arguments = ["--secret-namespaces", "*", "--publish-listen", &publish];
    let mut operator = world.operator("lists", &arguments);
    set_cluster_policy(&world, "guard", &guard()).await;
    let space = world.space("lists").await;
    let [old, new] = back(&space).await;

    // Without lists it can't know.
    let ignorant = Decider::start(&world, "ignorant", &[]);
    ignorant.ready().await;
    ignorant.until(&old, "Permitted").await;

    let (nowhere, lists) = (free_address(), format!("http://{publish}/"));
    let nowhere = format!("http://{nowhere}");
    let decider = Decider::start(&world, "told", &["--lists", &nowhere, "--lists", &lists]);
    decider.ready().await;
    decider.until(&new, "Permitted").await;
    assert_eq!(decider.ask(&old).await.reason, "CertificateRevoked");
    let mut health = Connection::open(decider.health(), "").await.unwrap();
    let page = health.get("/metrics").await.unwrap();
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("revocation_list_age_seconds"), "{page}");

    // What it has it keeps when nobody serves any; who begins then knows nothing, and says so.
    operator.stop();
    let _operator = world.operator("unpublished", &["--secret-namespaces", "*"]);
    let waiting = Decider::start(&world, "waiting", &["--lists", &lists]);
    eventually("it answers", async || {
        waiting.log().contains("can't be read").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(waiting.ask(&new).await.reason, "NotReady");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    decider.until(&new, "Permitted").await;
    assert_eq!(decider.ask(&old).await.reason, "CertificateRevoked");
}

#[tokio::test]
async fn lists_that_are_no_url_are_no_setting() {
    let world = World::shared().await;
    let decider = Decider::start(world, "no-url", &["--lists", "lists.example.org"]);
    eventually("the error", async || {
        decider.log().contains("--lists").then_some(json!(null))
    })
    .await;
}
