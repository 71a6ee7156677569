//! Whose pod it is, where what it says of its controllers is bent.

use kube::api::Api;
use serde_json::{Value, json};

use super::program::Issuer;
use super::{APod, workload};
use crate::decision::setting::spiffe_id;
use crate::harness::{Space, World};
use crate::support::{create, delete, uid, until, with};
use crate::tasks::Kind;

/// Stands between a Job and its pods.
const STEP: Kind = Kind::new("chain.example.com", "v1", "Step", "steps");
/// Of no object.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn owned(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({"metadata": {"ownerReferences": [{
        "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true,
    }]}})
}

impl Space {
    /// Gives its UID. The garbage collector deletes what has an owner that isn't there: it stays to be
    /// read all the same.
    async fn step(&self, name: &str, owner: &Value) -> String {
        let step = json!({
            "apiVersion": "chain.example.com/v1", "kind": "Step",
            "metadata": {"name": name, "finalizers": ["chain.example.com/stays"]},
        });
        let step = create(&STEP.tasks(self), with(&step, owner)).await.unwrap();
        uid(&step)
    }

    /// A pod that nobody schedules.
    async fn pod_owned(&self, name: &str, owner: &Value) -> APod {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]},
        });
        let pods = Api::namespaced(self.client.clone(), &self.name);
        let pod: k8s_openapi::api::core::v1::Pod = create(&pods, with(&pod, owner)).await.unwrap();
        APod {
            name: name.to_owned(),
            uid: uid(&pod),
        }
    }

    async fn pod_of_step(&self, step: &str, uid: &str) -> APod {
        let owner = owned("chain.example.com/v1", "Step", step, uid);
        self.pod_owned(&format!("of-{step}"), &owner).await
    }
}

#[tokio::test]
async fn an_owner_of_the_same_name_with_another_uid_breaks_the_chain() {
    let (world, issuer) = Issuer::shared().await;
    STEP.install(world).await;
    let space = world.space("chain").await;
    space.working("work").await;
    let job = uid(&space.jobs().get("work").await.unwrap());
    let by_job = owned("batch/v1", "Job", "work", &job);
    space
        .create_identity(&workload("reader", "jobs.batch/work", &json!({})))
        .await;
    let reader = space.until_ready("reader").await;

    // Job, first, honest, pod: each by its UID.
    let first = space.step("first", &by_job).await;
    let by_first = owned("chain.example.com/v1", "Step", "first", &first);
    let honest = space.step("honest", &by_first).await;
    let honest = space.pod_of_step("honest", &honest).await;
    // Names first, with the UID of nobody.
    let by_liar = owned("chain.example.com/v1", "Step", "first", NOBODY);
    let liar = space.step("liar", &by_liar).await;
    let liar = space.pod_of_step("liar", &liar).await;
    // Was made by one that was deleted, and made again by the Job under its name.
    let old = space.step("again", &by_job).await;
    let by_old = owned("chain.example.com/v1", "Step", "again", &old);
    let left = space.step("left", &by_old).await;
    let left = space.pod_of_step("left", &left).await;
    let steps = STEP.tasks(&space);
    delete(&steps, "again").await;
    let release = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let params = kube::api::PatchParams::default();
    steps.patch("again", &params, &release).await.unwrap();
    crate::support::until_gone(&steps, "again").await;
    assert_ne!(space.step("again", &by_job).await, old);
    until(&steps, "again", "the Job's", |it| {
        it.metadata.owner_references.is_some()
    })
    .await;

    let sidecar = issuer.sidecar(world).await;
    let token = space.token(&honest).await;
    let issued = sidecar
        .issue_past(&token, &["NoIdentity", "UnknownPod"])
        .await;
    assert_eq!(issued.unwrap().spiffe_id, spiffe_id(&reader));
    for pod in [liar, left] {
        let token = space.token(&pod).await;
        let refused = sidecar.issue_past(&token, &["UnknownPod"]).await;
        assert_eq!(refused.unwrap_err().1, "NoIdentity", "{}", pod.name);
    }
}

/// Not something that is prevented: who may create pods in a namespace may be any agent of it.
#[tokio::test]
async fn a_pod_is_believed_what_it_says_of_its_own_controller() {
    let (world, issuer): (&World, _) = Issuer::shared().await;
    let space = world.space("chain").await;
    let task = space.lone("task").await;
    space
        .create_identity(&workload("one", "pods/task", &json!({})))
        .await;
    let one = space.until_ready("one").await;
    let claims = owned("v1", "Pod", "task", &task.uid);
    let claims = space.pod_owned("claims", &claims).await;
    let sidecar = issuer.sidecar(world).await;
    let token = space.token(&claims).await;
    let issued = sidecar
        .issue_past(&token, &["NoIdentity", "UnknownPod"])
        .await;
    assert_eq!(issued.unwrap().spiffe_id, spiffe_id(&one));
}
