//! The operator isn't there while the world goes on.

use std::time::{Duration, Instant};

use countersign_api::AgentOwner;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::crowd::{agent, is_ready};
use crate::harness::{DOMAIN, PATIENCE, Space, World, condition, eventually, owner, within};

const EVERYWHERE: &[&str] = &["--secret-namespaces", "*"];
/// From the start of the process on two busy cores.
const RETURN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_ended_while_the_operator_was_down_is_gone_soon_after_its_return() {
    const ALL: [&str; 9] = [
        "done",
        "failed",
        "deleted",
        "replaced",
        "revoked",
        "suspended",
        "departed",
        "dropped",
        "stays",
    ];
    let world = World::own().await;
    let space = world.space("down").await;
    let owners: Api<AgentOwner> = Api::all(space.client.clone());
    let params = PostParams::default();
    owners.create(&params, &owner("leaver")).await.unwrap();
    let mut operator = world.operator("before", EVERYWHERE);
    for name in ALL {
        space.create_pod(name).await;
        let mut identity = agent(name);
        if name == "departed" {
            identity.spec.owner_ref.name = "leaver".to_owned();
        }
        space.create_identity(&identity).await;
    }
    space
        .until_count(PATIENCE, ALL.len(), "Ready", is_ready)
        .await;
    let before = space.assert_in_order().await;
    assert!(operator.stop().success());

    space.finish_pod("done", "Succeeded").await;
    space.finish_pod("failed", "Failed").await;
    space.delete_pod("deleted").await;
    space.replace_pod("replaced").await;
    for (name, state) in [("revoked", "Revoked"), ("suspended", "Suspended")] {
        let patch = json!({"spec": {"desiredState": state}});
        space.patch(name, patch).await;
    }
    let departed = Patch::Merge(json!({"spec": {"desiredState": "Departed"}}));
    let params = PatchParams::default();
    owners.patch("leaver", &params, &departed).await.unwrap();
    space.delete("dropped").await;
    // Kubernetes' own collector takes what belonged to a task that is gone.
    space.until_no_secret("deleted-identity").await;
    space.until_no_secret("replaced-identity").await;
    assert_eq!(space.credentials().await.len(), ALL.len() - 2);

    let started = Instant::now();
    let operator = world.operator("after", EVERYWHERE);
    within(RETURN, "the credentials' end", async || {
        (space.credentials().await.len() == 1).then_some(())
    })
    .await;
    eprintln!("all were gone {:?} after the start", started.elapsed());
    for (name, reason) in [
        ("done", "TaskSucceeded"),
        ("failed", "TaskFailed"),
        ("deleted", "TaskDeleted"),
        ("replaced", "TaskReplaced"),
        ("revoked", "Revoked"),
        ("departed", "OwnerDeparted"),
    ] {
        assert_eq!(space.until_completed(name).await, reason, "{name}");
        let ready = condition(&space.get(name).await, "Ready");
        assert_eq!(ready, None, "{name}");
    }
    let suspended = space
        .until("suspended", "Suspended", |it| {
            condition(it, "Suspended").is_some_and(|(status, _)| status == "True")
        })
        .await;
    assert!(!is_ready(&suspended));
    let after = space.assert_in_order().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after["stays"], before["stays"], "issued once more");
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn a_namespace_is_deleted_while_the_operator_is_down_and_nothing_hangs() {
    let world = World::own().await;
    let space = world.space("doomed").await;
    let other = world.space("other").await;
    let mut operator = world.operator("before", EVERYWHERE);
    for name in ["one", "two", "three"] {
        space.create_agent(name).await;
    }
    other.create_agent("stays").await;
    space.until_count(PATIENCE, 3, "Ready", is_ready).await;
    other.until_ready("stays").await;
    let before = other.assert_in_order().await;
    operator.kill();

    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    let params = DeleteParams::default();
    namespaces.delete(&space.name, &params).await.unwrap();
    eventually("the namespace's end", async || {
        let found = namespaces.get_opt(&space.name).await.unwrap();
        found.is_none().then_some(())
    })
    .await;

    // Another of that name is another namespace.
    let operator = world.operator("after", EVERYWHERE);
    let again = again(&space, &namespaces).await;
    again.create_agent("one").await;
    again.until_ready("one").await;
    assert_eq!(again.assert_in_order().await.len(), 1);
    assert_eq!(other.assert_in_order().await, before, "issued once more");
    assert!(!operator.log().contains("panicked"));
}

async fn again(space: &Space, namespaces: &Api<Namespace>) -> Space {
    let labels = json!({"trust-domain": DOMAIN});
    let namespace = json!({"metadata": {"name": space.name, "labels": labels}});
    let namespace = serde_json::from_value(namespace).unwrap();
    let params = PostParams::default();
    namespaces.create(&params, &namespace).await.unwrap();
    Space {
        client: space.client.clone(),
        name: space.name.clone(),
    }
}
