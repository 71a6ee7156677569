//! A replica takes over whose API server lags: it knows the past only.

use std::time::Duration;

use countersign_testbed::{FaultProxy, ProxyOptions};
use serde_json::json;

use super::crowd::{is_completed, is_ready, life_seconds};
use super::cuts::forget_lease;
use super::sightings::Sightings;
use crate::harness::{PATIENCE, World, within};

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// An event's way to a replica that doesn't lag, on two busy cores.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// Every identity has been looked at by then.
const LOOKED: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_replica_that_lags_behind_takes_over_and_brings_nothing_back() {
    let world = World::own().await;
    let plane = world.plane();
    let leads = world.proxy();
    let mut first = world.operator_by(leads.kubeconfig(), "first", EVERYWHERE);
    first.until_leading().await;
    let second_server = plane.second_api_server().await.unwrap();
    let options = ProxyOptions::default();
    let lags = FaultProxy::start_before(plane, second_server, options).unwrap();
    let second = world.operator_by(lags.kubeconfig(), "second", EVERYWHERE);
    let space = world.space("lag").await;
    for name in ["renewed", "done", "replaced", "revoked", "stays"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }

    // The last that the second one sees: two that have nothing yet.
    leads.hold_writes();
    space.create_agent("new").await;
    space.create_agent("short").await;
    tokio::time::sleep(ON_ITS_WAY).await;
    lags.hold_watches();
    leads.release_writes();
    for name in ["new", "short"] {
        space.until_ready(name).await;
    }
    let longer = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("renewed", longer).await;
    space
        .until("renewed", "renewed", |it| {
            is_ready(it) && life_seconds(it) == 600
        })
        .await;
    let revoked = json!({"spec": {"desiredState": "Revoked"}});
    space.patch("revoked", revoked).await;
    space.finish_pod("done", "Succeeded").await;
    space.finish_pod("short", "Succeeded").await;
    space.replace_pod("replaced").await;
    space
        .until_count(PATIENCE, 4, "Completed", is_completed)
        .await;
    within(PATIENCE, "the credentials' end", async || {
        (space.credentials().await.len() == 3).then_some(())
    })
    .await;
    let truth = space.assert_in_order().await;
    assert_eq!(truth.len(), 3);

    let sightings = Sightings::begin(&space).await;
    first.kill();
    forget_lease(&world).await;
    second.until_leading().await;
    tokio::time::sleep(LOOKED).await;
    // Its watch of tasks begins with its lead, and its first list is no older than that.
    let came_back = sightings.end(&[]).await;
    assert!(came_back.is_empty(), "{came_back:?}");
    assert_eq!(space.assert_in_order().await, truth, "while it lags");

    lags.release_watches();
    space.create_agent("later").await;
    space.until_ready("later").await;
    space.finish_pod("new", "Succeeded").await;
    assert_eq!(space.until_completed("new").await, "TaskSucceeded");
    space.until_no_secret("new-identity").await;
    tokio::time::sleep(ON_ITS_WAY).await;
    let mut after = space.assert_in_order().await;
    assert!(after.remove("later").is_some());
    let mut truth = truth;
    truth.remove("new");
    assert_eq!(after, truth, "once it has caught up");
    assert_eq!(space.count(is_completed).await, 5);
}
