//! What a delegation shows while it is in force.

use countersign_api::Delegation;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::setting::{
    bundle_json, but, depends_on, digest, everything, hop, invoices, root, spiffe_id, status,
    verified,
};
use crate::harness::{DOMAIN, OWNER, World, identity, job};
use crate::support::{find, uid, with};

fn expires(delegation: &Delegation) -> Timestamp {
    status(delegation).expiration_time.as_ref().unwrap().0
}

fn created(delegation: &Delegation) -> Timestamp {
    let metadata = &delegation.metadata;
    metadata.creation_timestamp.as_ref().unwrap().0
}

fn grants(delegation: &Delegation) -> Value {
    serde_json::to_value(&status(delegation).grants).unwrap()
}

#[tokio::test]
async fn a_root_is_countersigned_and_verifies_with_the_published_bundle_alone() {
    let world = World::shared().await;
    let space = world.space("root").await;
    let agents = space.agents(&["planner"]).await;
    let made = space
        .delegate(but(root("alice", "planner"), json!({"maxDepth": 3})))
        .await;
    let it = space.until_in_force("alice").await;

    let chain = verified(&it, &bundle_json(&space.client).await);
    assert_eq!(chain.hops().count(), 2, "the owner's grants, and the root");
    let (first, leaf) = (chain.root().claims(), chain.leaf().claims());
    assert_eq!(
        first.subject.as_str(),
        format!("spiffe://{DOMAIN}/owner/{OWNER}")
    );
    assert_eq!(first.owner, OWNER);
    assert_eq!(leaf.subject.as_str(), spiffe_id(&agents[0]));
    assert_eq!(leaf.delegator.as_ref(), Some(&first.subject));
    assert_eq!(leaf.id, uid(&made));
    assert_eq!(leaf.owner, OWNER);
    assert_eq!(leaf.requester.as_deref(), Some("admin"));
    assert_eq!((leaf.depth, leaf.max_depth), (1, 4));
    let work = space.jobs().get("work").await.unwrap();
    assert_eq!(leaf.task.as_ref().unwrap().uid, uid(&work));
    assert_eq!(chain.leaf().digest().to_string(), digest(&it));
    assert_eq!(leaf.expires_at, expires(&it));
}

#[tokio::test]
async fn a_chain_of_three_shows_where_it_comes_from_and_what_is_in_effect() {
    let world = World::shared().await;
    let space = world.space("three").await;
    let agents = space.agents(&["planner", "clerk"]).await;
    // The last one may do less than it is handed.
    let narrow = json!({"spec": {"grants": [
        {"actions": ["read", "list"], "resources": ["ledger/invoices/2026/*"]},
    ]}});
    let reader = with(&identity("reader", "jobs.batch/work"), &narrow);
    space.create_identity(&reader).await;
    let reader = space.until_ready("reader").await;
    let chain = space.chain(&["planner", "clerk", "reader"]).await;

    let bundle = bundle_json(&space.client).await;
    for (place, it) in chain.iter().enumerate() {
        let status = status(it);
        assert_eq!(status.depth, i64::try_from(place + 1).ok());
        let root = status.root.as_ref().unwrap();
        assert_eq!(root.owner.name, OWNER);
        assert_eq!(root.requester.as_ref().unwrap().username, "admin");
        assert_eq!(root.delegation.name, "to-planner");
        assert_eq!(root.delegation.uid, uid(&chain[0]));
        assert_eq!(status.observed_generation, it.metadata.generation);
        assert_eq!(verified(it, &bundle).hops().count(), place + 2);
    }
    let last = &chain[2];
    assert_eq!(
        grants(last),
        json!([{"actions": ["read"], "resources": ["ledger/invoices/2026/*"]}]),
        "what was handed on, as far as the agent's own grants go"
    );
    assert_eq!(grants(&chain[1]), invoices());
    assert_eq!(grants(&chain[0]), everything());
    let status = status(last);
    let (delegator, delegate) = (
        status.delegator.as_ref().unwrap(),
        status.delegate.as_ref().unwrap(),
    );
    assert_eq!(delegator.uid, uid(&agents[1]));
    assert_eq!(delegator.spiffe_id, Some(spiffe_id(&agents[1])));
    assert_eq!(delegate.uid, uid(&reader));
    assert_eq!(delegate.spiffe_id, Some(spiffe_id(&reader)));
    assert_eq!(status.parent.as_ref().unwrap().uid, uid(&chain[1]));
    // The whole chain is one: each names the one above by its digest.
    let all = verified(last, &bundle);
    let digests: Vec<String> = all.digests().map(ToString::to_string).collect();
    let known: Vec<String> = chain.iter().map(digest).collect();
    assert_eq!(digests[1..], known);
}

