//! What isn't installed, and what isn't allowed.

use std::sync::Arc;

use countersign_runtime::{Store, WatchMetrics, watch_into};
use countersign_testbed::shared;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use tokio::task::JoinSet;

use crate::{SOON, clients, until};

const CRD: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: latecomers.test.countersign.dev}
spec:
  group: test.countersign.dev
  scope: Namespaced
  names: {kind: Latecomer, plural: latecomers, singular: latecomer}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
"#;

fn follow(
    client: Client,
    kind: &GroupVersionKind,
    plural: &str,
) -> (Arc<Store<()>>, JoinSet<std::convert::Infallible>) {
    let resource = ApiResource::from_gvk_with_plural(kind, plural);
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
    let store = Arc::new(Store::new());
    let into = Arc::clone(&store);
    let mut running = JoinSet::new();
    running.spawn(watch_into(
        "late",
        api,
        Config::default(),
        into,
        |_| Some(()),
        |_, _, _| (),
        WatchMetrics::default(),
    ));
    (store, running)
}

#[tokio::test]
async fn a_missing_kind_is_a_trouble_until_it_is_installed() {
    let plane = shared().await.unwrap();
    let client = clients(plane.config().unwrap()).reads;
    let kind = GroupVersionKind::gvk("test.countersign.dev", "v1", "Latecomer");
    let (store, _running) = follow(client, &kind, "latecomers");
    until("the trouble shows", SOON, async || {
        store.trouble().is_some()
    })
    .await;
    let trouble = store.trouble().unwrap();
    assert_eq!(
        (trouble.code, trouble.ever_synced),
        (Some(404), false),
        "{trouble:?}"
    );
    assert!(!store.synced());
    plane
        .kubectl_with_input(&["apply", "-f", "-"], CRD)
        .await
        .unwrap();
    until("it is synced", SOON, async || store.synced()).await;
    assert_eq!(store.trouble(), None);
    let late = "{apiVersion: test.countersign.dev/v1, kind: Latecomer, metadata: {name: late, namespace: default}}";
    plane
        .kubectl_with_input(&["apply", "-f", "-"], late)
        .await
        .unwrap();
    until("its object is there", SOON, async || store.len() == 1).await;
    // A kind that is taken away again takes its objects with it.
    plane
        .kubectl_with_input(&["delete", "-f", "-"], CRD)
        .await
        .unwrap();
    until("its object is gone", SOON, async || store.is_empty()).await;
}

#[tokio::test]
async fn a_missing_permission_is_a_trouble_until_it_is_granted() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("nobody").await.unwrap();
    plane
        .kubectl(&["create", "serviceaccount", "nobody", "-n", &namespace])
        .await
        .unwrap();
    let token = plane
        .kubectl(&["create", "token", "nobody", "-n", &namespace])
        .await
        .unwrap();
    let mut config = plane.config().unwrap();
    config.auth_info.token = Some(token.trim().to_owned().into());
    config.auth_info.client_certificate_data = None;
    config.auth_info.client_key_data = None;
    let kind = GroupVersionKind::gvk("batch", "v1", "Job");
    let (store, _running) = follow(clients(config).reads, &kind, "jobs");
    until("the trouble shows", SOON, async || {
        store.trouble().is_some()
    })
    .await;
    assert_eq!(store.trouble().unwrap().code, Some(403));
    let account = format!("--serviceaccount={namespace}:nobody");
    plane
        .kubectl(&[
            "create",
            "clusterrolebinding",
            &namespace,
            "--clusterrole=view",
            &account,
        ])
        .await
        .unwrap();
    until("it is synced", SOON, async || {
        store.synced() && store.trouble().is_none()
    })
    .await;
}
