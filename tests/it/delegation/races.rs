//! Ends that overtake grants.

use kube::api::ListParams;
use serde_json::json;

use super::setting::{hop, status};
use crate::harness::{Space, World, eventually};
use crate::support::{find, is};

const HOPS: usize = 10;

/// `planner`, who holds a delegation, and as many agents to hand it on to.
async fn scene(world: &World, space: &str) -> (Space, Vec<String>) {
    let space = world.space(space).await;
    let names: Vec<String> = (0..HOPS).map(|number| format!("clerk-{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    space.agents(&all).await;
    space.agent_with_task("planner").await;
    space.chain(&["planner"]).await;
    (space, names)
}

/// Posts a hop to each, one after the other.
async fn post(space: &Space, names: &[String]) {
    for name in names {
        space
            .delegate(hop(&format!("to-{name}"), "to-planner", "planner", name))
            .await;
    }
}

async fn until_nothing_is_in_force(space: &Space) {
    let (delegations, all) = (space.delegations(), ListParams::default());
    let ended = eventually("the end of all of them", async || {
        let found = delegations.list(&all).await.unwrap().items;
        let over = found
            .iter()
            .all(|it| is(it, "Completed") && find(it, "Ready").is_none());
        (found.len() == HOPS + 1 && over).then_some(found)
    })
    .await;
    for it in ended {
        assert!(status(&it).statement.is_none(), "{it:#?}");
    }
}

#[tokio::test]
async fn nothing_that_is_posted_while_its_root_is_revoked_stays_in_force() {
    let world = World::shared().await;
    let (space, names) = scene(world, "revoked-race").await;
    let (early, late) = names.split_at(HOPS / 2);
    post(&space, early).await;
    tokio::join!(post(&space, late), space.revoke_delegation("to-planner"));
    until_nothing_is_in_force(&space).await;
}

#[tokio::test]
async fn nothing_that_is_posted_while_its_delegator_retires_stays_in_force() {
    let world = World::shared().await;
    let (space, names) = scene(world, "retired-race").await;
    tokio::join!(
        post(&space, &names),
        space.finish_job("planner-job", "Succeeded")
    );
    until_nothing_is_in_force(&space).await;
}

#[tokio::test]
async fn nothing_that_is_posted_while_its_delegates_are_revoked_stays_in_force() {
    let world = World::shared().await;
    let (space, names) = scene(world, "delegates-race").await;
    let revoke = async {
        for name in &names {
            space
                .patch(name, json!({"spec": {"desiredState": "Revoked"}}))
                .await;
        }
    };
    tokio::join!(post(&space, &names), revoke);
    space.revoke_delegation("to-planner").await;
    until_nothing_is_in_force(&space).await;
}
