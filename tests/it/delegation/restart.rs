//! What happened while the operator was down.

use kube::api::Api;
use serde_json::json;

use super::published::{Certificate, Published};
use super::setting::{bundle_json, but, depends_on, digest, hop, root, verified};
use crate::support::{create, delete, is, until_gone};

#[tokio::test]
async fn what_was_deleted_or_replaced_while_it_was_down_is_revoked_on_return() {
    let mut published = Published::own("restart").await;
    let space = published.world.space("down").await;
    let agents = space
        .agents(&["planner", "clerk", "reader", "gone", "swapped", "kept"])
        .await;
    let gone = Certificate::of(&space, &agents[3]).await;
    let swapped = Certificate::of(&space, &agents[4]).await;
    let kept = Certificate::of(&space, &agents[5]).await;
    let chain = space.chain(&["planner", "clerk", "reader"]).await;
    space.delegate(root("to-kept", "kept")).await;
    let to_kept = space.until_in_force("to-kept").await;
    space.delegate(root("to-swapped", "swapped")).await;
    let to_swapped = space.until_in_force("to-swapped").await;
    let owner = published.world.root_owner("grace").await;
    let from = json!({"from": {"owner": {"name": owner}}});
    space.delegate(but(root("of-owner", "kept"), from)).await;
    let of_owner = space.until_in_force("of-owner").await;
    let sequence = published.list(0).await.sequence;
    space
        .until_delegation("to-clerk", "dependent", |it| depends_on(it, &chain[0]))
        .await;

    published.stop();
    space.delete("gone").await;
    until_gone(&space.identities(), "gone").await;
    space.delete("swapped").await;
    until_gone(&space.identities(), "swapped").await;
    let again = super::setting::agent("swapped", super::setting::WORK);
    space.create_identity(&again).await;
    space.delete_delegation_alone("to-planner").await;
    space.delegate(root("to-planner", "planner")).await;
    let owners = Api::<countersign_api::AgentOwner>::all(space.client.clone());
    delete(&owners, &owner).await;
    until_gone(&owners, &owner).await;
    let same = serde_json::to_value(crate::harness::owner(&owner)).unwrap();
    create(&owners, same).await.unwrap();

    published.start().await;
    // The very first lists have all of it: one that lacked something would be good for a minute.
    for it in [&gone, &swapped] {
        let why = published.checked(it).await.unwrap_err();
        assert!(why.contains("certificate revoked"), "{why}");
    }
    published.checked(&kept).await.unwrap();
    assert!(published.list(0).await.sequence > sequence);
    for it in &chain {
        assert!(published.lists(&digest(it)).await);
    }
    for (name, reason, it) in [
        ("to-clerk", "ParentEnded", &chain[1]),
        ("to-reader", "ParentEnded", &chain[2]),
        ("to-swapped", "DelegateEnded", &to_swapped),
        ("of-owner", "OwnerDeparted", &of_owner),
    ] {
        assert!(published.lists(&digest(it)).await, "{name}");
        space.until_ended_or_collected(name, &[reason]).await;
    }
    // What nothing happened to is as it was.
    let now = space.until_in_force("to-kept").await;
    assert_eq!(
        digest(&now),
        digest(&to_kept),
        "a restart signs nothing anew"
    );
    assert!(!published.lists(&digest(&to_kept)).await);
    // The new one of the old name is a delegation of its own.
    let new = space.until_in_force("to-planner").await;
    assert_ne!(digest(&new), digest(&chain[0]));
    verified(&new, &bundle_json(&space.client).await);
    space
        .delegate(hop("new-clerk", "to-planner", "planner", "clerk"))
        .await;
    space.until_in_force("new-clerk").await;
}

#[tokio::test]
async fn while_it_is_down_nothing_is_granted_and_a_deleted_root_still_takes_its_tree_along() {
    let mut published = Published::own("down").await;
    let space = published.world.space("tree").await;
    space.agents(&["a", "b", "c"]).await;
    let chain = space.chain(&["a", "b", "c"]).await;
    space
        .until_delegation("to-c", "dependent", |it| depends_on(it, &chain[1]))
        .await;
    published.stop();
    space.delegate(root("late", "c")).await;
    delete(&space.delegations(), "to-a").await;
    for name in ["to-a", "to-b", "to-c"] {
        until_gone(&space.delegations(), name).await;
    }
    let late = space.delegations().get("late").await.unwrap();
    assert!(!is(&late, "Ready"));
    published.start().await;
    for it in &chain {
        assert!(published.lists(&digest(it)).await);
    }
    space.until_in_force("late").await;
}
