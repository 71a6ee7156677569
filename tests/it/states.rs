//! What people change while the task runs: wishes, owners, namespaces.

use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::harness::{World, condition};
use crate::support::{find, is, label_namespace, refusal, serial, uid};

const SECRET: &str = "reader-identity";

#[tokio::test]
async fn suspended_takes_the_credential_away_and_active_brings_another() {
    let world = World::shared().await;
    let space = world.space("suspend").await;
    let before = space.running("reader", json!({})).await;
    let old = space.secret(SECRET).await.unwrap();
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    let it = space
        .until("reader", "suspended", |it| is(it, "Suspended"))
        .await;
    assert!(find(&it, "Ready").is_none(), "Ready is removed");
    assert!(find(&it, "Completed").is_none());
    space.until_no_secret(SECRET).await;

    space
        .patch("reader", json!({"spec": {"desiredState": "Active"}}))
        .await;
    let after = space.until_ready("reader").await;
    assert!(find(&after, "Suspended").is_none());
    assert_ne!(serial(&after), serial(&before));
    assert_ne!(uid(&space.secret(SECRET).await.unwrap()), uid(&old));
    let (before, after) = (before.status.unwrap(), after.status.unwrap());
    assert_eq!(
        after.deadline_time, before.deadline_time,
        "suspension wins no time"
    );
}

#[tokio::test]
async fn a_suspended_identity_completes_with_its_task() {
    let world = World::shared().await;
    let space = world.space("suspend").await;
    space.running("reader", json!({})).await;
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    space
        .until("reader", "suspended", |it| is(it, "Suspended"))
        .await;
    space.finish_job("reader-job", "Succeeded").await;
    assert_eq!(space.until_completed("reader").await, "TaskSucceeded");
    assert!(find(&space.get("reader").await, "Suspended").is_none());
}

#[tokio::test]
async fn what_is_born_suspended_waits_for_its_wakening() {
    let world = World::shared().await;
    let space = world.space("suspend").await;
    space.create_job(&crate::harness::job("work")).await;
    let object = crate::support::with(
        &crate::harness::identity("reader", "jobs.batch/work"),
        &json!({"spec": {"desiredState": "Suspended"}}),
    );
    space.create_identity(&object).await;
    let it = space
        .until("reader", "suspended", |it| is(it, "Suspended"))
        .await;
    assert_eq!(serial(&it), "");
    assert!(space.secret(SECRET).await.is_none());
    space
        .patch("reader", json!({"spec": {"desiredState": "Active"}}))
        .await;
    space.until_ready("reader").await;
}

#[tokio::test]
async fn revoked_is_for_good() {
    let world = World::shared().await;
    let space = world.space("revoke").await;
    let before = space.running("reader", json!({})).await;
    space
        .patch("reader", json!({"spec": {"desiredState": "Revoked"}}))
        .await;
    assert_eq!(space.until_completed("reader").await, "Revoked");
    space.until_no_secret(SECRET).await;
    let back = kube::api::Patch::Merge(json!({"spec": {"desiredState": "Active"}}));
    let params = kube::api::PatchParams::default();
    let answer = space.identities().patch("reader", &params, &back).await;
    assert!(refusal(answer).contains("Revoked is for good"));
    let it = space.looked_at("reader").await;
    assert_eq!(serial(&it), serial(&before), "the record stays");
    assert!(find(&it, "Ready").is_none());
    assert!(space.secret(SECRET).await.is_none());
}

