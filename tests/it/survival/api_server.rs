//! The API server goes away, and what it remembers too.

use std::time::Duration;

use super::crowd::{is_completed, is_ready};
use crate::harness::{World, within};

/// Longer than a restart, the longest backoff of a watch included.
const RECOVERY: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_api_server_killed_in_the_middle_of_200_issues_loses_none_and_doubles_none() {
    const ALL: usize = 200;
    let world = World::own().await;
    let space = world.space("killed").await;
    space.create_agents(0..ALL).await;
    let operator = world.operator("only", &["--secret-namespaces", "*"]);
    let begun = within(RECOVERY, "the first issues", async || {
        let ready = space.count(is_ready).await;
        (ready > 20).then_some(ready)
    })
    .await;
    world.plane().kill_api_server();
    assert!(begun < ALL, "killed too late");
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.plane().restart_api_server().await.unwrap();

    space.until_count(RECOVERY, ALL, "Ready", is_ready).await;
    let serials = space.assert_in_order().await;
    assert_eq!(serials.len(), ALL);
    world.assert_written(&space, 1).await;
    let issued = operator.log().matches("certificate issued").count();
    assert!(issued <= ALL, "{issued} certificates were issued");
}

#[tokio::test]
async fn tasks_that_end_behind_a_watch_that_is_too_old_by_then_are_noticed() {
    let world = World::own().await;
    let proxy = world.proxy();
    let operator = world.operator_by(proxy.kubeconfig(), "only", &["--secret-namespaces", "*"]);
    let space = world.space("gone").await;
    for name in ["done", "failed", "deleted", "replaced", "dropped", "stays"] {
        space.create_agent(name).await;
    }
    space.until_count(RECOVERY, 6, "Ready", is_ready).await;
    let before = space.assert_in_order().await;

    proxy.hold_watches();
    space.finish_pod("done", "Succeeded").await;
    space.finish_pod("failed", "Failed").await;
    space.delete_pod("deleted").await;
    space.replace_pod("replaced").await;
    space.delete("dropped").await;
    world.plane().compact_etcd().await.unwrap();
    world.plane().restart_api_server().await.unwrap();
    assert_eq!(space.count(is_completed).await, 0, "a watch got through");
    proxy.release_watches();

    for (name, reasons) in [
        ("done", &["TaskSucceeded"][..]),
        ("failed", &["TaskFailed"]),
        ("deleted", &["TaskDeleted"]),
        // Whichever is seen first: that the old one goes, or that another is there.
        ("replaced", &["TaskReplaced", "TaskDeleted"]),
    ] {
        let over = space.until_completed(name).await;
        assert!(reasons.contains(&over.as_str()), "{name}: {over}");
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    space.until_no_secret("dropped-identity").await;
    let after = space.assert_in_order().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after["stays"], before["stays"], "issued once more");
    let log = operator.log();
    assert!(log.contains("code=410"), "no watch was too old:\n{log}");
}
