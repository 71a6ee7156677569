//! Who may delegate: the admission policies ask, and the operator asks again.

use countersign_api::Delegation;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::setting::{bundle_json, but, hop, root, status, verified};
use crate::harness::{Space, World};
use crate::support::{User, create, refusal, resource};

/// A user who may write delegations in `space`, and nothing else.
async fn writer(world: &World, space: &Space, verbs: &[&str]) -> User {
    let user = world.user("mallory").await;
    let rules = json!([
        {"apiGroups": ["countersign.dev"], "resources": ["delegations"], "verbs": verbs},
    ]);
    world.allow(&user, Some(&space.name), rules).await;
    user
}

async fn creator(world: &World, space: &Space) -> User {
    writer(world, space, &["create", "get", "update", "patch"]).await
}

async fn post(user: &User, space: &Space, object: Value) -> Delegation {
    create(&user.delegations(space), object).await.unwrap()
}

async fn allow_verb(world: &World, user: &User, space: Option<&Space>, verb: &str, name: &str) {
    let resource = if verb == "bind" {
        "agentowners"
    } else {
        "agentidentities"
    };
    let rules = json!([{
        "apiGroups": ["countersign.dev"], "resources": [resource], "verbs": [verb],
        "resourceNames": [name],
    }]);
    world
        .allow(user, space.map(|it| it.name.as_str()), rules)
        .await;
}

fn owned_by(owner: &str) -> Value {
    json!({"from": {"owner": {"name": owner}}})
}

#[tokio::test]
async fn an_owners_subject_may_make_a_root_and_it_is_told_who_did() {
    let world = World::shared().await;
    let space = world.space("subject").await;
    space.agents(&["planner"]).await;
    let user = creator(world, &space).await;
    let subjects = json!({"spec": {"subjects": [{"kind": "User", "name": user.name}]}});
    let owner = world.owner("carol", subjects).await;
    post(
        &user,
        &space,
        but(root("mine", "planner"), owned_by(&owner)),
    )
    .await;
    let it = space.until_in_force("mine").await;
    let from = status(&it).root.as_ref().unwrap();
    assert_eq!(from.requester.as_ref().unwrap().username, user.name);
    let chain = verified(&it, &bundle_json(&space.client).await);
    let requester = chain.leaf().claims().requester.as_deref();
    assert_eq!(requester, Some(user.name.as_str()));
}

#[tokio::test]
async fn the_verb_bind_on_an_owner_lets_make_a_root_of_it_and_of_no_other() {
    let world = World::shared().await;
    let space = world.space("bind").await;
    space.agents(&["planner"]).await;
    let user = creator(world, &space).await;
    let (bound, other) = (
        world.root_owner("bound").await,
        world.root_owner("other").await,
    );
    allow_verb(world, &user, None, "bind", &bound).await;
    let objects = [("good", &bound), ("bad", &other)];
    for (name, owner) in objects {
        post(&user, &space, but(root(name, "planner"), owned_by(owner))).await;
    }
    space.until_in_force("good").await;
    let message = space.until_not_granted("bad", "MayNotBind").await;
    assert!(
        message.contains(&user.name) && message.contains(&other),
        "{message}"
    );
}

#[tokio::test]
async fn the_verb_delegate_on_an_agent_lets_hand_on_for_it_and_for_no_other() {
    let world = World::shared().await;
    let space = world.space("verb").await;
    space.agents(&["planner", "clerk", "reader"]).await;
    space.chain(&["planner", "clerk"]).await;
    let user = creator(world, &space).await;
    allow_verb(world, &user, Some(&space), "delegate", "planner").await;
    post(
        &user,
        &space,
        hop("good", "to-planner", "planner", "reader"),
    )
    .await;
    post(&user, &space, hop("bad", "to-clerk", "clerk", "reader")).await;
    space.until_in_force("good").await;
    let message = space.until_not_granted("bad", "MayNotDelegate").await;
    assert!(
        message.contains(&user.name) && message.contains("clerk"),
        "{message}"
    );
}

