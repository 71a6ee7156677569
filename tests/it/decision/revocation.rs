//! What ends is denied by the next answer.

use countersign_api::{AgentIdentity, Delegation};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::decider::{Decider, ask, delegated, question};
use super::setting::{permit, shared, spiffe_id};
use crate::harness::Space;

pub(super) async fn patch_identity(space: &Space, name: &str, desired: &str) -> AgentIdentity {
    let patch = json!({"spec": {"desiredState": desired}});
    space
        .identities()
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap()
}

/// An agent that is allowed something.
async fn allowed(space: &Space, decider: &Decider) -> Value {
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let asked = question(&agent, "read", "ledger/invoices/7");
    decider.until(&asked, "Permitted").await;
    asked
}

#[tokio::test]
async fn a_patch_a_finished_task_and_a_deletion_are_denied_on_an_open_connection() {
    let (world, decider) = shared().await;
    for (how, reasons) in [
        ("revoke", ["AgentEnded", "AgentEnded"]),
        ("suspend", ["AgentSuspended", "AgentSuspended"]),
        ("finish", ["AgentEnded", "AgentEnded"]),
        ("delete", ["UnknownAgent", "AgentEnded"]),
    ] {
        let space = world.space("decide").await;
        let asked = allowed(&space, decider).await;
        let mut open = decider.connect().await;
        assert!(ask(&mut open, &asked).await.allowed);
        match how {
            "revoke" => drop(patch_identity(&space, "reader", "Revoked").await),
            "suspend" => drop(patch_identity(&space, "reader", "Suspended").await),
            "finish" => space.finish_job("work", "Succeeded").await,
            _ => drop(
                space
                    .identities()
                    .delete("reader", &DeleteParams::default())
                    .await,
            ),
        }
        let told = decider.until_denied(&mut open, &asked).await;
        assert!(reasons.contains(&told.reason.as_str()), "{how}: {told:?}");
    }
}

#[tokio::test]
async fn a_suspended_agent_that_is_resumed_is_allowed_again() {
    let (world, decider) = shared().await;
    let space = world.space("decide").await;
    let asked = allowed(&space, decider).await;
    patch_identity(&space, "reader", "Suspended").await;
    decider.until(&asked, "AgentSuspended").await;
    patch_identity(&space, "reader", "Active").await;
    decider.until(&asked, "Permitted").await;
}

#[tokio::test]
async fn the_end_of_a_root_is_the_end_of_all_below_it() {
    let (world, decider) = shared().await;
    for how in ["revoke", "delete"] {
        let space = world.space("decide").await;
        space.set_policy("granted", &permit()).await;
        let names = ["planner", "worker", "reader"];
        let agents = space.agents(&names).await;
        let chain = space.chain(&names).await;
        let digest = chain[2].status.as_ref().unwrap().digest.clone().unwrap();
        let asked = delegated(&spiffe_id(&agents[2]), "read", "ledger/invoices/7", &digest);
        let mut open = decider.connect().await;
        decider.until(&asked, "Permitted").await;
        assert!(ask(&mut open, &asked).await.allowed);
        end(&space.delegations(), how).await;
        let told = decider.until_denied(&mut open, &asked).await;
        let good = ["DelegationEnded", "UnknownDelegation"];
        assert!(good.contains(&told.reason.as_str()), "{how}: {told:?}");
    }
}

async fn end(delegations: &kube::Api<Delegation>, how: &str) {
    match how {
        "revoke" => {
            let patch = Patch::Merge(json!({"spec": {"desiredState": "Revoked"}}));
            let params = PatchParams::default();
            let patched = delegations.patch("to-planner", &params, &patch);
            patched.await.unwrap();
        }
        _ => {
            let params = DeleteParams::default();
            let deleted = delegations.delete("to-planner", &params);
            deleted.await.unwrap();
        }
    }
}
