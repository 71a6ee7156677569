//! A different object under the same name never wakes a delegation: UIDs are kept from the first
//! look on.

use serde_json::json;

use super::setting::{WORK, agent, but, digest, hop, root, status};
use crate::harness::{World, eventually, job};
use crate::support::{is, uid, until_gone, with};

#[tokio::test]
async fn another_agent_of_the_delegates_name_gets_nothing() {
    let world = World::shared().await;
    let space = world.space("delegate").await;
    let before = space.agents(&["planner", "clerk"]).await;
    let chain = space.chain(&["planner", "clerk"]).await;
    space.delete("clerk").await;
    until_gone(&space.identities(), "clerk").await;
    let after = space.agents(&["clerk"]).await;
    assert_ne!(uid(&before[1]), uid(&after[0]));
    let it = space.until_ended("to-clerk", &["DelegateEnded"]).await;
    assert_eq!(status(&it).delegate.as_ref().unwrap().uid, uid(&before[1]));
    assert_eq!(digest(&it), digest(&chain[1]));
    space.stays("to-clerk", |it| is(it, "Completed")).await;
}

#[tokio::test]
async fn another_agent_of_the_delegators_name_hands_nothing_on() {
    let world = World::shared().await;
    let space = world.space("delegator").await;
    space.agents(&["planner", "clerk"]).await;
    space.chain(&["planner", "clerk"]).await;
    space.delete("planner").await;
    until_gone(&space.identities(), "planner").await;
    space.agents(&["planner"]).await;
    space.until_ended("to-planner", &["DelegateEnded"]).await;
    space
        .until_ended("to-clerk", &["DelegatorEnded", "ParentEnded"])
        .await;
    for name in ["to-planner", "to-clerk"] {
        space.stays(name, |it| is(it, "Completed")).await;
    }
    // Nor on what its predecessor was given, in a new delegation.
    space
        .delegate(hop("again", "to-planner", "planner", "clerk"))
        .await;
    let it = space
        .until_delegation("again", "refused", |it| {
            is(it, "Stalled") || is(it, "Completed")
        })
        .await;
    assert!(status(&it).statement.is_none());
}

/// Chosen while it has no credential yet, and somebody else's by the time it has one.
#[tokio::test]
async fn a_hop_to_a_name_that_is_later_somebody_elses_agent_ends() {
    let world = World::shared().await;
    let space = world.space("later").await;
    space.agents(&["planner"]).await;
    space.chain(&["planner"]).await;
    space.create_identity(&agent("clerk", "not-there")).await;
    space
        .delegate(hop("to-clerk", "to-planner", "planner", "clerk"))
        .await;
    let it = space
        .until_delegation("to-clerk", "latched", |it| {
            is(it, "Reconciling") && status(it).delegate.is_some()
        })
        .await;
    assert!(status(&it).statement.is_none());

    space.delete("clerk").await;
    until_gone(&space.identities(), "clerk").await;
    let mallory = world.owner("mallory", json!({})).await;
    let theirs = json!({"spec": {"ownerRef": {"name": mallory}}});
    let theirs = with(&agent("clerk", WORK), &theirs);
    space.create_identity(&theirs).await;
    space.until_ready("clerk").await;
    let it = space.until_ended("to-clerk", &["DelegateEnded"]).await;
    assert!(status(&it).digest.is_none(), "nothing was countersigned");
    space.stays("to-clerk", |it| is(it, "Completed")).await;
}

#[tokio::test]
async fn another_delegation_of_the_parents_name_wakes_none_of_its_children() {
    let world = World::shared().await;
    let space = world.space("parent").await;
    space.agents(&["planner", "clerk", "reader"]).await;
    let before = space.chain(&["planner", "clerk", "reader"]).await;
    space.delete_delegation_alone("to-planner").await;
    space.delegate(root("to-planner", "planner")).await;
    space.until_in_force("to-planner").await;
    for (place, name) in [(1, "to-clerk"), (2, "to-reader")] {
        if let Some(it) = space.until_ended_or_collected(name, &["ParentEnded"]).await {
            assert_eq!(digest(&it), digest(&before[place]));
        }
    }
    // A new one below the new one is as good as any.
    space
        .delegate(hop("again", "to-planner", "planner", "clerk"))
        .await;
    space.until_in_force("again").await;
}

#[tokio::test]
async fn a_parent_that_is_replaced_before_its_child_was_granted_gives_it_nothing() {
    let world = World::shared().await;
    let space = world.space("unsigned").await;
    space.agents(&["planner", "clerk"]).await;
    // Too wide: it is never countersigned, and its child waits for it.
    let wide = json!({"grants": [{"actions": ["write"], "resources": ["ledger/*"]}]});
    space.delegate(but(root("above", "planner"), wide)).await;
    space.until_not_granted("above", "GrantsWiden").await;
    space
        .delegate(hop("below", "above", "planner", "clerk"))
        .await;
    space
        .until_delegation("below", "latched", |it| {
            is(it, "Reconciling") && status(it).parent.is_some()
        })
        .await;
    space.delete_delegation_alone("above").await;
    space.delegate(root("above", "planner")).await;
    space.until_in_force("above").await;
    let Some(it) = space
        .until_ended_or_collected("below", &["ParentEnded"])
        .await
    else {
        return; // the collector was quicker to delete it than to spare it
    };
    assert!(status(&it).digest.is_none());
}

#[tokio::test]
async fn the_next_task_of_the_same_name_brings_no_delegation_back() {
    let world = World::shared().await;
    let space = world.space("task").await;
    space.agents(&["planner"]).await;
    space.agent_with_task("clerk").await;
    space.chain(&["planner", "clerk"]).await;
    crate::support::delete(&space.jobs(), "clerk-job").await;
    space.until_ended("to-clerk", &["DelegateEnded"]).await;
    eventually("a successor", async || {
        let successor = serde_json::to_value(job("clerk-job")).unwrap();
        crate::support::create(&space.jobs(), successor).await.ok()
    })
    .await;
    space.stays("to-clerk", |it| is(it, "Completed")).await;
}
