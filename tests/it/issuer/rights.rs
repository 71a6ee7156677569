//! The endpoint with the rights of `examples/rbac` and no others.

use std::path::Path;

use countersign_issuing::State;
use serde_json::json;

use super::program::Issuer;
use super::workload;
use crate::decision::setting::spiffe_id;
use crate::harness::{DOMAIN, World, job};
use crate::least_rights::kubeconfig;
use crate::scraper::Reader;
use crate::support::{create, uid, with};
use crate::tasks::Kind;

#[tokio::test]
async fn the_rights_of_the_examples_are_enough_and_what_they_dont_show_is_no_pods() {
    let world = World::own().await;
    let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rbac");
    for file in ["operator.yaml", "issuing-endpoint.yaml", "metrics.yaml"] {
        let file = rights.join(file).display().to_string();
        let apply = ["apply", "--server-side", "-f", &file];
        world.plane().kubectl(&apply).await.unwrap();
    }
    let _operator = world.operator("operator", &["--issuing"]);
    world.until_domain_ready(DOMAIN).await;
    let issuer = Issuer::by(
        &kubeconfig(&world, "countersign-issue").await,
        world.plane().dir(),
        "narrow",
        &["--metrics-secure"],
    );
    issuer.ready().await;
    let reader = Reader::bound(&world, "issue").await;
    let page = reader.until(&issuer.metrics, 200).await.body;
    assert!(page.contains("countersign_issuing_connections "), "{page}");
    let sidecar = issuer.sidecar(&world).await;
    let space = world.space("rights").await;

    // Of a Job that a JobSet made: the Job is read, and it may be.
    let sets = Kind::new("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets");
    sets.install(&world).await;
    // Of one that the endpoint may not read, with something above it.
    let hidden = Kind::new("hidden.example", "v1", "Hidden", "hiddens");
    hidden.install(&world).await;
    let set = json!({
        "apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": "set"},
    });
    let set = create(&sets.tasks(&space), set).await.unwrap();
    let by_set = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet",
        "name": "set", "uid": uid(&set), "controller": true,
    }]}});
    space.create_job(&with(&job("work"), &by_set)).await;
    let object =
        json!({"apiVersion": "hidden.example/v1", "kind": "Hidden", "metadata": {"name": "it"}});
    let object = create(&hidden.tasks(&space), with(&object, &by_set)).await;
    let by_hidden = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "hidden.example/v1", "kind": "Hidden",
        "name": "it", "uid": uid(&object.unwrap()), "controller": true,
    }]}});
    space.create_job(&with(&job("other"), &by_hidden)).await;
    let task = "jobsets.jobset.x-k8s.io/set";
    space
        .create_identity(&workload("runner", task, &json!({})))
        .await;
    let runner = space.until_ready("runner").await;

    let pod = space.pod_of("work").await;
    let token = space.token(&space.a_pod(&pod).await).await;
    let issued = sidecar
        .issue_past(&token, &["NoIdentity", "UnknownPod"])
        .await;
    assert_eq!(issued.unwrap().spiffe_id, spiffe_id(&runner));
    let mut watching = sidecar.watch(&token).await.unwrap();
    let first = watching.message().await.unwrap().unwrap();
    assert_eq!(first.state(), State::Active);
    let pod = space.pod_of("other").await;
    let token = space.token(&space.a_pod(&pod).await).await;
    let refused = sidecar.issue_past(&token, &["UnknownPod"]).await;
    assert_eq!(refused.unwrap_err().1, "NoIdentity");
    let log = issuer.log();
    assert!(!log.contains("a watch failed"), "{log}");
    assert!(log.contains("may not be read"), "{log}");
}