#[tokio::test]
async fn a_subject_of_the_delegators_owner_needs_no_verb() {
    let world = World::shared().await;
    let space = world.space("owned").await;
    let user = creator(world, &space).await;
    let subjects = json!([{"kind": "User", "name": user.name}]);
    let owner = world
        .owner("dave", json!({"spec": {"subjects": subjects}}))
        .await;
    space.agents(&["reader"]).await;
    let own =
        json!({"spec": {"ownerRef": {"name": owner}, "grants": super::setting::everything()}});
    space.running("planner", own).await;
    // The root is another's: it is the agent's owner that counts.
    space.delegate(root("to-planner", "planner")).await;
    post(&user, &space, hop("hop", "to-planner", "planner", "reader")).await;
    space.until_in_force("hop").await;
}

#[tokio::test]
async fn neither_being_nobody_nor_creating_delegations_is_enough() {
    let world = World::shared().await;
    let space = world.space("nobody").await;
    space.agents(&["planner", "clerk"]).await;
    space.chain(&["planner"]).await;
    let nobody = world.user("nobody").await;
    let denied = create(&nobody.delegations(&space), root("denied", "planner")).await;
    refusal(denied);

    let user = creator(world, &space).await;
    post(&user, &space, root("root", "planner")).await;
    post(&user, &space, hop("hop", "to-planner", "planner", "clerk")).await;
    space.until_not_granted("root", "MayNotBind").await;
    space.until_not_granted("hop", "MayNotDelegate").await;
    // `bind` on the owner is for roots; `delegate` on the delegate isn't on the delegator.
    allow_verb(world, &user, Some(&space), "delegate", "clerk").await;
    post(
        &user,
        &space,
        hop("again", "to-planner", "planner", "clerk"),
    )
    .await;
    space.until_not_granted("again", "MayNotDelegate").await;
}

#[tokio::test]
async fn a_requester_that_was_written_is_replaced_by_whoever_wrote_it() {
    let world = World::shared().await;
    let space = world.space("forged").await;
    space.agents(&["planner"]).await;
    let user = creator(world, &space).await;
    let forged = json!({"requester": {"username": "admin", "groups": ["system:masters"]}});
    let made = post(&user, &space, but(root("forged", "planner"), forged)).await;
    let requester = made.spec.requester.unwrap();
    assert_eq!(requester.username, user.name);
    assert!(
        !requester.groups.contains(&"system:masters".to_owned()),
        "{:?}",
        requester.groups
    );
    space.until_not_granted("forged", "MayNotBind").await;

    let delegations = user.delegations(&space);
    for patch in [
        json!({"requester": {"username": "admin"}}),
        json!({"requester": {"groups": ["system:masters"]}}),
        json!({"requester": null}),
    ] {
        let merge = Patch::Merge(json!({"spec": patch}));
        let patched = delegations
            .patch("forged", &PatchParams::default(), &merge)
            .await;
        if patched.is_err() {
            refusal(patched);
        }
        let it = space.delegations().get("forged").await.unwrap();
        let requester = it.spec.requester.unwrap();
        assert_eq!(requester.username, user.name, "{patch}");
        assert!(!requester.groups.contains(&"system:masters".to_owned()));
    }
    space.until_not_granted("forged", "MayNotBind").await;
}

