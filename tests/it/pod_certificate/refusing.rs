//! What a pod doesn't get, and why.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use rcgen::{KeyPair, PKCS_ECDSA_P521_SHA512};
use serde_json::{Value, json};

use super::asker::hourly;
use super::setting::{NODE, Signing};

#[tokio::test]
async fn a_pod_of_no_identity_is_denied_in_the_end() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed("work").await;
    // One for another task, and one that is delivered otherwise.
    space.placed_for("other", "other").await;
    let secret =
        json!({"spec": {"credential": {"delivery": "Request", "request": {"pkcs10": "none"}}}});
    space
        .create_identity(&hourly("request", "work", &secret))
        .await;
    let name = space
        .ask(signing, &pod, &KeyPair::generate().unwrap())
        .await;
    let message = space.denied(&name, "NoIdentity").await;
    assert!(message.contains("make the pod anew"), "{message}");
}

#[tokio::test]
async fn nothing_is_issued_once_the_task_is_over_or_the_identity_revoked() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let key = KeyPair::generate().unwrap();
    let pod = space.placed_for("reader", "work").await;
    space.obtain(signing, &pod, &key).await;
    space.finish_job("work", "Succeeded").await;
    space.until_completed("reader").await;
    let name = space.ask(signing, &pod, &key).await;
    let message = space.denied(&name, "UnknownPod").await;
    assert!(message.contains("is over"), "{message}");
    // A pod that goes on, whatever became of its task.
    let running = Patch::Merge(json!({"status": {"phase": "Running"}}));
    let (pods, params) = (space.pods(), PatchParams::default());
    pods.patch_status(&pod.name_any(), &params, &running)
        .await
        .unwrap();
    let name = space.ask(signing, &pod, &key).await;
    space.denied(&name, "TaskOver").await;

    let pod = space.placed_for("writer", "more").await;
    space
        .patch("writer", json!({"spec": {"desiredState": "Revoked"}}))
        .await;
    space.until_completed("writer").await;
    let name = space.ask(signing, &pod, &key).await;
    space.denied(&name, "IdentityEnded").await;
}

#[tokio::test]
async fn the_hour_that_kubernetes_demands_must_be_allowed_by_the_identity() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    for (task, patch) in [
        (
            "short",
            json!({"spec": {"credential": {"certificateTTLSeconds": 600}}}),
        ),
        ("late", json!({"spec": {"activeDeadlineSeconds": 1800}})),
    ] {
        let pod = space.placed(task).await;
        space.create_identity(&hourly(task, task, &patch)).await;
        space.until_ready(task).await;
        let key = KeyPair::generate().unwrap();
        let name = space.ask(signing, &pod, &key).await;
        let message = space.denied(&name, "TTLOutOfBounds").await;
        assert!(message.contains("too short"), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_denied_with_the_reasons_of_the_api() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    let odd = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let name = space.ask(signing, &pod, &odd).await;
    let message = space.denied(&name, "UnsupportedKeyType").await;
    assert!(message.contains("ECDSAP256"), "{message}");
    let key = KeyPair::generate().unwrap();
    let unknown = json!({"spec": {"unverifiedUserAnnotations": {"example.com/spiffe-id": "x"}}});
    let name = space.ask_with(signing, &pod, &key, &unknown).await;
    let message = space
        .denied(&name, "InvalidUnverifiedUserAnnotations")
        .await;
    assert!(message.contains("countersign.dev/identity"), "{message}");
    // An identity of another task.
    space.placed_for("boss", "other").await;
    let boss = json!({"spec": {"unverifiedUserAnnotations": {"countersign.dev/identity": "boss"}}});
    let name = space.ask_with(signing, &pod, &key, &boss).await;
    space.denied(&name, "NoIdentity").await;
}

#[tokio::test]
async fn who_may_create_requests_and_is_no_node_is_not_believed() {
    let signing = Signing::shared().await;
    let space = signing.space().await;
    let pod = space.placed_for("reader", "work").await;
    let plain = json!({"metadata": {"name": "plain"}, "spec": {
        "nodeName": NODE, "containers": [{"name": "main", "image": "none"}],
    }});
    let plain: Pod = serde_json::from_value(plain).unwrap();
    let plain = space
        .pods()
        .create(&PostParams::default(), &plain)
        .await
        .unwrap();
    let key = KeyPair::generate().unwrap();
    let forge = async |pod: &Pod, patch: Value, words: &str| {
        let request = space.request(pod, &key, &patch).await;
        let name = space.ask_as(&space.client, &request).await.unwrap();
        let message = space.denied(&name, "UnknownPod").await;
        assert!(message.contains(words), "{message}");
    };
    forge(
        &pod,
        json!({"spec": {"serviceAccountName": "boss"}}),
        "service account",
    )
    .await;
    forge(&pod, json!({"spec": {"nodeName": "n2"}}), "node").await;
    forge(
        &pod,
        json!({"spec": {"podUID": "made-up"}}),
        "another of the same name",
    )
    .await;
    forge(&pod, json!({"spec": {"podName": "nobody"}}), "isn't there").await;
    forge(&plain, json!({}), "projected volume").await;
    let now = DeleteParams::default().grace_period(0);
    space.pods().delete(&plain.name_any(), &now).await.unwrap();
    forge(&plain, json!({}), "isn't there").await;
}
