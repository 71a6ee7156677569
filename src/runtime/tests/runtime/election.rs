//! Who leads.

use std::time::Duration;

use countersign_runtime::{Candidate, Leadership};
use countersign_testbed::{FaultProxy, ProxyOptions, shared};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::{SOON, clients, until};

/// Two candidates, the first leads.
struct Race {
    namespace: String,
    first: Leadership,
    second: Leadership,
    proxy: FaultProxy,
    running: JoinSet<std::convert::Infallible>,
}

async fn race(name: &str) -> Race {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace(name).await.unwrap();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let candidate = |config| {
        let candidate = Candidate::new(&namespace, "leader");
        Leadership::new(clients(config).writes, candidate)
    };
    let first = candidate(proxy.config());
    let second = candidate(plane.config().unwrap());
    let mut running = JoinSet::new();
    running.spawn(first.clone().run());
    until("the first leads", SOON, async || first.is_leader()).await;
    running.spawn(second.clone().run());
    Race {
        namespace,
        first,
        second,
        proxy,
        running,
    }
}

#[tokio::test]
async fn of_two_candidates_one_leads_and_renews() {
    let race = race("one-leads").await;
    let deadline = race.first.deadline().unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(11) {
        assert!(race.first.is_leader());
        assert!(!race.second.is_leader());
        sleep(Duration::from_millis(50)).await;
    }
    assert!(race.first.deadline().unwrap() > deadline + Duration::from_secs(8));
    assert!(race.second.permit().is_err());
    let client = shared().await.unwrap().client().await.unwrap();
    let leases: Api<Lease> = Api::namespaced(client, &race.namespace);
    let spec = leases.get("leader").await.unwrap().spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(1));
    assert_eq!(spec.lease_duration_seconds, Some(10));
}

#[tokio::test]
async fn a_release_hands_over_at_once_and_for_good() {
    let race = race("release").await;
    let mut changes = race.first.changes();
    race.first.release().await;
    assert!(!race.first.is_leader());
    assert!(!*changes.borrow_and_update());
    let released = Instant::now();
    let second = &race.second;
    until("the second leads", SOON, async || second.is_leader()).await;
    assert!(
        released.elapsed() < Duration::from_secs(1),
        "{:?}",
        released.elapsed()
    );
    race.second.release().await;
    sleep(Duration::from_secs(2)).await;
    assert!(!race.first.is_leader(), "it came back after its release");
}

#[tokio::test]
async fn who_is_cut_off_loses_its_permit_before_another_leads() {
    let race = race("cut-off").await;
    let mut told = race.first.changes();
    told.mark_unchanged();
    race.proxy.cut();
    let cut = Instant::now();
    let permit = race.first.permit().unwrap();
    until("the second leads", SOON, async || {
        let second = race.second.is_leader(); // in this order: the first must be out before
        assert!(!(second && race.first.is_leader()), "two lead");
        second
    })
    .await;
    assert!(!permit.is_valid());
    assert!(!*told.borrow_and_update(), "nobody was told");
    let took = cut.elapsed();
    assert!(took < Duration::from_secs(13), "{took:?}");
    race.proxy.heal();
    sleep(Duration::from_secs(3)).await;
    assert!(race.second.is_leader() && !race.first.is_leader());
}

#[tokio::test]
async fn a_leader_outlives_a_short_cut() {
    let mut race = race("short-cut").await;
    race.proxy.cut();
    sleep(Duration::from_secs(4)).await;
    assert!(race.first.is_leader());
    race.proxy.heal();
    sleep(Duration::from_secs(8)).await;
    assert!(race.first.is_leader() && !race.second.is_leader());
    race.running.shutdown().await;
}

#[tokio::test]
async fn a_lease_deleted_by_hand_stays_with_its_leader() {
    let race = race("deleted").await;
    sleep(Duration::from_secs(1)).await; // the second has seen it
    let client = shared().await.unwrap().client().await.unwrap();
    let leases: Api<Lease> = Api::namespaced(client, &race.namespace);
    leases
        .delete("leader", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        assert!(race.first.is_leader() && !race.second.is_leader());
        sleep(Duration::from_millis(50)).await;
    }
    leases.get("leader").await.unwrap();
}
