//! What the API server refuses by itself, before anybody looks at it.

use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use super::setting::{but, hop, root};
use crate::harness::{Space, World};
use crate::support::refusal;

async fn create(space: &Space, object: Value) -> kube::Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let params = PostParams::default();
    space.untyped_delegations().create(&params, &object).await
}

async fn refused(space: &Space, object: Value) -> String {
    let shown: String = object["spec"].to_string().chars().take(200).collect();
    let result = create(space, object).await;
    assert!(result.is_err(), "accepted: {shown}");
    refusal(result)
}

fn grant(actions: Value, resources: Value) -> Value {
    json!({"grants": [{"actions": actions, "resources": resources}]})
}

fn constrained(constraints: Value) -> Value {
    json!({"grants": [
        {"actions": ["read"], "resources": ["ledger/*"], "constraints": constraints},
    ]})
}

#[tokio::test]
async fn a_constraint_that_is_not_known_is_refused_and_so_is_a_misspelled_one() {
    let world = World::shared().await;
    let space = world.space("unknown").await;
    for (name, value) in [
        ("maxRegion", json!("eu")),
        ("maxcalls", json!(1)),
        ("max_calls", json!(1)),
        ("MaxCalls", json!(1)),
        ("", json!(1)),
        ("maxCalls ", json!(1)),
    ] {
        let object = but(root("it", "planner"), constrained(json!({name: value})));
        refused(&space, object).await;
    }
    let mut object = root("it", "planner");
    object["spec"]["grants"][0]["constraint"] = json!({"maxCalls": 1});
    refused(&space, object).await;
}

#[tokio::test]
async fn constraints_have_their_form_and_their_bounds() {
    let world = World::shared().await;
    let space = world.space("constraints").await;
    for constraints in [
        json!({"maxDataClass": "Secret"}),
        json!({"maxDataClass": "public"}),
        json!({"maxDataClass": ""}),
        json!({"audiences": [""]}),
        json!({"audiences": ["a b"]}),
        json!({"audiences": ["a\nb"]}),
        json!({"audiences": ["a", "a"]}),
        json!({"audiences": vec!["a"; 33]}),
        json!({"audiences": ["a".repeat(257)]}),
        json!({"notAfter": "tomorrow"}),
        json!({"notAfter": "2099-01-01T00:00:00.5Z"}),
        json!({"notAfter": "2099-01-01T00:00:00+01:00"}),
        json!({"notAfter": "2099-13-01T00:00:00Z"}),
        json!({"notAfter": 4_070_908_800_i64}),
        json!({"maxCalls": 0}),
        json!({"maxCalls": -1}),
        json!({"maxCalls": 1.5}),
        json!({"maxCalls": "1"}),
        json!({"maxCalls": u64::MAX}),
    ] {
        refused(&space, but(root("it", "planner"), constrained(constraints))).await;
    }
}

#[tokio::test]
async fn empty_huge_and_strange_grants_are_refused() {
    let world = World::shared().await;
    let space = world.space("grants").await;
    let (read, all) = (json!(["read"]), json!(["ledger/*"]));
    let many = |count: usize| (0..count).map(|it| format!("r{it}")).collect::<Vec<_>>();
    for spec in [
        json!({"grants": []}),
        json!({"grants": null}),
        json!({"grants": vec![json!({"actions": read, "resources": all}); 33]}),
        grant(json!([]), all.clone()),
        grant(json!([""]), all.clone()),
        grant(json!(["read it"]), all.clone()),
        grant(json!(["lésen"]), all.clone()),
        grant(json!(["re*"]), all.clone()),
        grant(json!(["a".repeat(65)]), all.clone()),
        grant(json!(many(33)), all.clone()),
        grant(read.clone(), json!([])),
        grant(read.clone(), json!([""])),
        grant(read.clone(), json!(["/ledger"])),
        grant(read.clone(), json!(["ledger//x"])),
        grant(read.clone(), json!(["ledger/"])),
        grant(read.clone(), json!(["ledger/../payroll"])),
        grant(read.clone(), json!(["ledger/./x"])),
        grant(read.clone(), json!(["ledger/in*"])),
        grant(read.clone(), json!(["ledger/a b"])),
        grant(read.clone(), json!(["ledger/a\u{0}b"])),
        grant(read.clone(), json!(["ledger/a\u{7f}"])),
        grant(read.clone(), json!([format!("ledger/{}", "a".repeat(250))])),
        grant(read.clone(), json!(many(65))),
        grant(json!("read"), all),
    ] {
        refused(&space, but(root("it", "planner"), spec)).await;
    }
}

