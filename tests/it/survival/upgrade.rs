//! Operators are replaced one after another, as a Deployment does it, while agents come and go.

use std::cell::Cell;
use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::json;

use super::crowd::{is_completed, is_ready, life_seconds, name};
use super::pair::{Pair, SERVER_LOOKS_EVERY};
use crate::harness::{PATIENCE, Space, World, within};

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// One agent comes, and another one goes.
const EVERY: Duration = Duration::from_millis(50);
/// So many run at a time.
const LIVE: usize = 10;

#[tokio::test]
async fn a_rolling_upgrade_under_load_fails_no_handshake_and_misses_no_end() {
    let world = World::own().await;
    let mut first = world.operator("first", EVERYWHERE);
    first.until_leading().await;
    let mut second = world.operator("second", EVERYWHERE);
    let space = world.space("upgrade").await;
    for name in ["client", "server"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    let pair = Pair::begin(space.secrets());
    let (made, upgraded) = (Cell::new(0), Cell::new(false));
    let under_load = async |many: usize| {
        while made.get() < many {
            tokio::time::sleep(EVERY).await;
        }
    };
    let upgrade = async {
        under_load(2 * LIVE).await;
        let third = world.operator("third", EVERYWHERE);
        assert!(first.stop().success());
        renewed(&space, 600).await;
        under_load(4 * LIVE).await;
        let fourth = world.operator("fourth", EVERYWHERE);
        assert!(second.stop().success());
        renewed(&space, 700).await;
        under_load(6 * LIVE).await;
        upgraded.set(true);
        (third, fourth)
    };
    let load = async {
        while !upgraded.get() {
            let n = made.get();
            space.create_agent(&name(n)).await;
            if n >= LIVE {
                space.finish_pod(&name(n - LIVE), "Succeeded").await;
            }
            made.set(n + 1);
            tokio::time::sleep(EVERY).await;
        }
    };
    let (_operators, ()) = tokio::join!(upgrade, load);
    let made = made.get();
    let ended = made - LIVE;

    space
        .until_count(PATIENCE, ended, "completed", is_completed)
        .await;
    let live = made - ended + 2;
    within(
        PATIENCE,
        "the Secrets of those alone that run",
        async || (space.credentials().await.len() == live).then_some(()),
    )
    .await;
    space.until_count(PATIENCE, live, "Ready", is_ready).await;
    assert_eq!(space.assert_in_order().await.len(), live);
    // The new certificates reach both.
    tokio::time::sleep(2 * SERVER_LOOKS_EVERY).await;
    let (count, failed) = pair.end().await;
    assert!(failed.is_empty(), "of {count}: {failed:#?}");
    assert!(count > 30, "only {count} handshakes");
    // Each was issued once; those who call each other were renewed twice.
    let written = world.plane().secret_writes(&space.name).await.unwrap();
    for secret in space.credentials().await {
        let name = secret.name_any();
        let paired = ["client-identity", "server-identity"].contains(&name.as_str());
        let times = if paired { 3 } else { 1 };
        assert_eq!(written.get(&name), Some(&times), "writes of Secret {name}");
    }
}

/// Whoever leads now issues to both of the pair anew.
async fn renewed(space: &Space, seconds: i64) {
    for name in ["client", "server"] {
        let patch = json!({"spec": {"credential": {"certificateTTLSeconds": seconds}}});
        space.patch(name, patch).await;
    }
    let renewed = |it: &_| life_seconds(it) == seconds;
    space.until_count(PATIENCE, 2, "renewed", renewed).await;
}
