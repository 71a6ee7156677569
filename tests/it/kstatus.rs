//! What GitOps tools make of our objects: the rules of kstatus, which Flux and Helm go by
//! (sigs.k8s.io/cli-utils, pkg/kstatus/status).

use countersign_api::AgentIdentity;
use kube::api::Api;
use serde_json::{Value, json};

use crate::harness::{Space, World, identity, job};
use crate::support::{create, find, is, label_namespace, put_status, resource, with};

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Status {
    InProgress,
    Failed,
    Current,
    Terminating,
}

/// The generic rules, in their order; those of built-in kinds don't concern us.
fn kstatus(object: &impl serde::Serialize) -> Status {
    let object = serde_json::to_value(object).unwrap();
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Status::Terminating;
    }
    let observed = object
        .pointer("/status/observedGeneration")
        .and_then(Value::as_i64);
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64);
    if observed.is_some() && observed != generation {
        return Status::InProgress;
    }
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let conditions = conditions.cloned().unwrap_or_default();
    for condition in &conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Status::InProgress,
            (Some("Stalled"), Some("True")) => return Status::Failed,
            _ => {}
        }
    }
    match conditions.iter().find(|it| it["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Status::InProgress,
        _ => Status::Current,
    }
}

/// An object without conditions is Current to these tools, so there must never be one.
async fn assert_judged(space: &Space, name: &str, expected: Status) {
    let it = space.get(name).await;
    assert_eq!(kstatus(&it), expected, "{:#?}", it.status);
    let conditions = it.status.unwrap().conditions;
    assert!(!conditions.is_empty());
    for condition in conditions {
        assert!(condition.observed_generation.is_some());
        assert!(!condition.reason.is_empty() && !condition.message.is_empty());
    }
}

#[tokio::test]
async fn an_identity_is_in_progress_then_current_and_stays_so_after_its_end() {
    let world = World::shared().await;
    let space = world.space("kstatus").await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    space
        .until("reader", "waiting", |it| is(it, "Reconciling"))
        .await;
    assert_judged(&space, "reader", Status::InProgress).await;
    space.create_job(&job("work")).await;
    space.until_ready("reader").await;
    assert_judged(&space, "reader", Status::Current).await;
    space.finish_job("work", "Failed").await;
    space.until_completed("reader").await;
    assert_judged(&space, "reader", Status::Current).await;
}

#[tokio::test]
async fn a_suspended_identity_is_current_and_a_refused_one_has_failed() {
    let world = World::shared().await;
    let space = world.space("kstatus").await;
    space.running("reader", json!({})).await;
    space
        .patch("reader", json!({"spec": {"desiredState": "Suspended"}}))
        .await;
    space
        .until("reader", "suspended", |it| is(it, "Suspended"))
        .await;
    assert_judged(&space, "reader", Status::Current).await;

    space.running("kept", json!({})).await;
    let nobody = json!({"spec": {"ownerRef": {"name": "nobody"}}});
    space
        .create_identity(&with(&identity("refused", "jobs.batch/kept-job"), &nobody))
        .await;
    space.until_refused("refused", "UnknownOwner").await;
    assert_judged(&space, "refused", Status::Failed).await;

    label_namespace(&space, json!({"trust-domain": null})).await;
    space.until_refused("kept", "NamespaceNotAdmitted").await;
    assert!(is(&space.get("kept").await, "Ready"));
    assert_judged(&space, "kept", Status::Failed).await;
}

#[tokio::test]
async fn what_nobody_looked_at_is_in_progress() {
    let world = World::shared().await;
    let space = world.space("kstatus").await;
    let dry = kube::api::PostParams {
        dry_run: true,
        ..kube::api::PostParams::default()
    };
    let fresh = identity("fresh", "jobs.batch/work");
    let fresh = space.identities().create(&dry, &fresh).await.unwrap();
    assert_eq!(kstatus(&fresh), Status::InProgress);
    let ready = find(&fresh, "Ready").unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", "Pending")
    );

    let domains = Api::<countersign_api::TrustDomain>::all(world.client().await);
    let domain = domains
        .create(&dry, &crate::harness::trust_domain("fresh.example"))
        .await
        .unwrap();
    assert_eq!(kstatus(&domain), Status::InProgress);

    // Ready once, then changed: what was said of it counts no more.
    space.running("reader", json!({})).await;
    let patch = kube::api::Patch::Merge(json!({"spec": {"ttlSecondsAfterFinished": 7}}));
    let params = kube::api::PatchParams {
        dry_run: true,
        ..kube::api::PatchParams::default()
    };
    let changed: AgentIdentity = space
        .identities()
        .patch("reader", &params, &patch)
        .await
        .unwrap();
    assert_eq!(kstatus(&changed), Status::InProgress);
}

#[tokio::test]
async fn trust_domains_and_task_kinds_are_current_when_they_work_and_failed_when_not() {
    let world = World::shared().await;
    let good = world.domain("kstatus", json!({})).await;
    let domain = world.until_domain_ready(&good).await;
    assert_eq!(kstatus(&domain), Status::Current);
    let own = json!({"spec": {"authority": {"builtIn": null, "secretRef": {"name": "missing"}}}});
    let bad = world.domain("kstatus", own).await;
    let domain = world
        .until_domain(&bad, "Stalled", |it| is(it, "Stalled"))
        .await;
    assert_eq!(kstatus(&domain), Status::Failed);

    let kinds = Api::<countersign_api::TaskKind>::all(world.client().await);
    for (rule, expected) in [("true", Status::Current), ("object.", Status::Failed)] {
        let name = format!("{}.kstatus.example", crate::support::unique("things"));
        let object = json!({
            "metadata": {"name": name},
            "spec": {"version": "v1", "succeeded": rule},
        });
        create(&kinds, object).await.unwrap();
        let kind = crate::support::until(&kinds, &name, "judged", |it| {
            find(it, "Ready").is_some_and(|ready| ready.status != "Unknown")
        });
        assert_eq!(kstatus(&kind.await), expected);
    }
}

#[tokio::test]
async fn a_status_that_a_user_wrote_is_corrected() {
    let world = World::shared().await;
    let space = world.space("kstatus").await;
    space.running("reader", json!({})).await;
    let good = space.get("reader").await.status;
    let resource = resource(
        "countersign.dev",
        "v1alpha1",
        "AgentIdentity",
        "agentidentities",
    );
    let untyped = Api::namespaced_with(space.client.clone(), &space.name, &resource);
    // An admin may; nobody else is given the right.
    let lie = json!({"observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": "False", "reason": "Lie", "message": "a lie",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }]});
    put_status(&untyped, "reader", lie).await;
    let it = space
        .until("reader", "corrected", |it| is(it, "Ready"))
        .await;
    assert_eq!(it.status.unwrap().certificate, good.unwrap().certificate);
}