#[tokio::test]
async fn it_expires_at_the_earliest_of_its_own_its_parents_and_the_agents_end() {
    let world = World::shared().await;
    let space = world.space("expiry").await;
    space.agents(&["planner", "clerk"]).await;
    let soon = json!({"spec": {"activeDeadlineSeconds": 200}});
    space.create_job(&job("short")).await;
    let short = super::setting::agent("short", "short");
    space.create_identity(&with(&short, &soon)).await;
    let short = space.until_ready("short").await;

    let own = json!({"expiresAfterSeconds": 600});
    let above = space.delegate(but(root("above", "planner"), own)).await;
    let above_end = expires(&space.until_in_force("above").await);
    assert_eq!(above_end, created(&above) + SignedDuration::from_secs(600));

    let longer = json!({"expiresAfterSeconds": 86400});
    space
        .delegate(but(hop("capped", "above", "planner", "clerk"), longer))
        .await;
    let capped = space.until_in_force("capped").await;
    assert_eq!(expires(&capped), above_end, "cut to its parent's");

    space
        .delegate(hop("deadline", "above", "planner", "short"))
        .await;
    let it = space.until_in_force("deadline").await;
    let deadline = short.status.unwrap().deadline_time.unwrap().0;
    assert_eq!(expires(&it), deadline, "cut to its task's deadline");

    let brief = json!({"expiresAfterSeconds": 100});
    let made = space
        .delegate(but(hop("brief", "above", "planner", "clerk"), brief))
        .await;
    let it = space.until_in_force("brief").await;
    assert_eq!(
        expires(&it),
        created(&made) + SignedDuration::from_secs(100)
    );
}

#[tokio::test]
async fn within_a_namespace_a_hop_is_its_parents_dependent() {
    let world = World::shared().await;
    let space = world.space("dependent").await;
    space.agents(&["planner", "clerk"]).await;
    let chain = space.chain(&["planner", "clerk"]).await;
    assert!(chain[0].metadata.owner_references.is_none(), "a root isn't");
    let it = space
        .until_delegation("to-clerk", "dependent", |it| depends_on(it, &chain[0]))
        .await;
    let reference = &it.metadata.owner_references.unwrap()[0];
    assert_eq!(reference.kind, "Delegation");
    assert_ne!(reference.block_owner_deletion, Some(true));
}

#[tokio::test]
async fn it_waits_for_its_agents_and_its_parent_and_is_countersigned_when_they_come() {
    let world = World::shared().await;
    let space = world.space("order").await;
    // The last first, as a tool that applies a folder may have it.
    space
        .delegate(hop("below", "above", "planner", "clerk"))
        .await;
    space
        .until_reason(
            "below",
            "Reconciling",
            &["DelegatorNotFound", "DelegateNotFound", "ParentNotFound"],
        )
        .await;
    let it = space.delegations().get("below").await.unwrap();
    assert_eq!(find(&it, "Ready").unwrap().status, "False");
    assert_eq!(status(&it).observed_generation, it.metadata.generation);
    assert!(status(&it).statement.is_none());

    space.agents(&["planner", "clerk"]).await;
    space
        .until_reason("below", "Reconciling", &["ParentNotFound"])
        .await;
    space.delegate(root("above", "planner")).await;
    let it = space.until_in_force("below").await;
    assert!(find(&it, "Reconciling").is_none());
    assert_eq!(
        verified(&it, &bundle_json(&space.client).await)
            .hops()
            .count(),
        3
    );
}
