//! What the schema of delegations takes and refuses, and what people read of them.

use countersign_api::Delegation;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{create, delegations, installed, patch, refusal};
use crate::samples;

const JWS: &str = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";

#[tokio::test]
async fn a_root_comes_from_an_owner_and_a_hop_from_an_agent_below_a_delegation() {
    let all = namespaced("shapes").await;
    create(&all, samples::root("root")).await.unwrap();
    create(&all, samples::hop("hop")).await.unwrap();
    let mut far = samples::hop("far");
    far["spec"]["to"] = json!({"name": "planner", "namespace": "elsewhere"});
    far["spec"]["parentRef"] = json!({"name": "far", "namespace": "elsewhere"});
    far["spec"]["statement"] = json!(JWS);
    far["spec"]["maxDepth"] = json!(15);
    far["spec"]["expiresAfterSeconds"] = json!(31_536_000);
    create(&all, far).await.unwrap();
    let longest = "d".repeat(253);
    create(&all, samples::hop(&longest)).await.unwrap();

    let both = json!({"owner": {"name": "alice"}, "agent": {"name": "planner"}});
    for (sample, field, bad, wanted) in [
        (
            "hop",
            "from",
            json!({}),
            "exactly one of `owner` and `agent`",
        ),
        ("hop", "from", both, "exactly one of `owner` and `agent`"),
        (
            "hop",
            "from",
            json!({"user": {"name": "alice"}}),
            "exactly one of `owner` and `agent`",
        ),
        ("hop", "parentRef", json!(null), "`parentRef` must be set"),
        (
            "root",
            "parentRef",
            json!({"name": "a"}),
            "`parentRef` must not be set",
        ),
        (
            "root",
            "to",
            json!({"name": "planner", "namespace": "elsewhere"}),
            "`to.namespace` must not be set",
        ),
        (
            "root",
            "statement",
            json!(JWS),
            "`statement` must not be set",
        ),
        (
            "hop",
            "to",
            json!({"name": "planner"}),
            "spec.to.name: Invalid value: must not be the delegator itself",
        ),
        (
            "hop",
            "parentRef",
            json!({"name": "bad"}),
            "spec.parentRef.name: Invalid value: must not be the delegation itself",
        ),
    ] {
        let why = refusal(create(&all, with(sample, field, &bad)).await);
        assert!(why.contains(wanted), "{field} {bad}: {why}");
    }
}

#[tokio::test]
async fn a_delegation_holds_no_junk() {
    let all = namespaced("fields").await;
    let grant = json!({"actions": ["read"], "resources": ["a"]});
    let long = "a".repeat(254);
    let jws = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
    create(&all, with("hop", "statement", &json!(jws(16_384))))
        .await
        .unwrap();
    for (field, bad) in [
        ("from", json!({"agent": {"name": "../planner"}})),
        ("from", json!({"agent": {"name": long}})),
        ("from", json!({"agent": {"name": "plänner"}})),
        ("from", json!({"agent": {"name": "рlanner"}})), // a Cyrillic letter
        ("from", json!({"agent": {}})),
        ("from", json!({"owner": {"name": "Alice"}})),
        ("to", json!({"name": ""})),
        ("to", json!({"name": "reader\u{200b}"})),
        ("to", json!({"name": "reader", "namespace": "a.b"})),
        ("to", json!({"name": "reader", "namespace": ""})),
        ("to", json!({"name": "reader", "namespace": "a".repeat(64)})),
        ("parentRef", json!({"name": "a b"})),
        ("parentRef", json!({"namespace": "a"})),
        ("grants", json!([])),
        ("grants", json!(null)),
        ("grants", json!(vec![grant; 33])),
        (
            "grants",
            json!([{"actions": ["read"], "resources": ["a*"]}]),
        ),
        ("expiresAfterSeconds", json!(0)),
        ("expiresAfterSeconds", json!(31_536_001)),
        ("expiresAfterSeconds", json!("15m")),
        ("maxDepth", json!(-1)),
        ("maxDepth", json!(16)),
        ("statement", json!("")),
        ("statement", json!("a.b")),
        ("statement", json!("a.b.c.d")),
        ("statement", json!("a.b.c=")),
        ("statement", json!("a..c")),
        ("statement", json!(" a.b.c")),
        ("statement", json!("a.b.c\n")),
        ("statement", json!({"payload": "a"})),
        ("statement", json!(jws(16_385))),
        ("desiredState", json!("Suspended")),
        ("desiredState", json!("")),
    ] {
        let why = refusal(create(&all, with("hop", field, &bad)).await);
        assert!(why.contains(&format!("spec.{field}")), "{bad}: {why}");
    }
    for missing in ["from", "to", "grants"] {
        let mut object = samples::hop("bad");
        object["spec"].as_object_mut().unwrap().remove(missing);
        refusal(create(&all, object).await);
    }
    refusal(create(&all, samples::hop(&long)).await);
}

