//! What is handed on is within what is held: wider grants are refused, longer ends are cut.

use serde_json::{Value, json};

use super::setting::{bundle_json, but, hop, invoices, root, status, verified};
use crate::harness::{Space, World};

/// A root to `planner` with these grants, and the agent to hand it on to.
async fn given(world: &World, grants: Value) -> Space {
    let space = world.space("narrow").await;
    space.agents(&["planner", "clerk"]).await;
    let object = but(root("above", "planner"), json!({"grants": grants}));
    space.delegate(object).await;
    space.until_in_force("above").await;
    space
}

fn reading(constraints: Value) -> Value {
    json!([{"actions": ["read"], "resources": ["ledger/*"], "constraints": constraints}])
}

async fn refused(space: &Space, name: &str, grants: Value) -> String {
    let object = but(
        hop(name, "above", "planner", "clerk"),
        json!({"grants": grants}),
    );
    space.delegate(object).await;
    space.until_not_granted(name, "GrantsWiden").await
}

async fn accepted(space: &Space, name: &str, grants: Value) {
    let object = but(
        hop(name, "above", "planner", "clerk"),
        json!({"grants": grants}),
    );
    space.delegate(object).await;
    space.until_in_force(name).await;
}

#[tokio::test]
async fn a_root_is_within_its_owners_grants() {
    let world = World::shared().await;
    let space = world.space("ceiling").await;
    space.agents(&["planner"]).await;
    for (name, grants, named) in [
        (
            "action",
            json!([{"actions": ["write"], "resources": ["ledger/*"]}]),
            "write",
        ),
        (
            "resource",
            json!([{"actions": ["read"], "resources": ["payroll/*"]}]),
            "payroll/*",
        ),
        (
            "all",
            json!([{"actions": ["*"], "resources": ["ledger/*"]}]),
            "*",
        ),
    ] {
        space
            .delegate(but(root(name, "planner"), json!({"grants": grants})))
            .await;
        let message = space.until_not_granted(name, "GrantsWiden").await;
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn an_action_or_a_resource_beyond_the_parents_is_named() {
    let world = World::shared().await;
    let space = given(world, invoices()).await;
    let action = json!([{"actions": ["read", "list"], "resources": ["ledger/invoices/*"]}]);
    let message = refused(&space, "action", action).await;
    assert!(message.contains("list"), "{message}");
    let resource =
        json!([{"actions": ["read"], "resources": ["ledger/invoices/*", "ledger/salaries"]}]);
    let message = refused(&space, "resource", resource).await;
    assert!(message.contains("ledger/salaries"), "{message}");
    let above = json!([{"actions": ["read"], "resources": ["ledger/*"]}]);
    let message = refused(&space, "above-it", above).await;
    assert!(message.contains("ledger/*"), "{message}");
    let narrower = json!([{"actions": ["read"], "resources": ["ledger/invoices/2026/*"]}]);
    accepted(&space, "narrower", narrower).await;
    accepted(&space, "same", invoices()).await;
}

#[tokio::test]
async fn a_constraint_is_kept_or_tightened() {
    let world = World::shared().await;
    let held = json!({
        "maxDataClass": "Internal",
        "audiences": ["https://a.example", "https://b.example"],
        "notAfter": "2099-01-01T00:00:00Z",
        "maxCalls": 10,
    });
    let space = given(world, reading(held.clone())).await;
    let changed = |name: &str, value: Value| {
        let mut constraints = held.clone();
        constraints[name] = value;
        if constraints[name].is_null() {
            constraints.as_object_mut().unwrap().remove(name);
        }
        reading(constraints)
    };
    for (name, field, wider, said) in [
        (
            "class",
            "maxDataClass",
            json!("Confidential"),
            "Confidential",
        ),
        ("no-class", "maxDataClass", Value::Null, "maxDataClass"),
        (
            "audience",
            "audiences",
            json!(["https://a.example", "https://c.example"]),
            "https://c.example",
        ),
        ("no-audience", "audiences", Value::Null, "audience"),
        (
            "later",
            "notAfter",
            json!("2099-01-01T00:00:01Z"),
            "2099-01-01T00:00:01Z",
        ),
        ("never", "notAfter", Value::Null, "notAfter"),
        ("calls", "maxCalls", json!(11), "11"),
        ("all-calls", "maxCalls", Value::Null, "maxCalls"),
    ] {
        let message = refused(&space, name, changed(field, wider)).await;
        assert!(message.contains(said), "{name}: {message}");
    }
    accepted(&space, "same", reading(held.clone())).await;
    let tighter = json!({
        "maxDataClass": "Public",
        "audiences": [],
        "notAfter": "2098-12-31T23:59:59Z",
        "maxCalls": 1,
    });
    accepted(&space, "tighter", reading(tighter)).await;
}

#[tokio::test]
async fn an_end_or_a_depth_beyond_the_parents_is_cut_to_it() {
    let world = World::shared().await;
    let space = world.space("cut").await;
    space.agents(&["planner", "clerk", "reader"]).await;
    let above = json!({"maxDepth": 1, "expiresAfterSeconds": 300});
    space.delegate(but(root("above", "planner"), above)).await;
    space.until_in_force("above").await;
    let more = json!({"maxDepth": 15, "expiresAfterSeconds": 31_536_000});
    space
        .delegate(but(hop("below", "above", "planner", "clerk"), more))
        .await;
    let it = space.until_in_force("below").await;
    let chain = verified(&it, &bundle_json(&space.client).await);
    let claims: Vec<_> = chain.hops().map(|hop| hop.claims()).collect();
    assert_eq!((claims[1].depth, claims[1].max_depth), (1, 2));
    assert_eq!((claims[2].depth, claims[2].max_depth), (2, 2));
    assert_eq!(claims[2].expires_at, claims[1].expires_at);
    space
        .delegate(hop("too-deep", "below", "clerk", "reader"))
        .await;
    let message = space.until_not_granted("too-deep", "TooDeep").await;
    assert!(message.contains('3') && message.contains('2'), "{message}");
}

#[tokio::test]
async fn a_chain_of_sixteen_is_good_and_the_seventeenth_hop_is_refused() {
    let world = World::shared().await;
    let space = world.space("sixteen").await;
    let names: Vec<String> = (1..=17).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    space.agents(&names).await;
    let chain = space.chain(&names[..16]).await;
    let last = &chain[15];
    assert_eq!(status(last).depth, Some(16));
    let verified = verified(last, &bundle_json(&space.client).await);
    assert_eq!(verified.hops().count(), 17);

    space.delegate(hop("to-a17", "to-a16", "a16", "a17")).await;
    let message = space.until_not_granted("to-a17", "TooDeep").await;
    assert!(
        message.contains("17") && message.contains("16"),
        "{message}"
    );
}

#[tokio::test]
async fn a_chain_that_comes_back_to_an_agent_is_refused() {
    let world = World::shared().await;
    let space = world.space("cycle").await;
    space.agents(&["a", "b", "c"]).await;
    space.chain(&["a", "b", "c"]).await;
    space.delegate(hop("back", "to-b", "b", "a")).await;
    space.until_not_granted("back", "Cycle").await;
    space.delegate(hop("far-back", "to-c", "c", "a")).await;
    space.until_not_granted("far-back", "Cycle").await;
}

#[tokio::test]
async fn delegations_that_are_each_others_parents_wait_for_ever() {
    let world = World::shared().await;
    let space = world.space("ring").await;
    space.agents(&["a", "b"]).await;
    space.delegate(hop("one", "two", "a", "b")).await;
    space.delegate(hop("two", "one", "b", "a")).await;
    for name in ["one", "two"] {
        space
            .until_delegation(name, "held back", |it| {
                ["Reconciling", "Stalled"]
                    .iter()
                    .any(|kind| crate::support::is(it, kind))
            })
            .await;
        let it = space.delegations().get(name).await.unwrap();
        assert!(status(&it).statement.is_none());
    }
    world.still_serves().await;
    space.revoke_delegation("one").await;
    space.until_ended("two", &["ParentEnded"]).await;
}

#[tokio::test]
async fn only_the_delegate_of_the_parent_hands_it_on() {
    let world = World::shared().await;
    let space = world.space("stranger").await;
    space.agents(&["planner", "stranger", "clerk"]).await;
    space.chain(&["planner"]).await;
    space
        .delegate(hop("stolen", "to-planner", "stranger", "clerk"))
        .await;
    space.until_not_granted("stolen", "NotTheDelegate").await;
}

#[tokio::test]
async fn an_agent_hands_on_no_more_than_its_own_grants_whatever_it_was_handed() {
    let world = World::shared().await;
    let space = world.space("lacks").await;
    // The usual identity: reading invoices only.
    space.running("planner", json!({})).await;
    space.agents(&["clerk"]).await;
    space.chain(&["planner"]).await; // and is handed everything
    let all = json!({"grants": super::setting::everything()});
    space
        .delegate(but(hop("more", "to-planner", "planner", "clerk"), all))
        .await;
    let message = space.until_not_granted("more", "DelegatorLacks").await;
    assert!(message.contains("ledger/*"), "{message}");
    space
        .delegate(hop("own", "to-planner", "planner", "clerk"))
        .await;
    space.until_in_force("own").await;
}

#[tokio::test]
async fn what_has_no_effect_for_its_delegate_says_so() {
    let world = World::shared().await;
    let space = world.space("effect").await;
    space.running("reader", json!({})).await; // reading invoices only
    let grants = json!({"grants": [{"actions": ["list"], "resources": ["ledger/salaries"]}]});
    space.delegate(but(root("vain", "reader"), grants)).await;
    let it = space.until_in_force("vain").await;
    assert!(status(&it).grants.is_empty());
    let message = crate::support::find(&it, "Ready").unwrap().message;
    assert!(message.contains("nothing of it is in effect"), "{message}");
}
