//! Delegations to agents of other namespaces.

use countersign_api::{ACCEPT_DELEGATIONS_LABEL, Delegation};
use serde_json::{Value, json};

use super::setting::{bundle_json, but, digest, hop, root, status, verified};
use crate::harness::{Space, World};
use crate::support::{find, is, label_namespace};

/// Two namespaces, with `planner` in the first, who holds a delegation, and `clerk` and `reader` in
/// the second.
async fn two(world: &World, accepts: Value) -> (Space, Space) {
    let (near, far) = (world.space("near").await, world.space("far").await);
    near.agents(&["planner"]).await;
    near.chain(&["planner"]).await;
    far.agents(&["clerk", "reader"]).await;
    accept(&far, accepts).await;
    (near, far)
}

async fn accept(space: &Space, value: Value) {
    label_namespace(space, json!({ACCEPT_DELEGATIONS_LABEL: value})).await;
}

fn across(name: &str, far: &Space) -> Value {
    let to = json!({"to": {"namespace": far.name}});
    but(hop(name, "to-planner", "planner", "clerk"), to)
}

fn below(near: &Space) -> Value {
    let parent = json!({"parentRef": {"namespace": near.name}});
    but(hop("to-reader", "to-clerk", "clerk", "reader"), parent)
}

async fn no_owner_reference(space: &Space, name: &str) {
    // It would come right after the status.
    space
        .stays(name, |it| it.metadata.owner_references.is_none())
        .await;
}

#[tokio::test]
async fn another_namespace_takes_delegations_only_by_its_label() {
    let world = World::shared().await;
    let (near, far) = two(world, Value::Null).await;
    near.delegate(across("to-clerk", &far)).await;
    let message = near
        .until_not_granted("to-clerk", "NamespaceNotAccepting")
        .await;
    assert!(
        message.contains(&far.name) && message.contains(ACCEPT_DELEGATIONS_LABEL),
        "{message}"
    );
    for not_true in ["false", "yes", "True", ""] {
        accept(&far, json!(not_true)).await;
        near.stays("to-clerk", |it| is(it, "Stalled")).await;
    }
    accept(&far, json!("true")).await;
    near.until_in_force("to-clerk").await;
}

#[tokio::test]
async fn a_chain_across_namespaces_is_in_force_and_kubernetes_collects_none_of_it() {
    let world = World::shared().await;
    let (near, far) = two(world, json!("true")).await;
    near.delegate(across("to-clerk", &far)).await;
    let it = near.until_in_force("to-clerk").await;
    assert_eq!(status(&it).delegate.as_ref().unwrap().namespace, far.name);
    far.delegate(below(&near)).await;
    let it = far.until_in_force("to-reader").await;
    assert_eq!(status(&it).parent.as_ref().unwrap().namespace, near.name);
    let chain = verified(&it, &bundle_json(&far.client).await);
    assert_eq!(chain.hops().count(), 4);
    no_owner_reference(&far, "to-reader").await;

    // The parent goes, and nobody collects the child: the operator ends it.
    crate::support::delete(&near.delegations(), "to-clerk").await;
    far.until_ended("to-reader", &["ParentEnded"]).await;
}

#[tokio::test]
async fn a_namespace_that_takes_no_more_puts_what_it_took_out_of_force() {
    let world = World::shared().await;
    let (near, far) = two(world, json!("true")).await;
    near.delegate(across("to-clerk", &far)).await;
    let before = near.until_in_force("to-clerk").await;
    far.delegate(below(&near)).await;
    far.until_in_force("to-reader").await;

    accept(&far, Value::Null).await;
    near.until_reason("to-clerk", "Stalled", &["NamespaceNotAccepting"])
        .await;
    let not_ready = |it: &Delegation| find(it, "Ready").is_some_and(|it| it.status == "False");
    near.until_delegation("to-clerk", "out of force", not_ready)
        .await;
    far.until_delegation("to-reader", "out of force", not_ready)
        .await;

    accept(&far, json!("true")).await;
    let after = near.until_in_force("to-clerk").await;
    assert_eq!(digest(&after), digest(&before), "it is the same statement");
    far.until_in_force("to-reader").await;
}

#[tokio::test]
async fn a_root_is_where_its_delegate_is_and_needs_no_label() {
    let world = World::shared().await;
    let (_, far) = two(world, Value::Null).await;
    far.delegate(root("own", "clerk")).await;
    far.until_in_force("own").await;
    // A namespace of the same name as one's own is one's own.
    let named =
        json!({"to": {"namespace": far.name}, "parentRef": {"name": "own", "namespace": far.name}});
    far.delegate(but(hop("named", "own", "clerk", "reader"), named))
        .await;
    far.until_in_force("named").await;
}

#[tokio::test]
async fn an_agent_of_the_delegates_name_in_another_namespace_hands_nothing_on() {
    let world = World::shared().await;
    let (near, far) = two(world, json!("true")).await;
    far.agents(&["planner"]).await; // the other one holds `to-planner`
    let parent = json!({"parentRef": {"namespace": near.name}});
    let theirs = but(hop("theirs", "to-planner", "planner", "clerk"), parent);
    far.delegate(theirs).await;
    far.until_not_granted("theirs", "NotTheDelegate").await;
}
