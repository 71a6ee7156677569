//! Revocation lists for those who verify without asking anybody.

use jiff::Timestamp;
use serde_json::json;

use super::published::{Certificate, Published};
use super::setting::{bundle_json, but, digest, hop, root};
use crate::harness::DOMAIN;
use crate::pki::openssl;

#[tokio::test]
async fn a_revoked_statement_is_listed_with_all_below_it_and_nothing_else() {
    let published = Published::shared().await;
    let space = published.world.space("listed").await;
    space.agents(&["a", "b", "c", "other"]).await;
    let chain = space.chain(&["a", "b", "c"]).await;
    space.delegate(root("other", "other")).await;
    let other = space.until_in_force("other").await;
    for it in chain.iter().chain([&other]) {
        published.until_not_listed(&digest(it)).await;
    }
    space.revoke_delegation("to-b").await;
    for it in &chain[1..] {
        published.until_listed(&digest(it)).await;
    }
    for it in [&chain[0], &other] {
        assert!(!published.lists(&digest(it)).await);
    }
    space.until_ended("to-c", &["ParentEnded"]).await;
    published.until_listed(&digest(&chain[2])).await;
}

#[tokio::test]
async fn what_is_suspended_is_listed_for_so_long() {
    let published = Published::shared().await;
    let world = &published.world;
    let space = world.space("hold").await;
    space.agents(&["planner", "clerk"]).await;
    let owner = world.root_owner("frank").await;
    let from = json!({"from": {"owner": {"name": owner}}});
    space
        .delegate(but(root("to-planner", "planner"), from))
        .await;
    let above = space.until_in_force("to-planner").await;
    space
        .delegate(hop("to-clerk", "to-planner", "planner", "clerk"))
        .await;
    let below = space.until_in_force("to-clerk").await;
    let set = async |state: &str| {
        let patch = json!({"spec": {"desiredState": state}});
        world.patch_owner(&owner, patch).await;
    };
    set("Suspended").await;
    for it in [&above, &below] {
        published.until_listed(&digest(it)).await;
    }
    set("Active").await;
    for it in [&above, &below] {
        published.until_not_listed(&digest(it)).await;
    }
}

#[tokio::test]
async fn a_deleted_delegation_stays_listed_until_it_would_have_expired() {
    let published = Published::shared().await;
    let space = published.world.space("deleted").await;
    space.agents(&["planner", "clerk"]).await;
    let brief = json!({"expiresAfterSeconds": 12});
    space.delegate(but(root("brief", "planner"), brief)).await;
    let brief = space.until_in_force("brief").await;
    let chain = space.chain(&["clerk"]).await;
    for name in ["brief", "to-clerk"] {
        space.delete_delegation_alone(name).await;
    }
    let end = super::setting::status(&brief)
        .expiration_time
        .as_ref()
        .unwrap()
        .0;
    published.until_listed(&digest(&chain[0])).await;
    published.until_listed(&digest(&brief)).await;
    assert!(Timestamp::now() < end, "too slow to tell");
    published.until_not_listed(&digest(&brief)).await;
    assert!(
        Timestamp::now() >= end,
        "it was taken off before its expiry"
    );
    assert!(published.lists(&digest(&chain[0])).await);
}

#[tokio::test]
async fn a_retired_agents_certificate_is_in_the_list_of_its_authority_and_a_live_ones_is_not() {
    let published = Published::shared().await;
    let space = published.world.space("serials").await;
    let ended = space.agent_with_task("ended").await;
    let ended = Certificate::of(&space, &ended).await;
    let agents = space.agents(&["live", "gone", "revoked", "held"]).await;
    let mut held = Vec::new();
    for agent in &agents {
        held.push(Certificate::of(&space, agent).await);
    }
    let [live, gone, revoked, suspended] = &held[..] else {
        panic!("four agents");
    };
    for it in [&ended, live, gone, revoked, suspended] {
        published.checked(it).await.unwrap();
    }
    space.finish_job("ended-job", "Succeeded").await;
    space.delete("gone").await;
    for (name, state) in [("revoked", "Revoked"), ("held", "Suspended")] {
        space
            .patch(name, json!({"spec": {"desiredState": state}}))
            .await;
    }
    for it in [&ended, gone, revoked, suspended] {
        published.until_certificate_revoked(it).await;
    }
    published.checked(live).await.unwrap();
    // What counts again after a suspension is a new certificate.
    space
        .patch("held", json!({"spec": {"desiredState": "Active"}}))
        .await;
    let again = space.until_ready("held").await;
    let again = Certificate::of(&space, &again).await;
    assert_ne!(again.serial, suspended.serial);
    published.checked(&again).await.unwrap();
    published.until_certificate_revoked(suspended).await;
}

#[tokio::test]
async fn lists_are_numbered_and_good_for_the_time_that_the_index_says() {
    let published = Published::shared().await;
    let index = published.index().await;
    let age = index["maxAgeSeconds"].as_i64().unwrap();
    assert_eq!(age, 60);
    assert_eq!(index["trustDomain"], DOMAIN);
    let partitions = u32::try_from(index["statements"]["partitions"].as_u64().unwrap()).unwrap();
    for partition in 0..partitions {
        published.list(partition).await;
    }
    let before = published.list(3).await;
    let life = before.next_update.duration_since(before.issued_at);
    assert_eq!(life.as_secs(), age);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let after = published.list(3).await;
    assert!(after.sequence > before.sequence, "{before:?} {after:?}");
    assert!(after.next_update > Timestamp::now());
}

/// RFC 5280, section 5.2.3: two lists made at different times must not have the same number.
#[tokio::test]
async fn each_list_of_certificates_has_a_higher_number_than_the_one_before() {
    let published = Published::shared().await;
    let space = published.world.space("numbers").await;
    let agents = space.agents(&["live"]).await;
    let live = Certificate::of(&space, &agents[0]).await;
    let index = published.index().await;
    let paths = index["certificates"].as_array().unwrap();
    assert!(paths.iter().any(|it| it["authorityID"] == *live.authority));
    let mut before = 0;
    for _ in 0..8 {
        let crl = published.crl(&live.authority, &live.roots).await;
        let said = openssl(&["crl", "-noout", "-crlnumber", "-nextupdate"], &crl).await;
        let said = said.unwrap();
        assert!(said.contains("nextUpdate="), "{said}");
        let number = said.lines().find_map(|it| it.strip_prefix("crlNumber=0x"));
        let number = u64::from_str_radix(number.unwrap(), 16).unwrap();
        assert!(number > before, "{number} after {before}");
        before = number;
        // Longer than a list is kept.
        tokio::time::sleep(std::time::Duration::from_millis(550)).await;
    }
}

#[tokio::test]
async fn what_there_is_no_list_of_is_not_found() {
    let published = Published::shared().await;
    for path in [
        "/revocations/other.example",
        "/revocations/other.example/statements/0",
        "/revocations/example.org/statements/16",
        "/revocations/example.org/certificates/nobody.crl",
        "/revocations/example.org/certificates/nobody",
        "/bundles/other.example",
        "/",
    ] {
        let (status, _, _) = published.page(path).await;
        assert_eq!(status, 404, "{path}");
    }
    let (status, _, _) = published
        .page("/revocations/example.org/statements/minus")
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_bundle_is_served_as_it_is_in_the_cluster() {
    let published = Published::shared().await;
    let (status, kind, body) = published.page(&format!("/bundles/{DOMAIN}")).await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    let served = String::from_utf8(body).unwrap();
    assert_eq!(served, bundle_json(&published.world.client().await).await);
}
