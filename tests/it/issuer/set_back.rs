//! etcd is set back to a snapshot under an issuing endpoint that runs on.

use countersign_audit::{Kind, Reader};
use countersign_testbed::Revisions;
use rustix::process::Signal;
use serde_json::json;

use super::client::Sidecar;
use super::program::Issuer;
use super::workload;
use crate::harness::{World, condition, eventually};
use crate::support::uid;

#[tokio::test]
async fn when_etcd_goes_back_under_it_nothing_is_issued_before_the_operator_has_ended_what_had_ended()
 {
    let world = World::own().await;
    let operator = world.operator("only", &["--secret-namespaces", "*", "--issuing"]);
    let space = world.space("set-back").await;
    let pods = [space.working("over").await, space.working("stays").await];
    for name in ["over", "stays"] {
        let task = format!("jobs.batch/{name}");
        let identity = workload(name, &task, &json!({}));
        space.create_identity(&identity).await;
        space.until_ready(name).await;
    }
    let issuer = Issuer::start(&world, "runs-on", &[]);
    issuer.ready().await;
    let sidecar = issuer.sidecar(&world).await;
    let [over, stays] = [space.token(&pods[0]).await, space.token(&pods[1]).await];
    for token in [&over, &stays] {
        sidecar.issue_past(token, &["Stale"]).await.unwrap();
    }
    let snapshot = world.plane().dir().join("snapshot.db");
    world.plane().save_etcd(&snapshot).await.unwrap();
    let revoke = json!({"spec": {"desiredState": "Revoked"}});
    space.patch("over", revoke).await;
    space.until_completed("over").await;
    sidecar.until_refused(&over, "IdentityEnded").await;

    // Nobody ends it again for now.
    operator.signal(Signal::STOP);
    let restored = world
        .plane()
        .restore_etcd(&snapshot, Revisions::GoBack)
        .await;
    restored.unwrap();
    let back = space.get("over").await;
    assert_eq!(condition(&back, "Completed"), None, "it is not back");
    until_unsure(&sidecar, &over).await;
    operator.signal(Signal::CONT);
    let past = ["Stale"];
    let (_, why) = sidecar.issue_past(&over, &past).await.unwrap_err();
    assert_eq!(why, "IdentityEnded");
    assert_eq!(space.until_completed("over").await, "EndedBefore");
    sidecar.issue_past(&stays, &past).await.unwrap();

    let reader = Reader::open(&issuer.audit).await.unwrap();
    let records = reader.by_object_uid(&uid(&back)).await.unwrap();
    let issued = records
        .iter()
        .filter(|it| it.entry.kind == Kind::IdentityIssued);
    assert_eq!(issued.count(), 1, "{records:?}");
}

/// It knows of the end no more, and issues nothing all the same.
async fn until_unsure(sidecar: &Sidecar, token: &str) {
    eventually("Stale", async || match sidecar.issue(token).await {
        Ok(_) => panic!("issued to what had ended"),
        Err((_, why)) => (why == "Stale").then_some(()),
    })
    .await;
}
