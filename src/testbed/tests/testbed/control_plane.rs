//! What the shared control plane can do.

use std::time::{Duration, Instant};

use countersign_testbed::shared;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

#[tokio::test]
async fn a_job_completes_when_its_pod_is_marked_succeeded() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("job").await.unwrap();
    let client = plane.client().await.unwrap();
    let jobs = Api::<Job>::namespaced(client.clone(), &namespace);
    let job = serde_json::from_value(json!({
        "metadata": {"name": "work"},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "none"}],
        }}},
    }));
    jobs.create(&PostParams::default(), &job.unwrap())
        .await
        .unwrap();

    let pods = Api::<Pod>::namespaced(client, &namespace);
    let pod = eventually("the Job's pod", async || {
        let all = pods.list(&ListParams::default()).await.unwrap();
        all.items.into_iter().next()?.metadata.name
    })
    .await;
    let succeeded = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    pods.patch_status(&pod, &PatchParams::default(), &succeeded)
        .await
        .unwrap();

    eventually("the condition Complete", async || {
        let status = jobs.get("work").await.unwrap().status?;
        let mut conditions = status.conditions?.into_iter();
        conditions.find(|condition| condition.type_ == "Complete" && condition.status == "True")
    })
    .await;
}

#[tokio::test]
async fn kubectl_speaks_to_it_and_tells_why_it_fails() {
    let plane = shared().await.unwrap();
    let namespace = plane.namespace("kubectl").await.unwrap();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace},
    });
    let apply = ["apply", "--server-side", "-f", "-"];
    plane
        .kubectl_with_input(&apply, &object.to_string())
        .await
        .unwrap();
    let names = ["get", "configmap", "a", "-n", &namespace, "-o", "name"];
    assert_eq!(plane.kubectl(&names).await.unwrap().trim(), "configmap/a");

    let error = plane.kubectl(&["get", "nonsense"]).await.unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[tokio::test]
async fn its_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let plane = shared().await.unwrap();
    for path in [plane.kubeconfig(), plane.dir().join("tokens.csv")] {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

/// Asks until there is an answer, for 20 s at most.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{what} doesn't come"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
