//! What a sidecar is told.

use std::time::{Duration, Instant};

use countersign_issuing::{State, WatchResponse};
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::timeout;
use tonic::Streaming;

use super::program::Issuer;
use super::workload;
use crate::decision::setting::spiffe_id;
use crate::harness::{DOMAIN, PATIENCE, eventually};
use crate::support::unique;

/// What is said next, within patience.
async fn next(stream: &mut Streaming<WatchResponse>) -> WatchResponse {
    let said = timeout(PATIENCE, stream.message()).await;
    said.expect("nothing is said").unwrap().expect("it ended")
}

async fn until(stream: &mut Streaming<WatchResponse>, state: State) -> WatchResponse {
    let started = Instant::now();
    loop {
        let said = next(stream).await;
        if said.state() == state {
            return said;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{state:?} never came: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_sidecar_is_told_of_every_state_at_once() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("watch").await;
    let pod = space.working("work").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let mut stream = eventually("the pod to be known", async || {
        sidecar.watch(&token).await.ok()
    })
    .await;
    let first = next(&mut stream).await;
    assert_eq!(
        (first.state(), first.reason.as_str()),
        (State::Waiting, "NoIdentity")
    );
    space
        .create_identity(&workload("reader", "jobs.batch/work", &json!({})))
        .await;
    let active = until(&mut stream, State::Active).await;
    let reader = space.until_ready("reader").await;
    assert_eq!(active.spiffe_id, spiffe_id(&reader));
    assert_eq!(active.key_algorithm, "ECDSAP256");
    assert_eq!(active.certificate_ttl_seconds, 60);
    assert!(!active.reissue);
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    let patched = Instant::now();
    until(&mut stream, State::Suspended).await;
    assert!(patched.elapsed() < Duration::from_secs(5));
    space
        .patch("reader", json!({"spec": {"desiredState": "Active"}}))
        .await;
    until(&mut stream, State::Active).await;
    space.finish_job("work", "Succeeded").await;
    let ended = until(&mut stream, State::Ended).await;
    assert!(
        ["TaskOver", "UnknownPod"].contains(&ended.reason.as_str()),
        "{ended:?}"
    );
}

#[tokio::test]
async fn what_is_trusted_comes_first_and_the_same_is_said_again_every_ten_seconds() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("watch").await;
    let pod = space.working_for("reader", "work").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let mut stream = eventually("the pod to be known", async || {
        sidecar.watch(&token).await.ok()
    })
    .await;
    let first = until(&mut stream, State::Active).await;
    let trust = first.trust.unwrap();
    assert_eq!(trust.trust_domain, DOMAIN);
    assert!(!trust.roots.is_empty());
    // The first time at a moment of its own, so that not all streams say it at once.
    let started = Instant::now();
    next(&mut stream).await;
    assert!(started.elapsed() < Duration::from_secs(14));
    let started = Instant::now();
    let again = next(&mut stream).await;
    assert!(
        (8..14).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
    assert_eq!((again.state(), again.trust), (State::Active, None));
    assert!(issuer.metric("countersign_issuing_streams", "").await >= 1.0);
}

#[tokio::test]
async fn the_end_of_the_identity_or_of_the_pod_is_the_end() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("watch").await;
    let sidecar = issuer.sidecar(world).await;
    for whose in ["identity", "pod"] {
        let pod = space.working(whose).await;
        space
            .create_identity(&workload(whose, &format!("jobs.batch/{whose}"), &json!({})))
            .await;
        space.until_ready(whose).await;
        let token = space.token(&pod).await;
        let mut stream = eventually("the pod to be known", async || {
            sidecar.watch(&token).await.ok()
        })
        .await;
        until(&mut stream, State::Active).await;
        let reason = if whose == "identity" {
            space.delete(whose).await;
            "NoIdentity"
        } else {
            let at_once = DeleteParams::default().grace_period(0);
            space.pods().delete(&pod.name, &at_once).await.unwrap();
            "UnknownPod"
        };
        let ended = until(&mut stream, State::Ended).await;
        let expected = [reason, "IdentityEnded"];
        assert!(
            expected.contains(&ended.reason.as_str()),
            "{whose}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn a_new_authority_is_told_of_and_asked_of_when_the_old_one_is_distrusted() {
    let (world, issuer) = Issuer::shared().await;
    let domain = world.domain(&unique("rotating"), json!({})).await;
    world.until_domain_ready(&domain).await;
    let space = world.space_in("watch", &domain).await;
    let pod = space.working("work").await;
    let of_domain = json!({"spec": {"trustDomainRef": {"name": domain}}});
    space
        .create_identity(&workload("reader", "jobs.batch/work", &of_domain))
        .await;
    space.until_ready("reader").await;
    let token = space.token(&pod).await;
    let sidecar = issuer.sidecar(world).await;
    let mut stream = eventually("the pod to be known", async || {
        sidecar.watch(&token).await.ok()
    })
    .await;
    let first = until(&mut stream, State::Active).await;
    let before = first.trust.unwrap();
    let status = world.until_domain_ready(&domain).await.status.unwrap();
    let active = status
        .authorities
        .iter()
        .find(|it| it.slot == countersign_api::SlotState::Active)
        .unwrap();
    let distrusted = json!({"spec": {"authority": {"distrusted": [active.id]}}});
    world.patch_domain(&domain, distrusted).await;
    let started = Instant::now();
    let (mut told, mut asked) = (None, false);
    while told.is_none() || !asked {
        let said = next(&mut stream).await;
        asked |= said.reissue;
        if let Some(trust) = said.trust
            && trust.roots.iter().all(|it| !before.roots.contains(it))
            && !trust.roots.is_empty()
        {
            told = Some(trust);
        }
        assert!(
            started.elapsed() < PATIENCE,
            "told {} asked {asked}",
            told.is_some()
        );
    }
    let trust = told.unwrap();
    assert!(trust.sequence > before.sequence);
    let issued = sidecar.issue_past(&token, &["NoAuthority"]).await.unwrap();
    assert_eq!(issued.trust.unwrap().roots, trust.roots);
}
