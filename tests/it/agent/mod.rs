//! `countersign agent` with `countersign issue` on a real control plane, and the `spiffe` crate as the
//! program in the pod.

mod clock;
mod crls;
mod go_spiffe;
mod outage;
pub(crate) mod program;
mod restarts;
mod rotation;
mod upgrade;

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::json;
use spiffe::TrustDomain;
use tokio::time::timeout;

use self::program::Agent;
use crate::decision::setting::spiffe_id;
use crate::harness::{DOMAIN, PATIENCE, Space, World, eventually};
use crate::issuer::APod;
use crate::issuer::program::Issuer;
use crate::issuer::workload;

/// A pod of a Job, and an identity that is ready for it.
async fn setting(world: &World) -> (Space, APod, String) {
    let space = world.space("agent").await;
    let pod = space.working("work").await;
    space
        .create_identity(&workload("reader", "jobs.batch/work", &json!({})))
        .await;
    let id = spiffe_id(&space.until_ready("reader").await);
    (space, pod, id)
}

#[tokio::test]
async fn a_program_in_a_pod_has_its_certificate_soon_after_the_start() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let token = space.token(&pod).await;
    // The endpoint knows pod and identity when the second one starts: its start alone is measured.
    let mut first = Agent::start(world, issuer, &token).await;
    let svid = first.client().await.fetch_x509_svid().await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), id);
    let agent = Agent::start(world, issuer, &token).await;
    let client = agent.client().await;
    let context = client.fetch_x509_context().await.unwrap();
    let took = agent.started.elapsed();
    eprintln!("from the process's start to a certificate in a program's hands: {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(context.default_svid().unwrap().spiffe_id().to_string(), id);
    let domain = TrustDomain::try_from(DOMAIN).unwrap();
    assert!(context.bundle_set().get(&domain).is_some());
    eventually("files", async || agent.key_file().exists().then_some(())).await;

    // Asked to end, it takes its files and its socket along.
    assert!(first.terminate().success());
    assert!(!first.key_file().exists() && !first.socket().exists());
}

#[tokio::test]
async fn a_suspension_reaches_the_program_at_once_and_its_end_too() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let client = agent.client().await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    let first = timeout(PATIENCE, svids.next()).await.unwrap().unwrap();
    let first = first.unwrap();
    let patched = Instant::now();
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    let ended = async {
        // A renewal may have been on its way.
        while matches!(svids.next().await, Some(Ok(_))) {}
    };
    timeout(PATIENCE, ended).await.unwrap();
    let took = patched.elapsed();
    eprintln!("from a suspension's patch to the end of the program's stream: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    eventually("no files", async || {
        (!agent.key_file().exists()).then_some(())
    })
    .await;
    space
        .patch("reader", json!({"spec": {"desiredState": "Active"}}))
        .await;
    let second = eventually("another certificate", async || {
        client.fetch_x509_svid().await.ok()
    })
    .await;
    assert_eq!(second.spiffe_id().to_string(), id);
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_sidecar_that_outlives_its_task_serves_nothing_more() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, _) = setting(world).await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let client = agent.client().await;
    client.fetch_x509_svid().await.unwrap();
    space.finish_job("work", "Succeeded").await;
    eventually("the end", async || client.fetch_x509_svid().await.err()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let refused = client.fetch_x509_svid().await.unwrap_err().to_string();
    assert!(client.fetch_jwt_svid(["anybody"], None).await.is_err());
    assert!(!agent.key_file().exists());
    eprintln!("what the program is told: {refused}");
}

#[tokio::test]
async fn a_program_has_tokens_and_verifies_those_of_others() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let client = agent.client().await;
    let token = eventually("a token", async || {
        client.fetch_jwt_svid(["ledger"], None).await.ok()
    })
    .await;
    assert_eq!(token.spiffe_id().to_string(), id);
    let validated = client.validate_jwt_token("ledger", token.token()).await;
    assert_eq!(validated.unwrap().spiffe_id().to_string(), id);
    let other = client.validate_jwt_token("another", token.token()).await;
    assert!(other.is_err());
}

#[tokio::test]
async fn a_pod_without_an_identity_is_told_so() {
    let (world, issuer) = Issuer::shared().await;
    let space = world.space("agent").await;
    let pod = space.working("work").await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let client = agent.client().await;
    let refused = timeout(PATIENCE, client.fetch_x509_svid()).await.unwrap();
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("NoIdentity"), "{refused}");
    // And served as soon as there is one.
    space
        .create_identity(&workload("reader", "jobs.batch/work", &json!({})))
        .await;
    let svid = timeout(PATIENCE, client.fetch_x509_svid()).await.unwrap();
    let reader = space.until_ready("reader").await;
    assert_eq!(svid.unwrap().spiffe_id().to_string(), spiffe_id(&reader));
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_workload_api_goes_on() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let token = space.token(&pod).await;
    let Some(agent) = Agent::start_on_a_full_disk(world, issuer, &token).await else {
        return;
    };
    let svid = agent.client().await.fetch_x509_svid().await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), id);
    eventually("a word about the files", async || {
        let log = agent.log();
        log.contains("the files can't be written: No space left on device")
            .then_some(())
    })
    .await;
    let again = agent.client().await.fetch_x509_svid().await.unwrap();
    assert_eq!(again.spiffe_id().to_string(), id);
}

#[tokio::test]
async fn what_happened_while_the_endpoint_was_away_is_heard_when_it_is_back() {
    let world = World::shared().await;
    let first = Issuer::start(world, "away", &[]);
    let address = first.address.clone();
    first.ready().await;
    let (space, pod, id) = setting(world).await;
    let agent = Agent::start(world, &first, &space.token(&pod).await).await;
    let client = agent.client().await;
    let mut svids = client.stream_x509_svids().await.unwrap();
    let svid = timeout(PATIENCE, svids.next()).await.unwrap().unwrap();
    assert_eq!(svid.unwrap().spiffe_id().to_string(), id);
    drop(first); // SIGKILL
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    // Silence is no revocation.
    assert!(timeout(Duration::from_secs(3), svids.next()).await.is_err());
    client.fetch_x509_svid().await.unwrap();
    let second = Issuer::start(world, "back", &["--listen", &address]);
    second.ready().await;
    let back = Instant::now();
    let ended = async { while matches!(svids.next().await, Some(Ok(_))) {} };
    timeout(PATIENCE, ended).await.unwrap();
    eprintln!(
        "from the endpoint's return to the end of the stream: {:?}",
        back.elapsed()
    );
    assert!(client.fetch_x509_svid().await.is_err());
}
