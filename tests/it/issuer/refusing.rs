//! What isn't issued, and why.

use std::time::Duration;

use countersign_issuing::IssueX509Request;
use kube::api::DeleteParams;
use rcgen::KeyPair;
use serde_json::json;
use tokio::time::sleep;
use tonic::Code;

use super::client::{Sidecar, request};
use super::program::Issuer;
use super::workload;
use crate::harness::{Space, World, eventually};
use crate::support::{label_namespace, unique};

/// A pod, its token, and an identity for it that is ready.
async fn ready(world: &World) -> (Space, super::APod, String) {
    let space = world.space("refuse").await;
    let pod = space.working_for("reader", "work").await;
    let token = space.token(&pod).await;
    (space, pod, token)
}

#[tokio::test]
async fn a_pod_of_no_identity_gets_nothing_nor_does_the_right_pod_in_the_wrong_namespace() {
    let (world, issuer) = Issuer::shared().await;
    let sidecar = issuer.sidecar(world).await;
    let (space, _, _) = ready(world).await;
    // Of the same Job's name, in another namespace and in this one.
    let elsewhere = world.space("refuse").await;
    let other = elsewhere.working("work").await;
    let stranger = space.working("stranger").await;
    for token in [elsewhere.token(&other).await, space.token(&stranger).await] {
        let refused = sidecar.issue_past(&token, &["UnknownPod"]).await;
        let expected = (Code::PermissionDenied, "NoIdentity".to_owned());
        assert_eq!(refused.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn once_the_task_is_over_nothing_more_is_issued_though_the_pod_lives_on() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("refuse").await;
    space.working("work").await;
    let lone = space.lone("lone").await;
    let by_account = json!({"spec": {"credential": {"workload": {
        "pods": "ServiceAccount", "serviceAccountName": "default",
    }}}});
    space
        .create_identity(&workload("reader", "jobs.batch/work", &by_account))
        .await;
    space.until_ready("reader").await;
    let token = space.token(&lone).await;
    let sidecar = issuer.sidecar(world).await;
    let issued = sidecar.issue_past(&token, &["UnknownPod"]).await;
    issued.unwrap();
    space.finish_job("work", "Succeeded").await;
    space.until_completed("reader").await;
    sidecar.until_refused(&token, "TaskOver").await;
    let refused = sidecar.issue(&token).await.unwrap_err();
    assert_eq!(refused, (Code::PermissionDenied, "TaskOver".to_owned()));
}

#[tokio::test]
async fn a_suspended_identity_gets_nothing_until_it_is_resumed() {
    let (world, issuer) = Issuer::shared().await;
    let (space, _, token) = ready(world).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.issue_past(&token, &["UnknownPod"]).await.unwrap();
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    sidecar.until_refused(&token, "IdentitySuspended").await;
    space
        .until("reader", "Suspended", |it| {
            crate::support::is(it, "Suspended")
        })
        .await;
    let refused = sidecar.issue(&token).await.unwrap_err();
    let expected = (Code::PermissionDenied, "IdentitySuspended".to_owned());
    assert_eq!(refused, expected);
    space
        .patch("reader", json!({"spec": {"desiredState": "Active"}}))
        .await;
    let again = sidecar
        .issue_past(&token, &["IdentitySuspended", "NotReady"])
        .await;
    let issued = again.unwrap();
    // What was issued before counts no more, so this must be told from it by its begin.
    let resumed = space.get("reader").await.status.unwrap().resumed_time;
    let asked = issued.not_after - 60;
    assert!(resumed.is_some_and(|it| it.0.as_second() <= asked));
}

#[tokio::test]
async fn a_revoked_and_a_deleted_identity_are_over() {
    let (world, issuer) = Issuer::shared().await;
    let (space, _, token) = ready(world).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.issue_past(&token, &["UnknownPod"]).await.unwrap();
    space
        .patch("reader", json!({"spec": {"desiredState": "Revoked"}}))
        .await;
    sidecar.until_refused(&token, "IdentityEnded").await;
    space.delete("reader").await;
    sidecar.until_refused(&token, "NoIdentity").await;
}

#[tokio::test]
async fn a_deleted_pods_token_is_good_for_nothing() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, token) = ready(world).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.issue_past(&token, &["UnknownPod"]).await.unwrap();
    let at_once = DeleteParams::default().grace_period(0);
    space.pods().delete(&pod.name, &at_once).await.unwrap();
    sidecar.until_refused(&token, "UnknownPod").await;
}

