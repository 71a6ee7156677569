//! A watch that hangs is seen.

use std::pin::pin;
use std::time::Duration;

use countersign_runtime::{Clients, WatchProgress};
use countersign_testbed::{FaultProxy, ProxyOptions, shared};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{PostParams, WatchParams};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::{SOON, until};

#[tokio::test]
async fn a_held_watch_stalls_while_the_others_go_on() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("progress").await.unwrap();
    let progress = WatchProgress::new();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let client = Clients::connect(proxy.config(), &progress).unwrap().reads;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    assert_eq!(progress.stalest(), None);
    let mut tasks = JoinSet::new();
    let watched = maps.clone();
    tasks.spawn(async move {
        let events = watched.watch(&WatchParams::default(), "0").await.unwrap();
        let mut events = pin!(events);
        while events.next().await.is_some() {}
    });
    let writer = Api::<ConfigMap>::namespaced(plane.client().await.unwrap(), &namespace);
    tasks.spawn(async move {
        for n in 0.. {
            let map = json!({"metadata": {"name": format!("map-{n}")}});
            let map = serde_json::from_value(map).unwrap();
            writer.create(&PostParams::default(), &map).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    });
    let bound = Duration::from_millis(1500);
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        assert!(progress.is_healthy(bound), "{:?}", progress.stalest());
    }
    proxy.hold_watches();
    until("the watch stalls", SOON, async || {
        !progress.is_healthy(bound)
    })
    .await;
    assert_eq!(progress.stalest().unwrap().0, path);
    proxy.release_watches();
    until("it moves again", SOON, async || progress.is_healthy(bound)).await;
    proxy.cut();
    until("it ends", SOON, async || progress.stalest().is_none()).await;
}