#[tokio::test]
async fn a_delegation_is_immutable_but_for_its_revocation() {
    let all = namespaced("immutable").await;
    let mut full = samples::hop("full");
    full["spec"]["statement"] = json!(JWS);
    full["spec"]["maxDepth"] = json!(1);
    create(&all, full).await.unwrap();
    create(&all, samples::hop("hop")).await.unwrap();
    create(&all, samples::root("root")).await.unwrap();
    let wider = json!([{"actions": ["*"], "resources": ["*"]}]);
    let unconstrained = json!([{
        "actions": ["read"], "resources": ["ledger/*"], "constraints": {"maxCalls": 1},
    }]);
    for (name, field, change) in [
        ("full", "from", json!({"agent": {"name": "other"}})),
        (
            "full",
            "from",
            json!({"agent": null, "owner": {"name": "alice"}}),
        ),
        ("root", "from", json!({"owner": {"name": "bob"}})),
        ("full", "to", json!({"name": "other"})),
        ("full", "to", json!({"namespace": "elsewhere"})),
        ("full", "parentRef", json!({"name": "other"})),
        ("full", "parentRef", json!({"namespace": "elsewhere"})),
        ("full", "parentRef", json!(null)),
        ("root", "parentRef", json!({"name": "a"})),
        ("full", "grants", wider),
        ("full", "grants", unconstrained),
        ("full", "expiresAfterSeconds", json!(901)),
        ("full", "expiresAfterSeconds", json!(1)),
        ("full", "maxDepth", json!(2)),
        ("full", "maxDepth", json!(null)),
        ("full", "statement", json!("a.b.c")),
        ("full", "statement", json!(null)),
        ("hop", "statement", json!(JWS)),
    ] {
        let why = refusal(patch(&all, name, json!({"spec": {field: change}})).await);
        let wanted = format!("spec.{field}: Forbidden: must not be changed");
        assert!(why.contains(&wanted), "{change}: {why}");
    }
    for name in ["full", "hop", "root"] {
        let state = |state: Value| json!({"spec": {"desiredState": state}});
        patch(&all, name, state(json!("Active"))).await.unwrap();
        patch(&all, name, state(json!("Revoked"))).await.unwrap();
        for back in [json!("Active"), json!(null)] {
            let why = refusal(patch(&all, name, state(back)).await);
            assert!(why.contains("Revoked is for good"), "{why}");
        }
    }
}

#[tokio::test]
async fn a_status_holds_the_whole_chain_and_nothing_malformed() {
    let all = namespaced("status").await;
    create(&all, samples::hop("a")).await.unwrap();
    let write = async |status: Value| {
        let patch = Patch::Merge(json!({"status": status}));
        all.patch_status("a", &PatchParams::default(), &patch).await
    };
    let largest = format!("a.b.{}", "c".repeat(32_768 - 4));
    let digest = "A".repeat(42) + "_";
    let mut full = status(16);
    full["digest"] = json!(digest);
    full["statement"] = json!(largest);
    full["ancestors"] = json!(vec![largest.clone(); 16]);
    let made = write(full.clone()).await.unwrap();
    for (member, value) in full.as_object().unwrap() {
        assert_eq!(made.data["status"][member], *value, "{member}");
    }
    let read: Delegation = serde_json::from_value(serde_json::to_value(made).unwrap()).unwrap();
    let again = serde_json::to_value(read.status.unwrap()).unwrap();
    assert_eq!(again["ancestors"].as_array().unwrap().len(), 16);
    assert_eq!(again["delegate"], full["delegate"]);
    for (field, bad) in [
        ("depth", json!(0)),
        ("depth", json!(17)),
        ("digest", json!("A".repeat(42))),
        ("digest", json!("A".repeat(44))),
        ("digest", json!("A".repeat(42) + "=")),
        ("statement", json!("none")),
        ("statement", json!(largest + "c")),
        ("ancestors", json!(vec![JWS; 17])),
        ("ancestors", json!(["a.b"])),
        ("root", json!({"owner": {"uid": null}})),
        ("delegate", json!({"uid": null})),
        ("parent", json!({"namespace": "a".repeat(64)})),
        ("expirationTime", json!("soon")),
        (
            "grants",
            json!([{"actions": ["read"], "resources": ["a"], "constraints": {"maxCost": 1}}]),
        ),
    ] {
        let why = refusal(write(json!({field: bad})).await);
        assert!(why.contains(&format!("status.{field}")), "{bad}: {why}");
    }
}

