//! Faults on demand.

use std::pin::pin;
use std::time::Duration;

use countersign_testbed::{Deliver, FaultProxy, ProxyOptions, shared};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;

#[tokio::test]
async fn a_delivered_cut_loses_only_the_answer() {
    let (proxy, maps) = proxy("delivered").await;
    create(&maps, "before").await.unwrap();
    proxy.cut_after(2, Deliver::Yes);
    create(&maps, "first").await.unwrap();
    create(&maps, "second").await.unwrap_err();
    proxy.until_cut().await;
    assert!(
        maps.get("before").await.is_err(),
        "something passed the cut"
    );
    proxy.heal();
    maps.get("second").await.unwrap();
    assert_eq!(proxy.mutations(), 3);
}

#[tokio::test]
async fn an_undelivered_cut_loses_the_request() {
    let (proxy, maps) = proxy("undelivered").await;
    proxy.cut_after(1, Deliver::No);
    create(&maps, "lost").await.unwrap_err();
    assert!(proxy.is_cut());
    proxy.heal();
    assert!(maps.get_opt("lost").await.unwrap().is_none());
    create(&maps, "found").await.unwrap();
}

#[tokio::test]
async fn a_cut_ends_watches() {
    let (proxy, maps) = proxy("watch-cut").await;
    let version = maps
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version;
    let watch = maps
        .watch(&WatchParams::default(), &version.unwrap())
        .await
        .unwrap();
    let mut watch = pin!(watch);
    proxy.cut();
    let end = timeout(Duration::from_secs(5), watch.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn held_watches_are_silent_and_then_catch_up() {
    let (proxy, maps) = proxy("held").await;
    let version = maps
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version;
    let watch = maps
        .watch(&WatchParams::default(), &version.unwrap())
        .await
        .unwrap();
    let mut watch = pin!(watch);

    proxy.hold_watches();
    create(&maps, "held").await.unwrap();
    let silence = timeout(Duration::from_millis(300), watch.try_next()).await;
    assert!(silence.is_err(), "{silence:?}");

    proxy.release_watches();
    let event = timeout(Duration::from_secs(5), watch.try_next())
        .await
        .unwrap();
    let event = event.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Added(map) if name(map) == "held"),
        "{event:?}"
    );
}

#[tokio::test]
async fn leases_are_seen_and_not_counted() {
    let (proxy, maps) = proxy("leases").await;
    let client = maps.into_client();
    create(&Api::<Lease>::default_namespaced(client), "a")
        .await
        .unwrap();
    assert_eq!(proxy.mutations(), 0);
    let seen = proxy.requests();
    assert!(
        seen.iter()
            .any(|seen| seen.method == "POST" && seen.path.ends_with("/leases"))
    );
}

/// A proxy, and a client of it for a namespace of its own.
async fn proxy(prefix: &str) -> (FaultProxy, Api<ConfigMap>) {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace(prefix).await.unwrap();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let mut config = proxy.config();
    config.default_retry = false;
    config.default_namespace = namespace;
    let client = kube::Client::try_from(config).unwrap();
    (proxy, Api::default_namespaced(client))
}

async fn create<K>(api: &Api<K>, name: &str) -> kube::Result<K>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    api.create(&PostParams::default(), &object).await
}

fn name(map: &ConfigMap) -> &str {
    map.metadata.name.as_deref().unwrap()
}
