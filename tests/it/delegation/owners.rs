//! What becomes of delegations when the owner of their root changes.

use kube::api::Api;
use serde_json::{Value, json};

use super::setting::{but, digest, hop, root, status};
use crate::harness::{Space, World};
use crate::support::{create, delete, find, is, until_gone};

/// An owner of its own, who delegates to `planner`, who delegates to `clerk`.
async fn chain(world: &World) -> (Space, String) {
    let space = world.space("owner").await;
    space.agents(&["planner", "clerk"]).await;
    let owner = world.root_owner("erin").await;
    space.delegate(from(&owner)).await;
    space.until_in_force("to-planner").await;
    space
        .delegate(hop("to-clerk", "to-planner", "planner", "clerk"))
        .await;
    space.until_in_force("to-clerk").await;
    (space, owner)
}

fn from(owner: &str) -> Value {
    let from = json!({"from": {"owner": {"name": owner}}});
    but(root("to-planner", "planner"), from)
}

async fn set(world: &World, owner: &str, state: &str) {
    world
        .patch_owner(owner, json!({"spec": {"desiredState": state}}))
        .await;
}

#[tokio::test]
async fn an_owner_who_departs_takes_all_along_for_good() {
    let world = World::shared().await;
    let (space, owner) = chain(world).await;
    set(world, &owner, "Departed").await;
    space.until_ended("to-planner", &["OwnerDeparted"]).await;
    space.until_ended("to-clerk", &["ParentEnded"]).await;
    set(world, &owner, "Active").await;
    for name in ["to-planner", "to-clerk"] {
        space
            .stays(name, |it| {
                is(it, "Completed") && find(it, "Ready").is_none()
            })
            .await;
    }
}

#[tokio::test]
async fn a_suspended_owner_puts_all_out_of_force_and_back_by_the_same_statements() {
    let world = World::shared().await;
    let (space, owner) = chain(world).await;
    let before = [
        space.delegations().get("to-planner").await.unwrap(),
        space.delegations().get("to-clerk").await.unwrap(),
    ];
    set(world, &owner, "Suspended").await;
    space
        .until_reason("to-planner", "Suspended", &["OwnerSuspended"])
        .await;
    space
        .until_reason("to-clerk", "Suspended", &["ParentSuspended"])
        .await;
    for it in &before {
        let name = it.metadata.name.as_deref().unwrap();
        let now = space.delegations().get(name).await.unwrap();
        assert!(find(&now, "Ready").is_none(), "{name} isn't in force");
        assert_eq!(digest(&now), digest(it));
    }
    // Meanwhile nothing new is granted.
    let mut more = from(&owner);
    more["metadata"]["name"] = json!("more");
    space.delegate(more).await;
    space
        .until_reason("more", "Suspended", &["OwnerSuspended"])
        .await;
    let more = space.delegations().get("more").await.unwrap();
    assert!(status(&more).statement.is_none());

    set(world, &owner, "Active").await;
    for it in &before {
        let name = it.metadata.name.as_deref().unwrap();
        let now = space.until_in_force(name).await;
        assert_eq!(status(&now).statement, status(it).statement, "{name}");
        assert_eq!(digest(&now), digest(it));
    }
    space.until_in_force("more").await;
}

#[tokio::test]
async fn an_owner_whose_grants_shrink_puts_what_is_beyond_them_out_of_force() {
    let world = World::shared().await;
    let (space, owner) = chain(world).await;
    let less = json!([{"actions": ["read"], "resources": ["ledger/invoices/*"]}]);
    world
        .patch_owner(&owner, json!({"spec": {"grants": less}}))
        .await;
    space
        .until_reason("to-planner", "Stalled", &["GrantsWiden"])
        .await;
    space
        .until_delegation("to-planner", "out of force", |it| !is(it, "Ready"))
        .await;
    space
        .until_delegation("to-clerk", "out of force", |it| !is(it, "Ready"))
        .await;
}

#[tokio::test]
async fn another_owner_of_the_same_name_never_wakes_a_delegation() {
    let world = World::shared().await;
    let (space, owner) = chain(world).await;
    let owners = Api::<countersign_api::AgentOwner>::all(world.client().await);
    delete(&owners, &owner).await;
    until_gone(&owners, &owner).await;
    let again = serde_json::to_value(crate::harness::owner(&owner)).unwrap();
    create(&owners, again).await.unwrap();
    space.until_ended("to-planner", &["OwnerDeparted"]).await;
    space.until_ended("to-clerk", &["ParentEnded"]).await;
    for name in ["to-planner", "to-clerk"] {
        space.stays(name, |it| is(it, "Completed")).await;
    }
}

#[tokio::test]
async fn a_root_of_an_owner_who_is_not_there_is_refused_until_there_is_one() {
    let world = World::shared().await;
    let space = world.space("owner").await;
    space.agents(&["planner"]).await;
    let owner = crate::support::unique("nobody");
    space.delegate(from(&owner)).await;
    let message = space.until_not_granted("to-planner", "UnknownOwner").await;
    assert!(message.contains(&owner), "{message}");
    let owners = Api::<countersign_api::AgentOwner>::all(world.client().await);
    let made = serde_json::to_value(crate::harness::owner(&owner)).unwrap();
    create(&owners, made).await.unwrap();
    space.until_in_force("to-planner").await;
}

#[tokio::test]
async fn an_agents_own_owner_who_departs_takes_the_agent_and_what_it_holds_along() {
    let world = World::shared().await;
    let space = world.space("owner").await;
    let owner = world.root_owner("ivan").await;
    let own =
        json!({"spec": {"ownerRef": {"name": owner}, "grants": super::setting::everything()}});
    space.running("planner", own).await;
    space.agents(&["clerk"]).await;
    space.chain(&["planner", "clerk"]).await; // of another owner's grants
    set(world, &owner, "Departed").await;
    space.until_ended("to-planner", &["DelegateEnded"]).await;
    space
        .until_ended("to-clerk", &["DelegatorEnded", "ParentEnded"])
        .await;
}
