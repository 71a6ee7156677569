//! A grant with a member that nobody knows is refused, by whatever client it comes.

use countersign_api::{Constraints, DataClass, Grant};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{create, delegations, identities, installed, patch, refusal};
use crate::samples;

#[tokio::test]
async fn every_set_of_constraints_is_kept_as_it_was_written() {
    let all = namespaced("constraints").await;
    let known = [
        ("maxDataClass", json!("Internal")),
        ("audiences", json!(["https://reports.example.org"])),
        ("notAfter", json!("2026-11-30T18:00:00Z")),
        ("maxCalls", json!(9_007_199_254_740_991_i64)),
    ];
    for set in 0..16_u32 {
        let chosen = (0_u32..)
            .zip(&known)
            .filter(|(bit, _)| set & (1 << bit) != 0);
        let constraints: serde_json::Map<String, Value> = chosen
            .map(|(_, (name, value))| ((*name).to_owned(), value.clone()))
            .collect();
        let made = create(&all, constrained(&format!("a{set}"), &json!(constraints))).await;
        let stored = made.unwrap().data["spec"]["grants"][0].clone();
        assert_eq!(stored["constraints"], json!(constraints));
        let read: Grant = serde_json::from_value(stored).unwrap();
        assert_eq!(read.constraints.is_empty(), set == 0);
        assert!(read.constraints.unknown.is_empty());
        let written = serde_json::to_value(&read.constraints).unwrap();
        assert_eq!(written, json!(constraints));
    }
    let nobody = constrained("nobody", &json!({"audiences": []}));
    let stored = create(&all, nobody).await.unwrap().data["spec"]["grants"][0].clone();
    let read: Grant = serde_json::from_value(stored).unwrap();
    assert_eq!(read.constraints.audiences, Some(Vec::new()));
    assert!(!read.constraints.is_empty());
}

#[tokio::test]
async fn what_is_not_known_is_refused_and_never_dropped() {
    let all = namespaced("unknown").await;
    let refused = [
        json!({"maxCost": 5}),
        json!({"maxDataclass": "Public"}),
        json!({"maxCalls": 1, "max_calls": 2}),
        json!({"maxCalls": 1, "notAfter": "2026-11-30T18:00:00Z", "hosts": null}),
        json!({"": ""}),
        json!({
            "maxDataClass": "Public", "audiences": [], "notAfter": "2026-11-30T18:00:00Z",
            "maxCalls": 1, "purpose": ["x"],
        }),
    ];
    for constraints in refused {
        let object = constrained("bad", &constraints);
        let why = refusal(create(&all, object.clone()).await);
        assert!(
            why.contains("spec.grants[0].constraints"),
            "{constraints}: {why}"
        );
        let apply = PatchParams::apply("somebody").force();
        let applied = all.patch("bad", &apply, &Patch::Apply(object)).await;
        let why = refusal(applied);
        assert!(
            why.contains("spec.grants[0].constraints"),
            "{constraints}: {why}"
        );
    }
    for typo in ["constrains", "Constraints", "constraint"] {
        let mut object = samples::identity("bad");
        object["spec"]["grants"] = json!([{
            "actions": ["read"], "resources": ["a"], typo: {"maxCalls": 1},
        }]);
        let why = refusal(create(&all, object).await);
        assert!(why.contains("spec.grants[0]"), "{typo}: {why}");
    }
    let mut hop = samples::hop("bad");
    hop["spec"]["grants"][0]["constraints"] = json!({"maxCost": 5});
    let plane = installed().await;
    let namespace = plane.namespace("unknown-hop").await.unwrap();
    let hops = delegations(plane.client().await.unwrap(), &namespace);
    let why = refusal(create(&hops, hop).await);
    assert!(
        why.contains("spec.grants[0].constraints: Too many: 1"),
        "{why}"
    );
}

