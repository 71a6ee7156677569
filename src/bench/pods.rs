//! Pods of tasks, and what they show to whoever issues.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::objects::{Delivery, NAMESPACE, Task, identities, identity};
use crate::sight::Sight;

/// What tokens are for.
const AUDIENCE: &str = "countersign";

/// A pod that may have certificates.
pub(crate) struct Pod {
    pub(crate) name: String,
    /// Bound to the pod, as a kubelet projects it.
    pub(crate) token: String,
}

/// Pods of these names, each with a task and an identity that is ready for it.
pub(crate) async fn with_identities(bed: &Bed, names: Vec<String>) -> Result<Vec<Pod>> {
    let tasks = bed.tasks(names).await?;
    let sight = Sight::ready(bed.api()).await?;
    let mut pods = Vec::new();
    for task in tasks {
        let ready = sight.expect(&task.name);
        bed.api().create(&identities(), &identity_of(&task)).await?;
        let uid = create(bed, &pod_of(&task)).await?;
        let token = token(bed, &task.name, &uid).await?;
        ready.seen().await?;
        pods.push(Pod {
            name: task.name,
            token,
        });
    }
    Ok(pods)
}

/// Certificates of an hour for the pods of this task.
pub(crate) fn identity_of(task: &Task) -> Value {
    let mut object = identity(&task.name, Delivery::Secret, "");
    object["spec"]["credential"] = json!({"delivery": "Workload", "certificateTTLSeconds": 3600});
    object
}

/// A pod that this task controls and nobody runs.
pub(crate) fn pod_of(task: &Task) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": task.name,
            "ownerReferences": [{
                "apiVersion": "bench.example/v1", "kind": "Task",
                "name": task.name, "uid": task.uid, "controller": true,
            }],
        },
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "none"}],
        },
    })
}

/// Makes a pod; gives its UID. A namespace has no service account in its first moments.
pub(crate) async fn create(bed: &Bed, pod: &Value) -> Result<String> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let started = Instant::now();
    let made: Value = loop {
        match bed.api().create_as(&path, pod).await {
            Err(_) if started.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => break other?,
        }
    };
    let uid = made.pointer("/metadata/uid").and_then(Value::as_str);
    Ok(uid.context("a pod has no UID")?.to_owned())
}

async fn token(bed: &Bed, pod: &str, uid: &str) -> Result<String> {
    let asked = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [AUDIENCE],
            "expirationSeconds": 3600,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid},
        },
    });
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token");
    let made: Value = bed.api().create_as(&path, &asked).await?;
    let token = made.pointer("/status/token").and_then(Value::as_str);
    Ok(token.context("no token")?.to_owned())
}
