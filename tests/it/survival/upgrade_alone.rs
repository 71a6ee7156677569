//! The only operator is replaced as a StatefulSet does it: stopped first, and started again on its
//! volume. What stands still meanwhile, and what doesn't.

use std::time::Duration;

use countersign_audit::Kind;
use serde_json::json;

use super::crowd::{is_completed, is_ready, name};
use super::pair::{Pair, SERVER_LOOKS_EVERY};
use super::record::Book;
use crate::harness::{PATIENCE, World};
use crate::support::uid;

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
const LIVE: usize = 6;
/// Stopped, scheduled, its volume attached.
const GONE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn while_the_only_operator_is_replaced_nothing_is_granted_and_no_handshake_fails() {
    let world = World::own().await;
    let mut before = world.operator("only", EVERYWHERE);
    before.until_leading().await;
    let space = world.space("alone").await;
    for name in ["client", "server"] {
        space.create_agent(name).await;
    }
    space.create_agents(0..LIVE).await;
    let all = LIVE + 2;
    space.until_count(PATIENCE, all, "Ready", is_ready).await;
    let serials = space.assert_in_order().await;
    let pair = Pair::begin(space.secrets());

    assert!(before.stop().success());
    space.create_agent("late").await;
    let (ended, deleted, suspended) = (name(0), name(1), name(2));
    space.finish_pod(&ended, "Succeeded").await;
    space.delete_pod(&deleted).await;
    let suspend = json!({"spec": {"desiredState": "Suspended"}});
    space.patch(&suspended, suspend).await;
    // The garbage collector needs no operator: the Secret goes with its task.
    space.until_no_secret(&format!("{deleted}-identity")).await;
    tokio::time::sleep(GONE).await;
    // Nothing is granted, and what needs the operator to end waits for it.
    assert!(!is_ready(&space.get("late").await));
    assert!(space.secret("late-identity").await.is_none());
    for name in [&ended, &suspended] {
        let secret = space.secret(&format!("{name}-identity")).await;
        assert!(secret.is_some(), "{name}");
    }

    let after = world.operator("only", EVERYWHERE);
    after.until_leading().await;
    let late = space.until_ready("late").await;
    for name in [&ended, &suspended] {
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    space
        .until_count(PATIENCE, 2, "completed", is_completed)
        .await;
    tokio::time::sleep(2 * SERVER_LOOKS_EVERY).await;
    let (count, failed) = pair.end().await;
    assert!(failed.is_empty(), "of {count}: {failed:#?}");
    assert!(count > 30, "only {count} handshakes");
    // What was good is as it was, and the log goes on where it stopped.
    for name in ["client".to_owned(), "server".to_owned(), name(3)] {
        let secret = space.secret(&format!("{name}-identity")).await.unwrap();
        assert_eq!(super::ledger::serial_in(&secret), serials[&name], "{name}");
    }
    world.assert_written(&space, 1).await;
    let audit = world.plane().dir().join("audit-only.db");
    let book = Book::open(&world, &format!("sqlite:{}", audit.display())).await;
    book.assert_intact().await;
    book.assert_covers(&space).await;
    assert_eq!(book.count(&uid(&late), Kind::IdentityIssued).await, 1);
}