#[tokio::test]
async fn columns_and_field_selectors_tell_who_delegates_what_to_whom() {
    let plane = installed().await;
    let namespace = plane.namespace("deleg-columns").await.unwrap();
    let all = delegations(plane.client().await.unwrap(), &namespace);
    create(&all, samples::root("above")).await.unwrap();
    create(&all, samples::hop("below")).await.unwrap();
    create(&all, samples::hop("new")).await.unwrap();
    for (name, depth, kind) in [("above", 1, "Ready"), ("below", 2, "Completed")] {
        let mut status = status(depth);
        status["conditions"] = json!([{
            "type": kind, "status": "True", "reason": "Why", "message": "",
            "lastTransitionTime": "2026-11-24T10:00:00Z",
        }]);
        let patch = Patch::Merge(json!({"status": status}));
        all.patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    let table = ["get", "deleg", "-n", &namespace];
    let table = plane.kubectl(&table).await.unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    let expires = "2026-11-24T10:15:00Z";
    assert_eq!(
        rows[0],
        [
            "NAME", "FROM", "TO", "DEPTH", "READY", "STATE", "EXPIRES", "ROOT", "AGE"
        ]
    );
    assert_eq!(
        rows[1][..8],
        [
            "above", "alice", "planner", "1", "True", "Ready", expires, "alice"
        ]
    );
    assert_eq!(
        rows[2][..7],
        [
            "below",
            "planner",
            "invoice-reader",
            "2",
            "Completed",
            expires,
            "alice"
        ]
    );
    assert_eq!(
        rows[3][..4],
        ["new", "planner", "invoice-reader", "Unknown"]
    );
    let wide = ["get", "deleg", "below", "-n", &namespace, "-o", "wide"];
    let wide = plane.kubectl(&wide).await.unwrap();
    for part in ["Why", "alice-to-planner", "admin"] {
        assert!(wide.contains(part), "{wide}");
    }
    for (selector, count) in [
        ("spec.from.owner.name=alice", 1),
        ("spec.from.agent.name=planner", 2),
        ("spec.to.name=invoice-reader,spec.desiredState=Active", 2),
        ("spec.parentRef.name=alice-to-planner", 2),
        ("spec.parentRef.name=", 1),
        ("spec.desiredState=Revoked", 0),
    ] {
        let args = [
            "get",
            "deleg",
            "-n",
            &namespace,
            "-o",
            "name",
            "--field-selector",
            selector,
        ];
        let found = plane.kubectl(&args).await.unwrap();
        assert_eq!(found.lines().count(), count, "{selector}");
    }
}

/// A status with everything in it but statements.
fn status(depth: i64) -> Value {
    let spiffe_id = "spiffe://example.org/ns/finance/agent/invoice-reader/task/t/u";
    json!({
        "observedGeneration": 1,
        "depth": depth,
        "root": {
            "delegation": {"namespace": "finance", "name": "alice-to-planner", "uid": "d-0"},
            "owner": {"name": "alice", "uid": "o-0"},
            "requester": {"username": "alice@example.com", "uid": "u-0"},
        },
        "delegator": {"namespace": "finance", "name": "planner", "uid": "a-0", "spiffeID": spiffe_id},
        "delegate": {"namespace": "finance", "name": "reader", "uid": "a-1", "spiffeID": spiffe_id},
        "parent": {"namespace": "finance", "name": "alice-to-planner", "uid": "d-0"},
        "grants": [{"actions": ["read"], "resources": ["ledger/*"], "constraints": {"maxCalls": 1}}],
        "issueTime": "2026-11-24T10:00:00Z",
        "expirationTime": "2026-11-24T10:15:00Z",
        "finishedTime": "2026-11-24T10:10:00Z",
    })
}

fn with(sample: &str, field: &str, value: &Value) -> Value {
    let mut object = match sample {
        "root" => samples::root("bad"),
        _ => samples::hop("bad"),
    };
    object["spec"][field] = value.clone();
    object
}

async fn namespaced(prefix: &str) -> Api<DynamicObject> {
    let plane = installed().await;
    let namespace = plane.namespace(&format!("deleg-{prefix}")).await.unwrap();
    delegations(plane.client().await.unwrap(), &namespace)
}
