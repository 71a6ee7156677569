//! A store follows the API server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign_runtime::{ObjectKey, Store, WatchMetrics, watch_into};
use countersign_testbed::{ControlPlane, FaultProxy, Options, ProxyOptions, shared};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PartialObjectMeta, Patch, PatchParams};
use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{SOON, clients, until};

type Data = BTreeMap<String, String>;

/// A store of the data of ConfigMaps, and the news of it.
struct Followed {
    store: Arc<Store<Data>>,
    news: Arc<Mutex<Vec<String>>>,
    _running: JoinSet<std::convert::Infallible>,
}

fn follow(api: Api<ConfigMap>) -> Followed {
    let store = Arc::new(Store::new());
    let news = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&news);
    let changed = move |key: &ObjectKey, old: Option<&Arc<Data>>, new: Option<&Arc<Data>>| {
        let text = |data: Option<&Arc<Data>>| {
            data.and_then(|data| data.get("v").cloned())
                .unwrap_or_else(|| "-".to_owned())
        };
        let line = format!("{} {}>{}", key.name, text(old), text(new));
        told.lock().push(line);
    };
    let reduce = |map: ConfigMap| {
        assert!(map.metadata.managed_fields.is_none());
        map.data
            .filter(|_| map.metadata.name.as_deref() != Some("ignored"))
    };
    let into = Arc::clone(&store);
    let mut running = JoinSet::new();
    let config = Config::default()
        .fields("metadata.name!=kube-root-ca.crt")
        .page_size(2);
    running.spawn(async move {
        watch_into(
            "maps",
            api,
            config,
            into,
            reduce,
            changed,
            WatchMetrics::default(),
        )
        .await
    });
    Followed {
        store,
        news,
        _running: running,
    }
}

async fn put(maps: &Api<ConfigMap>, name: &str, value: &str) {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name}, "data": {"v": value},
    });
    let params = PatchParams::apply("test");
    maps.patch(name, &params, &Patch::Apply(map)).await.unwrap();
}

async fn delete(maps: &Api<ConfigMap>, name: &str) {
    maps.delete(name, &DeleteParams::default()).await.unwrap();
}

impl Followed {
    async fn tells(&self, expected: &[&str]) {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let sorted = || {
            let mut news = self.news.lock().clone();
            news.sort_unstable();
            news
        };
        let start = tokio::time::Instant::now();
        while sorted() != expected {
            assert!(start.elapsed() < SOON, "{:?}, not {expected:?}", sorted());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.news.lock().clear();
    }
}

#[tokio::test]
async fn creates_changes_and_deletions_are_followed() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("follow").await.unwrap();
    let maps = Api::namespaced(clients(plane.config().unwrap()).reads, &namespace);
    for n in 0..5 {
        put(&maps, &format!("old-{n}"), "1").await;
    }
    put(&maps, "ignored", "1").await;
    let followed = follow(maps.clone());
    followed.store.wait_synced().await;
    assert_eq!(followed.store.len(), 5);
    followed
        .tells(&[
            "old-0 ->1",
            "old-1 ->1",
            "old-2 ->1",
            "old-3 ->1",
            "old-4 ->1",
        ])
        .await;
    put(&maps, "new", "1").await;
    put(&maps, "old-0", "2").await;
    maps.patch(
        "old-1",
        &PatchParams::default(),
        &Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}})),
    )
    .await
    .unwrap(); // what isn't in the reduced form is no news
    delete(&maps, "old-2").await;
    followed.tells(&["new ->1", "old-0 1>2", "old-2 1>-"]).await;
    let key = ObjectKey::new(Some(&namespace), "old-0");
    assert_eq!(followed.store.get(&key).unwrap()["v"], "2");
    assert_eq!(followed.store.trouble(), None);
}

#[tokio::test]
async fn what_happened_during_a_cut_is_made_up_for() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("cut").await.unwrap();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let maps = Api::namespaced(clients(plane.config().unwrap()).writes, &namespace);
    put(&maps, "kept", "1").await;
    put(&maps, "gone", "1").await;
    let followed = follow(Api::namespaced(clients(proxy.config()).reads, &namespace));
    followed.tells(&["kept ->1", "gone ->1"]).await;
    followed.store.wait_synced().await; // what is told comes before the end of the listing
    proxy.cut();
    delete(&maps, "gone").await;
    put(&maps, "made", "1").await;
    until("the trouble shows", SOON, async || {
        followed.store.trouble().is_some()
    })
    .await;
    let trouble = followed.store.trouble().unwrap();
    assert!(trouble.ever_synced && trouble.code.is_none(), "{trouble:?}");
    assert_eq!(followed.store.len(), 2, "what was known stays visible");
    proxy.heal();
    followed.tells(&["gone 1>-", "made ->1"]).await;
    assert_eq!(followed.store.trouble(), None);
}

