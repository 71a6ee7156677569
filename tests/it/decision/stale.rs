//! Facts that may be old are none.

use std::time::Duration;

use countersign_api::TrustDomain;
use kube::api::{Api, DeleteParams};
use rustix::process::{Pid, Signal, kill_process};

use super::decider::{Decider, question};
use super::setting::{permit, set_cluster_policy, spiffe_id};
use crate::harness::{DOMAIN, World};

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn without_a_heartbeat_it_answers_until_the_bound_then_denies_and_comes_back() {
    let world = World::own().await;
    let operator = world.operator("own", &["--secret-namespaces", "*"]);
    set_cluster_policy(&world, "guard", &super::setting::guard()).await;
    let decider = Decider::start(&world, "own", &["--stale-after-seconds", "5"]);
    decider.ready().await;
    let space = world.space("decide").await;
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    send(operator.pid(), Signal::STOP);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(decider.ask(&asked).await.allowed, "not stale yet");
    decider.until(&asked, "NotReady").await;
    send(operator.pid(), Signal::CONT);
    decider.until(&asked, "Permitted").await;
    let other = Decider::start(&world, "restarted", &[]);
    other.ready().await;
    assert_eq!(other.until(&asked, "Permitted").await.reason, "Permitted");
}

#[tokio::test]
async fn a_policy_that_says_so_goes_on_until_certificates_expire() {
    let world = World::own().await;
    let operator = world.operator("own", &["--secret-namespaces", "*"]);
    let mut guard = super::setting::guard();
    guard["onStale"] = serde_json::json!("UntilCertificatesExpire");
    set_cluster_policy(&world, "guard", &guard).await;
    let decider = Decider::start(&world, "own", &["--stale-after-seconds", "5"]);
    decider.ready().await;
    let space = world.space("decide").await;
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    send(operator.pid(), Signal::STOP);
    let warned = async || decider.log().contains("denying").then_some(());
    crate::harness::eventually("it says that its facts are old", warned).await;
    assert!(decider.ask(&asked).await.allowed);
    send(operator.pid(), Signal::CONT);
}

#[tokio::test]
async fn the_lease_of_an_operator_that_is_gone_is_no_heartbeat() {
    let world = World::own().await;
    let operator = world.operator("own", &["--secret-namespaces", "*"]);
    set_cluster_policy(&world, "guard", &super::setting::guard()).await;
    let space = world.space("decide").await;
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    drop(operator); // SIGKILL: its lease stays
    let decider = Decider::start(&world, "own", &[]);
    let listening = async || decider.log().contains("answering").then_some(());
    crate::harness::eventually("it answers", listening).await;
    for _ in 0..30 {
        assert_eq!(decider.ask(&asked).await.reason, "NotReady");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let _operator = world.operator("own", &["--secret-namespaces", "*"]);
    decider.until(&asked, "Permitted").await;
}

#[tokio::test]
async fn agents_of_a_trust_domain_that_was_deleted_are_denied_though_its_bundle_stays() {
    let world = World::own().await;
    let _operator = world.operator("own", &["--secret-namespaces", "*"]);
    set_cluster_policy(&world, "guard", &super::setting::guard()).await;
    let decider = Decider::start(&world, "own", &[]);
    decider.ready().await;
    let space = world.space("decide").await;
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    let domains = Api::<TrustDomain>::all(world.client().await);
    let params = DeleteParams::default();
    domains.delete(DOMAIN, &params).await.unwrap();
    decider.until(&asked, "UnknownTrustDomain").await;
}
