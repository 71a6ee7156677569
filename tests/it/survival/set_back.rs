//! etcd is set back to a snapshot under an operator that runs on: it isn't restarted, and finds out by
//! itself.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_audit::Kind;
use countersign_testbed::Revisions;
use rustix::process::Signal;
use serde_json::json;

use super::crowd::{is_ready, serial};
use super::hops::{Hops, root};
use super::record::Book;
use crate::harness::{Space, World};
use crate::support::uid;

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// A control plane starts anew, and all its watches.
const RECOVERY: Duration = Duration::from_secs(60);
/// What ends between the snapshot and its restore. `young` had no certificate yet at the snapshot: to
/// who knows nothing of its end it is as new, and due.
const ENDED: [&str; 4] = ["done", "revoked", "deleted", "young"];

#[tokio::test]
async fn under_a_running_operator_etcd_goes_back_with_its_revisions_and_what_ended_ends_again() {
    set_back(Revisions::GoBack).await;
}

#[tokio::test]
async fn under_a_running_operator_etcd_goes_back_with_raised_revisions_and_what_ended_ends_again() {
    set_back(Revisions::LeapAhead).await;
}

async fn set_back(revisions: Revisions) {
    let world = World::own().await;
    let mut operator = world.operator("only", EVERYWHERE);
    let space = world.space("set-back").await;
    let hops = Hops::of(&space);
    for name in ["done", "revoked", "deleted", "stays"] {
        space.create_agent(name).await;
    }
    space.until_count(RECOVERY, 4, "Ready", is_ready).await;
    for name in ["taken", "kept"] {
        hops.create(root(name, "stays")).await;
        hops.until_ready(name).await;
    }
    let before = serial(&space.get("stays").await);
    let snapshot = world.plane().dir().join("snapshot.db");
    operator.signal(Signal::STOP);
    space.create_agent("young").await;
    world.plane().save_etcd(&snapshot).await.unwrap();
    operator.signal(Signal::CONT);

    space.until_ready("young").await;
    let uids = uids(&space).await;
    space.finish_pod("done", "Succeeded").await;
    space.finish_pod("young", "Failed").await;
    let revoke = json!({"spec": {"desiredState": "Revoked"}});
    space.patch("revoked", revoke).await;
    space.delete("deleted").await;
    hops.revoke("taken").await;
    for name in ["done", "revoked", "young"] {
        space.until_completed(name).await;
    }
    for name in ENDED {
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    assert_eq!(hops.until_ended(RECOVERY, "taken").await, "Revoked");

    let restored = world.plane().restore_etcd(&snapshot, revisions).await;
    restored.unwrap();
    for name in ENDED {
        assert_eq!(space.until_completed(name).await, "EndedBefore", "{name}");
        assert_eq!(uid(&space.get(name).await), uids[name], "{name}");
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    assert_eq!(hops.until_ended(RECOVERY, "taken").await, "EndedBefore");
    hops.until_ready("kept").await;
    assert_eq!(serial(&space.until_ready("stays").await), before);
    // What is new is served as ever, and what ends now ends.
    space.create_agent("new").await;
    space.until_ready("new").await;
    space.finish_pod("stays", "Succeeded").await;
    assert_eq!(space.until_completed("stays").await, "TaskSucceeded");
    assert!(!operator.is_over(), "it didn't run on");

    let audit = world.plane().dir().join("audit-only.db");
    let book = Book::open(&world, &format!("sqlite:{}", audit.display())).await;
    for (name, uid) in uids {
        let issued = book.count(&uid, Kind::IdentityIssued).await;
        let renewed = book.count(&uid, Kind::IdentityRenewed).await;
        assert_eq!((issued, renewed), (1, 0), "certificates of {name}");
    }
}

async fn uids(space: &Space) -> BTreeMap<String, String> {
    let all = space.all().await.unwrap();
    let named = |it| (kube::ResourceExt::name_any(it), uid(it));
    all.iter().map(named).collect()
}