#[tokio::test]
async fn an_owner_suspended_takes_its_agents_credentials_and_active_brings_others() {
    let world = World::shared().await;
    let space = world.space("owner").await;
    let owner = world.owner("bob", json!({})).await;
    let patch = json!({"spec": {"ownerRef": {"name": owner}}});
    let before = space.running("reader", patch).await;
    let of_another = space.running("other", json!({})).await;

    world
        .patch_owner(&owner, json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    let it = space
        .until("reader", "suspended", |it| is(it, "Suspended"))
        .await;
    assert_eq!(condition(&it, "Suspended").unwrap().1, "OwnerSuspended");
    space.until_no_secret(SECRET).await;

    world
        .patch_owner(&owner, json!({"spec": {"desiredState": "Active"}}))
        .await;
    let after = space.until_ready("reader").await;
    assert_ne!(serial(&after), serial(&before));
    assert_eq!(serial(&space.get("other").await), serial(&of_another));
}

#[tokio::test]
async fn an_owner_who_departed_ends_its_agents_for_good() {
    let world = World::shared().await;
    let space = world.space("owner").await;
    let owner = world.owner("bob", json!({})).await;
    space
        .running("reader", json!({"spec": {"ownerRef": {"name": owner}}}))
        .await;
    world
        .patch_owner(&owner, json!({"spec": {"desiredState": "Departed"}}))
        .await;
    assert_eq!(space.until_completed("reader").await, "OwnerDeparted");
    space.until_no_secret(SECRET).await;

    world
        .patch_owner(&owner, json!({"spec": {"desiredState": "Active"}}))
        .await;
    let it = space.looked_at("reader").await;
    assert_eq!(condition(&it, "Completed").unwrap().1, "OwnerDeparted");
    assert!(space.secret(SECRET).await.is_none());
}

#[tokio::test]
async fn an_owner_who_is_gone_takes_its_agents_credentials() {
    let world = World::shared().await;
    let space = world.space("owner").await;
    let owner = world.owner("bob", json!({})).await;
    space
        .running("reader", json!({"spec": {"ownerRef": {"name": owner}}}))
        .await;
    let owners = Api::<countersign_api::AgentOwner>::all(world.client().await);
    owners
        .delete(&owner, &DeleteParams::default())
        .await
        .unwrap();
    let message = space.until_refused("reader", "UnknownOwner").await;
    assert!(message.contains(&owner), "{message}");
    space.until_no_secret(SECRET).await;
    assert!(!is(&space.get("reader").await, "Ready"));
}

#[tokio::test]
async fn who_is_no_longer_a_subject_gets_nothing_new() {
    let world = World::shared().await;
    let space = world.space("subject").await;
    let user = world.user("carol").await;
    let rules = json!([
        {"apiGroups": ["countersign.dev"], "resources": ["agentidentities"], "verbs": ["create"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["update"]},
    ]);
    world.allow(&user, Some(&space.name), rules).await;
    let subjects = json!([{"kind": "User", "name": user.name}]);
    let owner = world
        .owner("carol", json!({"spec": {"subjects": subjects}}))
        .await;
    space.create_job(&crate::harness::job("work")).await;
    let object = crate::support::with(
        &crate::harness::identity("reader", "jobs.batch/work"),
        &json!({"spec": {"ownerRef": {"name": owner}}}),
    );
    let params = kube::api::PostParams::default();
    let identities = user.identities(&space);
    identities.create(&params, &object).await.unwrap();
    let before = space.until_ready("reader").await;

    let nobody = json!({"spec": {"subjects": []}});
    world.patch_owner(&owner, nobody).await;
    let message = space.until_refused("reader", "OwnerNotAllowed").await;
    assert!(message.contains(&user.name), "{message}");
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("reader", longer).await;
    let it = space.looked_at("reader").await;
    assert!(is(&it, "Ready") && is(&it, "Stalled"));
    assert_eq!(serial(&it), serial(&before));
}

#[tokio::test]
async fn a_namespace_no_longer_admitted_keeps_what_is_good_and_gets_nothing_new() {
    let world = World::shared().await;
    let space = world.space("namespace").await;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    let before = space.running("reader", longer).await;
    label_namespace(&space, json!({"trust-domain": null})).await;
    let message = space.until_refused("reader", "NamespaceNotAdmitted").await;
    assert!(message.contains("spec.namespaceSelector"), "{message}");
    let shorter = json!({"spec": {"credential": {"certificateTTLSeconds": 300}}});
    space.patch("reader", shorter).await;
    let it = space.looked_at("reader").await;
    assert!(is(&it, "Ready") && is(&it, "Stalled"));
    assert_eq!(serial(&it), serial(&before), "not renewed");
    assert!(space.secret(SECRET).await.is_some());

    label_namespace(&space, json!({"trust-domain": crate::harness::DOMAIN})).await;
    space
        .until("reader", "in order", |it| find(it, "Stalled").is_none())
        .await;
    let it = space
        .until("reader", "issued for less", |it| {
            serial(it) != serial(&before)
        })
        .await;
    assert!(is(&it, "Ready"), "what was asked for meanwhile comes now");
}

#[tokio::test]
async fn grants_that_widen_are_refused_and_it_says_which() {
    let world = World::shared().await;
    let space = world.space("grants").await;
    let owner = world.owner("bob", json!({})).await;
    let wide = json!({"spec": {
        "ownerRef": {"name": owner},
        "grants": [{"actions": ["read"], "resources": ["ledger/*", "payroll/*"]}],
    }});
    space.create_job(&crate::harness::job("work")).await;
    let object = crate::harness::identity("greedy", "jobs.batch/work");
    space
        .create_identity(&crate::support::with(&object, &wide))
        .await;
    let message = space.until_refused("greedy", "GrantsWiden").await;
    assert!(
        message.contains("payroll/*") && !message.contains("ledger/*"),
        "{message}"
    );
    assert!(space.secret("greedy-identity").await.is_none());

    let grants = json!([{"actions": ["read"], "resources": ["payroll/*", "ledger/*"]}]);
    world
        .patch_owner(&owner, json!({"spec": {"grants": grants}}))
        .await;
    space.until_ready("greedy").await;
}

#[tokio::test]
async fn an_owner_with_less_keeps_what_is_good_and_gets_nothing_new() {
    let world = World::shared().await;
    let space = world.space("grants").await;
    let owner = world.owner("bob", json!({})).await;
    let before = space
        .running("reader", json!({"spec": {"ownerRef": {"name": owner}}}))
        .await;
    world
        .patch_owner(&owner, json!({"spec": {"grants": []}}))
        .await;
    space.until_refused("reader", "GrantsWiden").await;
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("reader", longer).await;
    let it = space.looked_at("reader").await;
    assert!(is(&it, "Ready") && is(&it, "Stalled"));
    assert_eq!(serial(&it), serial(&before));
}
