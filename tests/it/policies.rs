//! The admission policies: what is without them, and what comes back with them.

use countersign_api::AgentIdentity;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::harness::{DOMAIN, World, eventually, identity, job};
use crate::support::{delete, find, is, serial};

const STAMP: &str = "countersign-stamp-requester";

async fn until_closed(world: &World, reason: &str) -> String {
    let domain = world
        .until_domain(DOMAIN, reason, |it| {
            find(it, "PoliciesInstalled").is_some_and(|it| it.reason == reason)
        })
        .await;
    find(&domain, "PoliciesInstalled").unwrap().message
}

async fn until_open(world: &World) {
    world
        .until_domain(DOMAIN, "open", |it| is(it, "PoliciesInstalled"))
        .await;
}

async fn apply(world: &World) {
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", crds];
    world.plane().kubectl(&apply).await.unwrap();
}

/// A policy just created is not enforced for a moment; in it an identity isn't stamped.
async fn until_stamped(world: &World) {
    let probes = Api::<AgentIdentity>::namespaced(world.client().await, "default");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the stamp", async || {
        let answer = probes
            .create(&dry, &identity("probe", "jobs.batch/probe"))
            .await
            .ok()?;
        answer.spec.requester.map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn without_the_policies_nothing_is_issued_and_with_them_only_what_came_after() {
    let world = World::own().await;
    let _operator = world.operator("policies", &["--secret-namespaces", "*"]);
    until_open(&world).await;
    let space = world.space("policies").await;
    let before = space.running("before", json!({})).await;
    let client = world.client().await;

    // Gone: the binding, without which the policy does nothing.
    delete(
        &Api::<MutatingAdmissionPolicyBinding>::all(client.clone()),
        STAMP,
    )
    .await;
    let message = until_closed(&world, "PoliciesMissing").await;
    assert!(
        message.contains(&format!("MutatingAdmissionPolicyBinding/{STAMP}")),
        "{message}"
    );
    assert!(message.contains("kubectl apply --server-side"), "{message}");
    let shorter = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("before", shorter).await;
    space.until_refused("before", "PoliciesMissing").await;
    let it = space.get("before").await;
    assert!(is(&it, "Ready"), "what is good stays");
    assert_eq!(serial(&it), serial(&before), "and isn't renewed");
    // Retirement goes on.
    space.finish_job("before-job", "Succeeded").await;
    space.until_no_secret("before-identity").await;

    // With the check of the stamp gone too, anybody can claim to be anybody.
    let validating = Api::<ValidatingAdmissionPolicy>::all(client.clone());
    delete(&validating, "countersign-check-requester").await;
    space.create_job(&job("work")).await;
    let forged = crate::support::with(
        &identity("forged", "jobs.batch/work"),
        &json!({"spec": {"requester": {"username": "admin", "groups": ["system:masters"]}}}),
    );
    eventually("a time without checks", async || {
        space
            .identities()
            .create(&PostParams::default(), &forged)
            .await
            .ok()
    })
    .await;
    space.until_refused("forged", "PoliciesMissing").await;
    assert!(space.secret("forged-identity").await.is_none());

    // What was made meanwhile stays refused when they are back: nobody knows who asked for it.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await; // times are in seconds
    apply(&world).await;
    until_open(&world).await;
    until_stamped(&world).await;
    let message = space.until_refused("forged", "RequesterUnverified").await;
    assert!(message.contains("create it again"), "{message}");
    assert!(space.secret("forged-identity").await.is_none());
    space
        .create_identity(&identity("after", "jobs.batch/work"))
        .await;
    space.until_ready("after").await;

    // Altered: as it was shipped but for who it applies to.
    let mutating = Api::<MutatingAdmissionPolicy>::all(client);
    let never = json!({"spec": {"matchConditions": [{"name": "never", "expression": "false"}]}});
    mutating
        .patch(STAMP, &PatchParams::default(), &Patch::Merge(never))
        .await
        .unwrap();
    let message = until_closed(&world, "PoliciesAltered").await;
    assert!(message.contains(STAMP), "{message}");
    space.until_refused("after", "PoliciesAltered").await;
    assert!(is(&space.get("after").await, "Ready"));
    assert!(message.contains("delete them and apply"), "{message}");
    delete(&mutating, STAMP).await;
    apply(&world).await;
    until_open(&world).await;
    let served = eventually("one that is stamped", async || {
        let name = crate::support::unique("again");
        let object = identity(&name, "jobs.batch/work");
        space
            .identities()
            .create(&PostParams::default(), &object)
            .await
            .ok()?;
        let it = space
            .until(&name, "judged", |it| is(it, "Ready") || is(it, "Stalled"))
            .await;
        is(&it, "Ready").then_some(it)
    })
    .await;
    assert!(!serial(&served).is_empty());
}