#[tokio::test]
async fn whoever_may_only_patch_may_revoke_and_change_nothing_else() {
    let world = World::shared().await;
    let space = world.space("patch").await;
    space.agents(&["planner", "clerk"]).await;
    space.chain(&["planner", "clerk"]).await;
    let before = space.delegations().get("to-clerk").await.unwrap();
    let user = writer(world, &space, &["patch"]).await;
    let delegations = user.delegations(&space);
    let patch = async |spec: Value| {
        let merge = Patch::Merge(json!({"spec": spec}));
        delegations
            .patch("to-clerk", &PatchParams::default(), &merge)
            .await
    };
    for spec in [
        json!({"from": {"agent": {"name": "clerk"}}}),
        json!({"from": {"owner": {"name": "alice"}, "agent": null}}),
        json!({"to": {"name": "planner"}}),
        json!({"to": {"namespace": "default"}}),
        json!({"parentRef": {"name": "another"}}),
        json!({"parentRef": null}),
        json!({"grants": super::setting::everything()}),
        json!({"expiresAfterSeconds": 901}),
        json!({"maxDepth": 14}),
        json!({"statement": "a.b.c"}),
    ] {
        let message = refusal(patch(spec.clone()).await);
        assert!(
            message.contains("must") || message.contains("immutable"),
            "{spec}: {message}"
        );
    }
    let after = space.delegations().get("to-clerk").await.unwrap();
    assert_eq!(after.spec, before.spec);
    refusal(create(&delegations, root("more", "planner")).await);

    patch(json!({"desiredState": "Revoked"})).await.unwrap();
    space.until_ended("to-clerk", &["Revoked"]).await;
    let other = space.delegations().get("to-planner").await.unwrap();
    assert!(
        crate::support::is(&other, "Ready"),
        "what is above goes on: {:?}",
        other.status
    );
}

#[tokio::test]
async fn revoked_is_for_good_for_admins_too() {
    let world = World::shared().await;
    let space = world.space("revoked").await;
    space.agents(&["planner"]).await;
    space.chain(&["planner"]).await;
    space.revoke_delegation("to-planner").await;
    for state in [json!("Active"), Value::Null] {
        let merge = Patch::Merge(json!({"spec": {"desiredState": state}}));
        let patched = space
            .delegations()
            .patch("to-planner", &PatchParams::default(), &merge)
            .await;
        let message = refusal(patched);
        assert!(message.contains("for good"), "{message}");
    }
    space.until_ended("to-planner", &["Revoked"]).await;
}

#[tokio::test]
async fn a_status_cannot_be_written_by_whoever_may_write_the_delegation() {
    let world = World::shared().await;
    let space = world.space("status").await;
    space.agents(&["planner", "clerk"]).await;
    let chain = space.chain(&["planner"]).await;
    let user = creator(world, &space).await;
    let kind = resource("countersign.dev", "v1alpha1", "Delegation", "delegations");
    let untyped: Api<DynamicObject> = Api::namespaced_with(user.client.clone(), &space.name, &kind);
    // Created with the status of another: none of it is kept.
    let mut stolen = root("stolen", "clerk");
    stolen["status"] = serde_json::to_value(status(&chain[0])).unwrap();
    let object: DynamicObject = serde_json::from_value(stolen).unwrap();
    let made = untyped
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    assert!(made.data["status"].get("statement").is_none());
    assert!(!crate::support::is(&made, "Ready"));
    space.until_not_granted("stolen", "MayNotBind").await;
    // Nor by an update, nor by the subresource.
    let lie = Patch::Merge(json!({"status": {"depth": 1, "digest": "A".repeat(43)}}));
    let params = PatchParams::default();
    untyped.patch("stolen", &params, &lie).await.unwrap();
    refusal(untyped.patch_status("stolen", &params, &lie).await);
    space.until_not_granted("stolen", "MayNotBind").await;
}

#[tokio::test]
async fn what_was_allowed_when_it_was_granted_stays_in_force_without_the_verb() {
    let world = World::shared().await;
    let space = world.space("lost").await;
    space.agents(&["planner"]).await;
    let user = creator(world, &space).await;
    let subjects = json!({"spec": {"subjects": [{"kind": "User", "name": user.name}]}});
    let owner = world.owner("judy", subjects).await;
    let own = || but(root("before", "planner"), owned_by(&owner));
    post(&user, &space, own()).await;
    space.until_in_force("before").await;
    let others = json!({"spec": {"subjects": [{"kind": "User", "name": "somebody@example.com"}]}});
    world.patch_owner(&owner, others).await;
    let mut after = own();
    after["metadata"]["name"] = json!("after");
    post(&user, &space, after).await;
    space.until_not_granted("after", "MayNotBind").await;
    space
        .stays("before", |it| crate::support::is(it, "Ready"))
        .await;
}
