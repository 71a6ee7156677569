//! When delegations end: with whatever they rest on, and all below them.

use std::time::{Duration, Instant};

use serde_json::json;

use super::setting::{but, digest, hop, root, status};
use crate::harness::World;
use crate::support::{delete, find, is, until_gone};

/// Every end takes less on an idle machine than a second; this is for one that runs everything.
const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_revoked_root_ends_all_below_it_at_depth_five() {
    let world = World::shared().await;
    let space = world.space("deep").await;
    let names = ["a", "b", "c", "d", "e"];
    space.agents(&names).await;
    space.chain(&names).await;
    let started = Instant::now();
    space.revoke_delegation("to-a").await;
    let took = space.until_all_ended(5, started).await;
    eprintln!("a root and four hops below it are over {took:?} after the patch");
    assert!(took < BOUND, "{took:?}");
    space.until_ended("to-a", &["Revoked"]).await;
    for name in ["to-b", "to-c", "to-d", "to-e"] {
        let it = space.until_ended(name, &["ParentEnded"]).await;
        assert!(
            status(&it).digest.is_some(),
            "by which revocation lists have it"
        );
    }
}

#[tokio::test]
async fn a_revoked_root_ends_a_wide_tree() {
    let world = World::shared().await;
    let space = world.space("wide").await;
    let names: Vec<String> = (0..12).map(|number| format!("leaf-{number}")).collect();
    let mut all = vec!["top"];
    all.extend(names.iter().map(String::as_str));
    space.agents(&all).await;
    space.chain(&["top"]).await;
    for name in &names {
        space
            .delegate(hop(&format!("to-{name}"), "to-top", "top", name))
            .await;
    }
    for name in &names {
        space.until_in_force(&format!("to-{name}")).await;
    }
    let started = Instant::now();
    space.revoke_delegation("to-top").await;
    let took = space.until_all_ended(13, started).await;
    eprintln!("a root and twelve hops beside one another are over {took:?} after the patch");
    assert!(took < BOUND, "{took:?}");
}

#[tokio::test]
async fn revoking_in_the_middle_leaves_what_is_above_and_beside() {
    let world = World::shared().await;
    let space = world.space("middle").await;
    space.agents(&["a", "b", "c", "beside"]).await;
    space.chain(&["a", "b", "c"]).await;
    space
        .delegate(hop("to-beside", "to-a", "a", "beside"))
        .await;
    space.until_in_force("to-beside").await;
    space.revoke_delegation("to-b").await;
    space.until_ended("to-b", &["Revoked"]).await;
    space.until_ended("to-c", &["ParentEnded"]).await;
    for name in ["to-a", "to-beside"] {
        space.stays(name, |it| is(it, "Ready")).await;
    }
}

#[tokio::test]
async fn a_deleted_parent_takes_its_children_along_by_kubernetes_own_collector() {
    let world = World::shared().await;
    let space = world.space("collected").await;
    space.agents(&["a", "b", "c"]).await;
    let chain = space.chain(&["a", "b", "c"]).await;
    for (child, parent) in [("to-b", &chain[0]), ("to-c", &chain[1])] {
        space
            .until_delegation(child, "dependent", |it| {
                super::setting::depends_on(it, parent)
            })
            .await;
    }
    delete(&space.delegations(), "to-a").await;
    for name in ["to-a", "to-b", "to-c"] {
        until_gone(&space.delegations(), name).await;
    }
}

#[tokio::test]
async fn a_deleted_parent_ends_its_children_without_the_collector() {
    let world = World::shared().await;
    let space = world.space("orphaned").await;
    space.agents(&["a", "b", "c"]).await;
    space.chain(&["a", "b", "c"]).await;
    space.delete_delegation_alone("to-a").await;
    for name in ["to-b", "to-c"] {
        space.until_ended_or_collected(name, &["ParentEnded"]).await;
    }
}

#[tokio::test]
async fn it_ends_with_its_delegates_task_and_so_does_what_the_delegate_handed_on() {
    let world = World::shared().await;
    let space = world.space("delegate").await;
    space.agents(&["planner", "reader"]).await;
    space.agent_with_task("clerk").await;
    space.chain(&["planner", "clerk", "reader"]).await;
    space.finish_job("clerk-job", "Succeeded").await;
    space.until_ended("to-clerk", &["DelegateEnded"]).await;
    space
        .until_ended("to-reader", &["ParentEnded", "DelegatorEnded"])
        .await;
    space.stays("to-planner", |it| is(it, "Ready")).await;
}

