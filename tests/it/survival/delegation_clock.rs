//! The operator's clock and the API server's disagree: delegations.

use std::time::Duration;

use jiff::SignedDuration;

use super::clock::{APART, Running, until_synchronized};
use super::crowd::is_ready;
use super::hops::{Hops, assert_over, digest, hop, root};
use crate::harness::{PATIENCE, World};
use crate::support::is;

const ENDS: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_operator_whose_clock_is_ahead_countersigns_nothing_and_still_ends_what_ends() {
    are_apart(APART).await;
}

#[tokio::test]
async fn an_operator_whose_clock_is_behind_countersigns_nothing_and_still_ends_what_ends() {
    are_apart(-APART).await;
}

#[tokio::test]
async fn what_was_countersigned_counts_while_the_clock_is_off() {
    let world = World::own().await;
    let space = world.space("counts").await;
    let hops = Hops::of(&space);
    let right = Running::start(&world, SignedDuration::ZERO);
    for name in ["planner", "clerk"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    hops.create(root("top", "planner")).await;
    hops.until_ready("top").await;
    hops.create(hop("below", "top", "planner", "clerk")).await;
    hops.until_ready("below").await;
    right.stop().await;

    let wrong = Running::start(&world, APART);
    until_synchronized(&world, "False").await;
    space.create_agent("new").await;
    space.until_refused("new", "ClockSkew").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_ready(&space.get("planner").await));
    for name in ["top", "below"] {
        let it = hops.get(name).await;
        assert!(is(&it, "Ready"), "{name}: {:#?}", it.status);
    }
    wrong.stop().await;
}

async fn are_apart(by: SignedDuration) {
    let world = World::own().await;
    let space = world.space("clock").await;
    let hops = Hops::of(&space);
    let right = Running::start(&world, SignedDuration::ZERO);
    for name in ["planner", "clerk", "ends"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    for object in [
        root("stays", "planner"),
        hop("stays-below", "stays", "planner", "clerk"),
        root("revoked", "planner"),
        hop("revoked-below", "revoked", "planner", "clerk"),
        root("task-ends", "ends"),
    ] {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        hops.create(object).await;
        hops.until_ready(&name).await;
    }
    let stays = ["stays", "stays-below"];
    let before = [
        digest(&hops.get(stays[0]).await),
        digest(&hops.get(stays[1]).await),
    ];
    until_synchronized(&world, "True").await;
    right.stop().await;

    let wrong = Running::start(&world, by);
    until_synchronized(&world, "False").await;
    hops.create(root("new", "planner")).await;
    hops.create(hop("new-below", "stays", "planner", "clerk"))
        .await;
    for name in ["new", "new-below"] {
        let message = hops.until_held(name, "ClockSkew").await;
        assert!(message.contains("too far apart"), "{message}");
    }
    hops.revoke("revoked").await;
    space.finish_pod("ends", "Succeeded").await;
    assert_eq!(hops.until_ended(ENDS, "revoked").await, "Revoked");
    assert_eq!(hops.until_ended(ENDS, "revoked-below").await, "ParentEnded");
    assert_eq!(hops.until_ended(ENDS, "task-ends").await, "DelegateEnded");
    for name in ["new", "new-below"] {
        let it = hops.get(name).await;
        assert!(!is(&it, "Ready") && digest(&it).is_none());
    }
    for (name, before) in stays.iter().zip(&before) {
        let it = hops.get(name).await;
        assert!(!is(&it, "Completed"), "{:#?}", it.status);
        assert_eq!(&digest(&it), before, "{name}");
    }
    wrong.stop().await;

    let right = Running::start(&world, SignedDuration::ZERO);
    until_synchronized(&world, "True").await;
    for name in ["new", "new-below", "stays", "stays-below"] {
        hops.until_ready(name).await;
    }
    for (name, before) in stays.iter().zip(&before) {
        assert_eq!(&digest(&hops.get(name).await), before, "{name}");
    }
    for name in ["revoked", "revoked-below", "task-ends"] {
        assert_over(&hops.get(name).await);
    }
    let over = |it: &_| is(it, "Ready") || is(it, "Completed");
    hops.until_all(PATIENCE, "in order", over).await;
    right.stop().await;
}
