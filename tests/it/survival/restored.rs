//! etcd is restored from an older copy: what has ended since is there again, as it was.

use std::fs;
use std::io::Result;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::crowd::{is_ready, serial};
use super::hops::{Hops, root};
use crate::harness::World;

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// A control plane starts anew, and all its watches.
const RECOVERY: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_ended_after_the_copy_ends_again_and_what_ran_goes_on_with_its_certificate() {
    let world = World::own().await;
    let mut operator = world.operator("only", EVERYWHERE);
    let space = world.space("restored").await;
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
    let copy = world.plane().dir().join("etcd-copy");
    let plane = world.plane();
    plane
        .with_etcd_stopped(|data| copy_folder(data, &copy))
        .await
        .unwrap();

    space.finish_pod("done", "Succeeded").await;
    let revoke = json!({"spec": {"desiredState": "Revoked"}});
    space.patch("revoked", revoke).await;
    space.delete("deleted").await;
    hops.revoke("taken").await;
    for name in ["done", "revoked"] {
        space.until_completed(name).await;
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    space.until_no_secret("deleted-identity").await;
    assert_eq!(hops.until_ended(RECOVERY, "taken").await, "Revoked");
    operator.stop();

    plane
        .with_etcd_stopped(|data| {
            fs::remove_dir_all(data)?;
            copy_folder(&copy, data)
        })
        .await
        .unwrap();
    for name in ["done", "revoked", "deleted"] {
        assert!(is_ready(&space.get(name).await), "{name} is not back");
        let secret = space.secret(&format!("{name}-identity")).await;
        assert!(secret.is_some(), "the Secret of {name} is not back");
    }

    let operator = world.operator("only", EVERYWHERE);
    for name in ["done", "revoked", "deleted"] {
        assert_eq!(space.until_completed(name).await, "EndedBefore", "{name}");
        space.until_no_secret(&format!("{name}-identity")).await;
    }
    assert_eq!(hops.until_ended(RECOVERY, "taken").await, "EndedBefore");
    hops.until_ready("kept").await;
    assert_eq!(serial(&space.until_ready("stays").await), before);
    // What is new is served as ever.
    space.create_agent("new").await;
    space.until_ready("new").await;
    let issued = operator.log().matches("certificate issued").count();
    assert_eq!(issued, 1, "{}", operator.log());
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