#[tokio::test]
async fn names_lives_depths_and_statements_have_their_bounds() {
    let world = World::shared().await;
    let space = world.space("bounds").await;
    for spec in [
        json!({"to": {"name": ""}}),
        json!({"to": {"name": "Planner"}}),
        json!({"to": {"name": "plänner"}}),
        json!({"to": {"name": "../planner"}}),
        json!({"to": {"name": "a".repeat(254)}}),
        json!({"to": {"namespace": "UPPER"}}),
        json!({"to": {"namespace": "a".repeat(64)}}),
        json!({"parentRef": {"name": "a b"}}),
        json!({"from": {"agent": {"name": "\u{202e}rennalp"}}}),
        json!({"expiresAfterSeconds": 0}),
        json!({"expiresAfterSeconds": -1}),
        json!({"expiresAfterSeconds": 31_536_001}),
        json!({"expiresAfterSeconds": "900"}),
        json!({"maxDepth": -1}),
        json!({"maxDepth": 16}),
        json!({"maxDepth": 1.5}),
        json!({"statement": ""}),
        json!({"statement": "a.b"}),
        json!({"statement": "a.b.c.d"}),
        json!({"statement": "a.b.c="}),
        json!({"statement": "ä.b.c"}),
        json!({"statement": format!("a.{}.c", "b".repeat(16_384))}),
        json!({"desiredState": "Suspended"}),
        json!({"desiredState": ""}),
    ] {
        refused(&space, but(hop("it", "above", "planner", "clerk"), spec)).await;
    }
    for missing in ["from", "to", "grants"] {
        let mut object = root("it", "planner");
        object["spec"].as_object_mut().unwrap().remove(missing);
        refused(&space, object).await;
    }
}

#[tokio::test]
async fn a_root_and_a_hop_are_told_apart_by_what_they_name() {
    let world = World::shared().await;
    let space = world.space("unions").await;
    let hop = hop("it", "above", "planner", "clerk");
    for (object, spec, said) in [
        (
            &hop,
            json!({"from": {"owner": {"name": "alice"}}}),
            "exactly one",
        ),
        (&hop, json!({"from": {"agent": null}}), "exactly one"),
        (&hop, json!({"parentRef": null}), "parentRef"),
        (&hop, json!({"parentRef": {"name": "it"}}), "itself"),
        (&hop, json!({"to": {"name": "planner"}}), "itself"),
        (
            &root("it", "planner"),
            json!({"parentRef": {"name": "above"}}),
            "parentRef",
        ),
        (
            &root("it", "planner"),
            json!({"to": {"namespace": "default"}}),
            "to.namespace",
        ),
        (
            &root("it", "planner"),
            json!({"statement": "a.b.c"}),
            "statement",
        ),
    ] {
        let message = refused(&space, but(object.clone(), spec)).await;
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[tokio::test]
async fn defaults_are_fifteen_minutes_and_no_hop_below() {
    let world = World::shared().await;
    let space = world.space("defaults").await;
    let bare = but(
        root("it", "planner"),
        json!({"maxDepth": null, "expiresAfterSeconds": null}),
    );
    let made = space.delegate(bare).await;
    assert_eq!(made.spec.expires_after_seconds, 900);
    assert_eq!(made.spec.max_depth, 0);
    space.agents(&["planner", "clerk"]).await;
    space.until_in_force("it").await;
    space.delegate(hop("below", "it", "planner", "clerk")).await;
    space.until_not_granted("below", "TooDeep").await;
}