#[tokio::test]
async fn a_request_that_proves_nothing_is_refused() {
    let (world, issuer) = Issuer::shared().await;
    let (_space, _, token) = ready(world).await;
    let sidecar = issuer.sidecar(world).await;
    let good = request(&KeyPair::generate().unwrap());
    let mut signed_by_nobody = good.pkcs10.clone();
    *signed_by_nobody.last_mut().unwrap() ^= 1;
    let whole = good.pkcs10.len();
    for (what, pkcs10) in [
        ("nothing", Vec::new()),
        ("a signature that is wrong", signed_by_nobody),
        ("half of one", good.pkcs10[..whole / 2].to_vec()),
        ("bytes behind it", [good.pkcs10.as_slice(), b"x"].concat()),
        ("what is no request", vec![0x30; 200]),
        ("more than a request has", vec![0; 20_000]),
    ] {
        let asked = IssueX509Request {
            pkcs10,
            ..IssueX509Request::default()
        };
        let refused = sidecar.issue_for(&token, asked).await.unwrap_err();
        let expected = (Code::InvalidArgument, "BadRequest".to_owned());
        assert_eq!(refused, expected, "{what}");
    }
    // Far too much is not even read.
    let asked = IssueX509Request {
        pkcs10: vec![0; 1_000_000],
        ..IssueX509Request::default()
    };
    let refused = sidecar.issue_for(&token, asked).await.unwrap_err();
    assert_ne!(refused.0, Code::Ok);
    sidecar.issue_past(&token, &["UnknownPod"]).await.unwrap();
}