#[tokio::test]
async fn kubectl_is_told_which_grant_has_a_member_too_many() {
    let plane = installed().await;
    let namespace = plane.namespace("kubectl").await.unwrap();
    let mut object = constrained("bad", &json!({"maxCalls": 1, "maxCost": 5}));
    object["metadata"]["namespace"] = json!(namespace);
    for args in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "-f", "-"],
        &["create", "--validate=false", "-f", "-"],
    ] {
        let why = plane.kubectl_with_input(args, &object.to_string()).await;
        let why = why.unwrap_err().to_string();
        assert!(
            why.contains("spec.grants[0].constraints: Too many: 2"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_constraint_out_of_bounds_is_refused() {
    let all = namespaced("bounds").await;
    let long = "a".repeat(257);
    let many: Vec<String> = (0..33).map(|index| format!("a{index}")).collect();
    for (member, bad) in [
        ("maxDataClass", json!("Secret")),
        ("maxDataClass", json!("internal")),
        ("audiences", json!([""])),
        ("audiences", json!(["a b"])),
        ("audiences", json!(["a\u{0}"])),
        ("audiences", json!([long])),
        ("audiences", json!(many)),
        ("audiences", json!(["a", "a"])),
        ("audiences", json!("a")),
        ("notAfter", json!("2026-11-30")),
        ("notAfter", json!("2026-11-30T18:00:00.5Z")),
        ("notAfter", json!("2026-11-30T18:00:00+01:00")),
        ("notAfter", json!("2026-13-30T18:00:00Z")),
        ("maxCalls", json!(0)),
        ("maxCalls", json!(-1)),
        ("maxCalls", json!(1.5)),
        ("maxCalls", json!("1")),
        ("maxCalls", json!(9_007_199_254_740_992_i64)),
    ] {
        let object = constrained("bad", &json!({member: bad}));
        let why = refusal(create(&all, object).await);
        let place = format!("spec.grants[0].constraints.{member}");
        assert!(why.contains(&place), "{bad}: {why}");
    }
    // A null is nothing, as everywhere.
    let made = create(&all, constrained("null", &json!({"maxCalls": null}))).await;
    assert_eq!(
        made.unwrap().data["spec"]["grants"][0]["constraints"],
        json!({})
    );
    let change = json!({"spec": {"grants": [{
        "actions": ["read"], "resources": ["a"], "constraints": {"maxCalls": 2},
    }]}});
    let why = refusal(patch(&all, "null", change).await);
    assert!(
        why.contains("spec.grants: Forbidden: must not be changed"),
        "{why}"
    );
}

#[test]
fn a_reader_sees_constraints_that_it_does_not_know() {
    let newer = json!({"maxDataClass": "Public", "maxCost": {"cents": 5}});
    let read: Constraints = serde_json::from_value(newer.clone()).unwrap();
    assert_eq!(read.max_data_class, Some(DataClass::Public));
    assert_eq!(read.unknown.keys().collect::<Vec<_>>(), ["maxCost"]);
    assert_eq!(serde_json::to_value(&read).unwrap(), newer);
    let alone: Constraints = serde_json::from_value(json!({"maxCost": 5})).unwrap();
    assert!(!alone.is_empty());
}

#[test]
fn data_classes_are_ordered_by_what_they_hide() {
    assert!(DataClass::Public < DataClass::Internal);
    assert!(DataClass::Internal < DataClass::Confidential);
    assert!(DataClass::Confidential < DataClass::Restricted);
}

fn constrained(name: &str, constraints: &Value) -> Value {
    let mut object = samples::identity(name);
    object["spec"]["grants"] = json!([{
        "actions": ["read"], "resources": ["a"], "constraints": constraints,
    }]);
    object
}

async fn namespaced(prefix: &str) -> Api<DynamicObject> {
    let plane = installed().await;
    let namespace = plane.namespace(prefix).await.unwrap();
    identities(plane.client().await.unwrap(), &namespace)
}
