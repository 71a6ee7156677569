//! What clients add to kube's.

use std::time::Duration;

use countersign_runtime::{
    Clock, WriteError, is_already_exists, is_conflict, is_not_found, server_time, within,
};
use countersign_testbed::{FaultProxy, ProxyOptions, shared};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::clients;

#[tokio::test]
async fn a_clock_that_is_off_is_found_by_the_servers_date() {
    let plane = shared().await.unwrap();
    let client = clients(plane.config().unwrap()).reads;
    let minute = jiff::SignedDuration::from_mins(1);
    let time = server_time(&client).await.unwrap();
    assert!(time.skew_of(Clock::system().now()).at_least().is_zero());
    let off = time.skew_of(Clock::shifted(minute).now());
    assert!(off.least <= minute && minute <= off.most, "{off:?}");
    assert!(off.at_least().as_secs() >= 57, "{off:?}");
}

#[tokio::test]
async fn errors_are_told_apart() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("errors").await.unwrap();
    let client = clients(plane.config().unwrap()).writes;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let map = serde_json::from_value(json!({"metadata": {"name": "map"}})).unwrap();
    let params = PostParams::default();
    assert!(is_not_found(&maps.get("map").await.unwrap_err()));
    let made = maps.create(&params, &map).await.unwrap();
    let taken = maps.create(&params, &map).await.unwrap_err();
    assert!(is_already_exists(&taken) && !is_conflict(&taken));
    let mut changed = made.clone();
    changed.data = Some([("a".to_owned(), "1".to_owned())].into());
    maps.replace("map", &params, &changed).await.unwrap();
    let stale = maps.replace("map", &params, &made).await.unwrap_err();
    assert!(is_conflict(&stale) && !is_already_exists(&stale));
    assert!(!WriteError::Kube(stale).may_have_happened());
}

#[tokio::test]
async fn a_write_ends_at_its_limit_and_tells_nothing() {
    let limit = Duration::from_millis(200);
    let start = Instant::now();
    let error = within(limit, async {
        sleep(Duration::from_secs(60)).await;
        kube::Result::Ok(())
    })
    .await
    .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(error.may_have_happened());
}

#[tokio::test]
async fn a_write_over_a_cut_connection_may_have_happened() {
    let plane = shared().await.unwrap();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(clients(proxy.config()).writes, "default");
    proxy.cut();
    let map = serde_json::from_value(json!({"metadata": {"name": "cut"}})).unwrap();
    let params = PostParams::default();
    let write = maps.create(&params, &map);
    let error = within(Duration::from_secs(10), write).await.unwrap_err();
    assert!(matches!(error, WriteError::Kube(_)), "{error}");
    assert!(error.may_have_happened());
}