#[tokio::test]
async fn an_identity_that_isnt_ready_gets_nothing_yet() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("refuse").await;
    let pod = space.working("work").await;
    // More than its owner has.
    let wide = json!({"spec": {"grants": [{"actions": ["rule"], "resources": ["*"]}]}});
    space
        .create_identity(&workload("reader", "jobs.batch/work", &wide))
        .await;
    space.until_stalled("reader").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let refused = sidecar
        .issue_past(&token, &["UnknownPod"])
        .await
        .unwrap_err();
    // It has no task on record, so it isn't known to be the pod's.
    assert!(
        ["NotReady", "NoIdentity"].contains(&refused.1.as_str()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn nothing_is_issued_while_the_operator_is_gone() {
    let world = World::own().await;
    let mut operator = world.operator("operator", &["--issuing"]);
    world.until_domain_ready(crate::harness::DOMAIN).await;
    let (_space, _pod, token) = ready(&world).await;
    let brief = ["--stale-after-seconds", "5", "--watch-seconds", "4"];
    let issuer = Issuer::start(&world, "stale", &brief);
    issuer.ready().await;
    let sidecar = issuer.sidecar(&world).await;
    let issued = sidecar.issue_past(&token, &["UnknownPod", "Stale"]).await;
    issued.unwrap();
    operator.kill();
    sidecar.until_refused(&token, "Stale").await;
    let refused = sidecar.issue(&token).await.unwrap_err();
    assert_eq!(refused, (Code::Unavailable, "Stale".to_owned()));
    let refused = sidecar.watch(&token).await.unwrap_err();
    assert_eq!(refused.1, "Stale");
    // One that starts now has never heard of it.
    let late = Issuer::start(&world, "late", &brief);
    let bundle = super::program::roots(&world, crate::harness::DOMAIN).await;
    let sidecar_of_late = eventually("a connection", async || {
        let domain = crate::harness::DOMAIN;
        Sidecar::connect(&late.address, domain, domain, &bundle)
            .await
            .ok()
    })
    .await;
    let refused = sidecar_of_late.issue(&token).await.unwrap_err();
    assert_eq!(refused, (Code::Unavailable, "Stale".to_owned()));
    assert!(!late.is_ready().await);
    let _operator = world.operator("again", &["--issuing"]);
    sidecar.issue_past(&token, &["Stale"]).await.unwrap();
    let issued = sidecar_of_late.issue_past(&token, &["Stale"]).await;
    issued.unwrap();
}

#[tokio::test]
async fn nothing_is_issued_that_cant_be_recorded() {
    let world = World::shared().await;
    let (_space, _pod, token) = ready(world).await;
    let dir = world.plane().dir().join(unique("no-audit"));
    let audit = format!("sqlite:{}", dir.join("audit.db").display());
    let issuer = Issuer::start(world, &unique("unrecorded"), &["--audit", &audit]);
    issuer.ready().await;
    let sidecar = issuer.sidecar(world).await;
    let refused = sidecar.issue_past(&token, &["UnknownPod"]).await;
    let expected = (Code::Unavailable, "AuditUnavailable".to_owned());
    assert_eq!(refused.unwrap_err(), expected);
    std::fs::create_dir(&dir).unwrap();
    let issued = sidecar.issue_past(&token, &["AuditUnavailable"]).await;
    issued.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_it_to_the_second() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("refuse").await;
    let pod = space.working("work").await;
    let brief = json!({"spec": {"activeDeadlineSeconds": 4}});
    space
        .create_identity(&workload("reader", "jobs.batch/work", &brief))
        .await;
    space.until_ready("reader").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar
        .issue_past(&token, &["UnknownPod", "NoIdentity"])
        .await
        .unwrap();
    sleep(Duration::from_secs(4)).await;
    let refused = sidecar.issue(&token).await.unwrap_err();
    assert_eq!(
        refused,
        (Code::PermissionDenied, "IdentityEnded".to_owned())
    );
}

#[tokio::test]
async fn a_pod_that_asks_for_too_much_waits_and_no_other_does() {
    let world = World::shared().await;
    let (_space, _pod, token) = ready(world).await;
    let (_other_space, _other_pod, other) = ready(world).await;
    let issuer = Issuer::start(world, &unique("shares"), &["--max-per-pod", "2"]);
    issuer.ready().await;
    let sidecar = issuer.sidecar(world).await;
    // What is refused doesn't count.
    for _ in 0..3 {
        let asked = IssueX509Request::default();
        let refused = sidecar.issue_for(&token, asked).await.unwrap_err();
        assert_eq!(refused.1, "BadRequest");
    }
    sidecar.issue(&token).await.unwrap();
    sidecar.issue(&token).await.unwrap();
    let refused = sidecar.issue(&token).await.unwrap_err();
    let expected = (Code::ResourceExhausted, "Overloaded".to_owned());
    assert_eq!(refused, expected);
    sidecar.issue(&other).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(sidecar.watch(&token).await.unwrap());
    }
    assert_eq!(sidecar.watch(&token).await.unwrap_err(), expected);
    drop(open.pop());
    eventually("a place", async || sidecar.watch(&token).await.ok()).await;
    let refusals = "countersign_credentials_refused_total";
    assert!(issuer.metric(refusals, "Overloaded").await >= 2.0);
}

#[tokio::test]
async fn a_namespace_that_the_trust_domain_admits_no_more_gets_nothing() {
    let (world, issuer) = Issuer::shared().await;
    let (space, _, token) = ready(world).await;
    let sidecar = issuer.sidecar(world).await;
    sidecar.issue_past(&token, &["UnknownPod"]).await.unwrap();
    label_namespace(&space, json!({"trust-domain": null})).await;
    sidecar.until_refused(&token, "NotReady").await;
    let refused = sidecar.issue(&token).await.unwrap_err();
    assert_eq!(refused.0, Code::FailedPrecondition);
    label_namespace(&space, json!({"trust-domain": crate::harness::DOMAIN})).await;
    sidecar.issue_past(&token, &["NotReady"]).await.unwrap();
}