#[tokio::test]
async fn it_ends_when_an_agent_is_revoked_or_deleted() {
    let world = World::shared().await;
    let space = world.space("agents").await;
    space.agents(&["planner", "one", "two"]).await;
    space.chain(&["planner"]).await;
    for to in ["one", "two"] {
        space
            .delegate(hop(&format!("to-{to}"), "to-planner", "planner", to))
            .await;
        space.until_in_force(&format!("to-{to}")).await;
    }
    space
        .patch("one", json!({"spec": {"desiredState": "Revoked"}}))
        .await;
    space.until_ended("to-one", &["DelegateEnded"]).await;
    space.delete("two").await;
    space.until_ended("to-two", &["DelegateEnded"]).await;
    space.delete("planner").await;
    space.until_ended("to-planner", &["DelegateEnded"]).await;
}

#[tokio::test]
async fn a_suspended_agent_puts_it_out_of_force_and_back_by_the_same_statement() {
    let world = World::shared().await;
    let space = world.space("suspended").await;
    space.agents(&["planner", "clerk", "reader"]).await;
    let before = space.chain(&["planner", "clerk", "reader"]).await;
    space
        .patch("clerk", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    space
        .until_reason("to-clerk", "Suspended", &["DelegateSuspended"])
        .await;
    space
        .until_reason(
            "to-reader",
            "Suspended",
            &["DelegatorSuspended", "ParentSuspended"],
        )
        .await;
    let it = space.delegations().get("to-clerk").await.unwrap();
    assert!(find(&it, "Ready").is_none());
    space.stays("to-planner", |it| is(it, "Ready")).await;

    space
        .patch("clerk", json!({"spec": {"desiredState": "Active"}}))
        .await;
    for it in &before {
        let name = it.metadata.name.as_deref().unwrap();
        let after = space.until_in_force(name).await;
        assert_eq!(digest(&after), digest(it), "{name}");
    }
}

#[tokio::test]
async fn it_expires_by_itself_and_so_does_what_is_below() {
    let world = World::shared().await;
    let space = world.space("expires").await;
    space.agents(&["planner", "clerk"]).await;
    let brief = json!({"expiresAfterSeconds": 5});
    let object = but(root("to-planner", "planner"), brief);
    space.delegate(object).await;
    space.until_in_force("to-planner").await;
    space
        .delegate(hop("to-clerk", "to-planner", "planner", "clerk"))
        .await;
    space.until_in_force("to-clerk").await;
    let over = space.until_ended("to-planner", &["Expired"]).await;
    space
        .until_ended("to-clerk", &["Expired", "ParentEnded"])
        .await;
    let status = status(&over);
    let end = status.expiration_time.as_ref().unwrap().0;
    let seen = status.finished_time.as_ref().unwrap().0;
    assert!(seen >= end, "not before its time");
    assert!(seen.duration_since(end).as_secs() <= 5, "{end} {seen}");
}

#[tokio::test]
async fn what_expires_before_anybody_could_countersign_it_never_is() {
    let world = World::shared().await;
    let space = world.space("late").await;
    let brief = json!({"expiresAfterSeconds": 2});
    space.delegate(but(root("late", "planner"), brief)).await;
    space.until_ended("late", &["Expired"]).await;
    space.agents(&["planner"]).await;
    space
        .stays("late", |it| {
            is(it, "Completed") && status(it).digest.is_none()
        })
        .await;
}

#[tokio::test]
async fn below_what_is_over_nothing_is_granted() {
    let world = World::shared().await;
    let space = world.space("below").await;
    space.agents(&["planner", "clerk"]).await;
    space.chain(&["planner"]).await;
    space.revoke_delegation("to-planner").await;
    space.until_ended("to-planner", &["Revoked"]).await;
    space
        .delegate(hop("to-clerk", "to-planner", "planner", "clerk"))
        .await;
    let it = space.until_ended("to-clerk", &["ParentEnded"]).await;
    assert!(status(&it).digest.is_none());
}