#[tokio::test]
async fn a_trouble_ends_with_the_next_watch_even_if_nothing_changes() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("quiet").await.unwrap();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let followed = follow(Api::namespaced(clients(proxy.config()).reads, &namespace));
    followed.store.wait_synced().await;
    let store = &followed.store;
    proxy.cut();
    until("the trouble shows", SOON, async || {
        store.trouble().is_some()
    })
    .await;
    proxy.heal();
    until("it ends", SOON, async || store.trouble().is_none()).await;
}

#[tokio::test]
async fn a_restarted_and_compacted_api_server_is_followed_on() {
    // Its own: the others' tests don't expect a restart.
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let maps = Api::default_namespaced(clients(plane.config().unwrap()).reads);
    put(&maps, "kept", "1").await;
    put(&maps, "gone", "1").await;
    let proxy = FaultProxy::start(&plane, ProxyOptions::default()).unwrap();
    let followed = follow(Api::default_namespaced(clients(proxy.config()).reads));
    followed.tells(&["kept ->1", "gone ->1"]).await;
    proxy.cut();
    delete(&maps, "gone").await;
    put(&maps, "kept", "2").await;
    plane.compact_etcd().await.unwrap();
    plane.restart_api_server().await.unwrap();
    proxy.heal();
    followed.tells(&["kept 1>2", "gone 1>-"]).await;
    put(&maps, "kept", "3").await;
    followed.tells(&["kept 2>3"]).await;
    proxy.release_watches();
}

#[tokio::test]
async fn a_hung_watch_is_given_up() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("hung").await.unwrap();
    let proxy = FaultProxy::start(plane, ProxyOptions::default()).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(clients(proxy.config()).reads, &namespace);
    let store = Arc::new(Store::<()>::new());
    let into = Arc::clone(&store);
    let mut running = JoinSet::new();
    running.spawn(async move {
        let config = Config::default().timeout(1);
        watch_into(
            "hung",
            api,
            config,
            into,
            |_| Some(()),
            |_, _, _| (),
            WatchMetrics::default(),
        )
        .await
    });
    store.wait_synced().await;
    proxy.hold_watches();
    until("the trouble shows", SOON, async || {
        store.trouble().is_some()
    })
    .await;
    assert!(store.trouble().unwrap().message.contains("hung"));
    proxy.release_watches();
    until("it ends", SOON, async || store.trouble().is_none()).await;
}

#[tokio::test]
async fn metadata_and_untyped_objects_are_followed_alike() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("untyped").await.unwrap();
    let client = clients(plane.config().unwrap()).reads;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    put(&maps, "map", "1").await;
    let kind = ApiResource::erase::<ConfigMap>(&());
    let partial: Api<PartialObjectMeta<DynamicObject>> =
        Api::namespaced_with(client.clone(), &namespace, &kind);
    let whole: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind);
    let (uids, values) = (Arc::new(Store::new()), Arc::new(Store::new()));
    let mut running = JoinSet::new();
    let into = Arc::clone(&uids);
    let config = Config::default().fields("metadata.name=map");
    running.spawn(watch_into(
        "partial",
        partial,
        config.clone(),
        into,
        |object: PartialObjectMeta<DynamicObject>| object.uid(),
        |_, _, _| (),
        WatchMetrics::default(),
    ));
    let into = Arc::clone(&values);
    running.spawn(watch_into(
        "whole",
        whole,
        config,
        into,
        |object: DynamicObject| object.data.pointer("/data/v").cloned(),
        |_, _, _| (),
        WatchMetrics::default(),
    ));
    let key = ObjectKey::new(Some(&namespace), "map");
    uids.wait_synced().await;
    values.wait_synced().await;
    assert_eq!(
        *uids.get(&key).unwrap(),
        maps.get("map").await.unwrap().uid().unwrap()
    );
    assert_eq!(*values.get(&key).unwrap(), json!("1"));
    put(&maps, "map", "2").await;
    until("it changes", SOON, async || {
        *values.get(&key).unwrap() == json!("2")
    })
    .await;
    delete(&maps, "map").await;
    until("it goes", SOON, async || {
        uids.is_empty() && values.is_empty()
    })
    .await;
}
