//! What the schemas of AgentPolicy and ClusterAgentPolicy take and refuse, and what people read.

use countersign_api::{AgentIdentity, AgentPolicy, ClusterAgentPolicy, PolicyMode};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{
    User, agent_policies, allow, cluster_agent_policies, create, identities, installed, patch,
    refusal,
};
use crate::samples;

#[tokio::test]
async fn every_field_is_kept_as_it_was_written() {
    let client = installed().await.client().await.unwrap();
    let all = namespaced("whole").await;
    let sample = samples::agent_policy("whole");
    let made = create(&all, sample.clone()).await.unwrap();
    assert_eq!(made.data["spec"], sample["spec"]);
    let read: AgentPolicy = serde_json::from_value(json!(made)).unwrap();
    assert_eq!(json!(read.spec), sample["spec"]);

    let all = cluster_agent_policies(client);
    let sample = samples::cluster_agent_policy("whole.example");
    let made = create(&all, sample.clone()).await.unwrap();
    assert_eq!(made.data["spec"], sample["spec"]);
    let read: ClusterAgentPolicy = serde_json::from_value(json!(made)).unwrap();
    assert_eq!(json!(read.spec), sample["spec"]);
}

#[tokio::test]
async fn the_least_of_each_is_enough_and_nobody_takes_it_for_ready() {
    let all = namespaced("least").await;
    let mut least = samples::agent_policy("least");
    least["spec"] =
        json!({"policies": [{"id": "a", "cedar": "permit (principal, action, resource);"}]});
    let made = create(&all, least).await.unwrap();
    let read: AgentPolicy = serde_json::from_value(json!(made)).unwrap();
    assert_eq!(read.spec.mode, PolicyMode::Enforce);
    let status = read.status.unwrap();
    assert_eq!(
        (status.observed_generation, &status.in_effect),
        (Some(0), &None)
    );
    assert_eq!(status.conditions[0].reason, "Pending");
    assert_eq!(status.conditions[0].status, "Unknown");

    let client = installed().await.client().await.unwrap();
    let mut least = samples::cluster_agent_policy("least.example");
    least["spec"] = json!({});
    let made = create(&cluster_agent_policies(client), least)
        .await
        .unwrap();
    let read: ClusterAgentPolicy = serde_json::from_value(json!(made)).unwrap();
    assert_eq!((read.spec.record_first, read.spec.on_stale), (None, None));
    assert_eq!(read.status.unwrap().conditions[0].status, "Unknown");
}

#[tokio::test]
async fn a_policy_holds_no_junk() {
    let all = namespaced("policies").await;
    let policy = |id: &str| json!({"id": id, "cedar": "permit (principal, action, resource);"});
    let many: Vec<Value> = (0..65).map(|it| policy(&format!("p{it}"))).collect();
    let large: Vec<Value> = (0..26)
        .map(|it| json!({"id": format!("p{it}"), "cedar": "p".repeat(10_240)}))
        .collect();
    create(&all, with("policies", json!(many[..64])))
        .await
        .unwrap();
    for (bad, wanted) in [
        (json!([]), "spec.policies: Invalid value"),
        (json!(null), "spec.policies: Required value"),
        (json!(many), "spec.policies: Too many"),
        (json!(large), "must not have more than 262144 bytes"),
        (
            json!([policy("a"), policy("a")]),
            "spec.policies[1]: Duplicate value",
        ),
        (json!([policy("A")]), "spec.policies[0].id"),
        (json!([policy("")]), "spec.policies[0].id"),
        (json!([policy("a.b")]), "spec.policies[0].id"),
        (json!([policy("a/b")]), "spec.policies[0].id"),
        (
            json!([policy(&"a".repeat(64))]),
            "spec.policies[0].id: Too long",
        ),
        (
            json!([{"id": "a"}]),
            "spec.policies[0].cedar: Required value",
        ),
        (json!([{"id": "a", "cedar": ""}]), "spec.policies[0].cedar"),
        (
            json!([{"id": "a", "cedar": "p".repeat(10_241)}]),
            "spec.policies[0].cedar: Too long",
        ),
        (
            json!([{"id": "a", "cedar": "permit", "obligations": [{"type": "Step Up"}]}]),
            "spec.policies[0].obligations[0].type",
        ),
        (
            json!([{"id": "a", "cedar": "permit", "obligations": [{"type": "a", "properties": {"": "b"}}]}]),
            "keys must have 1 to 63 characters",
        ),
        (
            json!([{"id": "a", "cedar": "permit", "obligations": vec![json!({"type": "a"}); 9]}]),
            "spec.policies[0].obligations: Too many",
        ),
    ] {
        let why = refusal(create(&all, with("policies", bad)).await);
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
    let mut fine = samples::agent_policy("long");
    fine["spec"]["policies"][0]["cedar"] = json!("p".repeat(10_240));
    create(&all, fine).await.unwrap();
    let why = refusal(create(&all, with("mode", json!("enforce"))).await);
    assert!(why.contains("spec.mode: Unsupported value"), "{why}");
}

#[tokio::test]
async fn a_test_of_a_policy_holds_no_junk() {
    let all = namespaced("tests").await;
    for (path, bad, wanted) in [
        ("/name", json!(""), "tests[0].name"),
        ("/request/action", json!("*"), "tests[0].request.action"),
        ("/request/action", json!("re ad"), "tests[0].request.action"),
        ("/request/principal/name", json!("A"), "principal.name"),
        (
            "/request/principal/namespace",
            json!("finance"),
            "must not be set: it is always the namespace",
        ),
        ("/request/resource/path", json!("ledger/*"), "resource.path"),
        ("/request/resource/path", json!("/ledger"), "resource.path"),
        (
            "/request/resource/path",
            json!("ledger/../payroll"),
            "resource.path",
        ),
        (
            "/request/resource/sensitivity",
            json!("High"),
            "resource.sensitivity",
        ),
        (
            "/request/resource/sensitivity",
            json!(null),
            "resource.sensitivity: Required value",
        ),
        (
            "/request/resource/residency",
            json!(["eu", "eu"]),
            "resource.residency[1]: Duplicate",
        ),
        ("/request/context/risk", json!(101), "context.risk"),
        ("/request/context/risk", json!(-1), "context.risk"),
        (
            "/request/context/delegationDepth",
            json!(0),
            "context.delegationDepth",
        ),
        (
            "/request/context/delegationDepth",
            json!(17),
            "context.delegationDepth",
        ),
        ("/request/context/effect", json!(true), "context.effect"),
        (
            "/request/context/sourceIP",
            json!("10.0.0"),
            "must be an IP address",
        ),
        (
            "/request/context/sourceIP",
            json!("10.0.0.0/8"),
            "must be an IP address",
        ),
        ("/expect/decision", json!(true), "expect.decision"),
        ("/expect/policies", json!(["A"]), "expect.policies[0]"),
    ] {
        let mut object = samples::agent_policy("bad");
        let test = &mut object["spec"]["tests"][0];
        if path.ends_with("/namespace") {
            test["request"]["principal"]["namespace"] = bad.clone();
        } else {
            *test.pointer_mut(path).unwrap() = bad.clone();
        }
        let why = refusal(create(&all, object).await);
        assert!(why.contains(wanted), "{path} {bad}: {why}");
    }
    let mut twice = samples::agent_policy("bad");
    let test = twice["spec"]["tests"][0].clone();
    twice["spec"]["tests"] = json!([test, test]);
    let why = refusal(create(&all, twice).await);
    assert!(why.contains("spec.tests[1]: Duplicate value"), "{why}");
}

#[tokio::test]
async fn what_a_cluster_policy_sets_is_bounded() {
    let all = cluster_agent_policies(installed().await.client().await.unwrap());
    let class = |pattern: &str| json!({"pattern": pattern, "sensitivity": "Internal"});
    let many = |count: usize, length: usize| -> Value {
        let pattern = |it: usize| format!("{it:0length$}");
        (0..count).map(|it| class(&pattern(it))).collect()
    };
    for (field, bad, wanted) in [
        ("resources", many(1025, 4), "spec.resources: Too many"),
        (
            "resources",
            many(300, 256),
            "must not have more than 65536 bytes",
        ),
        (
            "resources",
            json!([class("a"), class("a")]),
            "spec.resources[1]: Duplicate value",
        ),
        (
            "resources",
            json!([class("a*")]),
            "spec.resources[0].pattern",
        ),
        (
            "resources",
            json!([{"pattern": "a"}]),
            "spec.resources[0].sensitivity: Required value",
        ),
        ("risk", json!({}), "spec.risk.suspendAt: Required value"),
        ("risk", json!({"suspendAt": 0}), "spec.risk.suspendAt"),
        ("risk", json!({"suspendAt": 101}), "spec.risk.suspendAt"),
        (
            "risk",
            json!({"suspendAt": 80, "resumeBelow": 0}),
            "spec.risk.resumeBelow",
        ),
        (
            "risk",
            json!({"suspendAt": 80, "resumeBelow": 81}),
            "must not be more than `suspendAt`",
        ),
        ("recordFirst", json!("Secret"), "spec.recordFirst"),
        ("onStale", json!("Allow"), "spec.onStale"),
    ] {
        let mut object = samples::cluster_agent_policy("bad.example");
        object["spec"][field] = bad;
        let why = refusal(create(&all, object).await);
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
    let mut most = samples::cluster_agent_policy("most.example");
    most["spec"]["resources"] = many(1024, 64);
    create(&all, most).await.unwrap();
}

#[tokio::test]
async fn the_largest_object_and_its_status_fit() {
    let all = cluster_agent_policies(installed().await.client().await.unwrap());
    let mut object = samples::cluster_agent_policy("largest.example");
    let policies: Value = (0..25)
        .map(|it| json!({"id": format!("p{it}"), "cedar": "p".repeat(10_240)}))
        .collect();
    let resources: Value = (0..1024)
        .map(|it| {
            let region = |which: usize| format!("{which}{}", "r".repeat(31));
            let residency: Vec<String> = (0..4).map(region).collect();
            json!({"pattern": format!("{it:064}"), "sensitivity": "Confidential", "residency": residency})
        })
        .collect();
    for part in ["spec", "status"] {
        let place = if part == "spec" {
            &mut object["spec"]
        } else {
            &mut object["status"]["inEffect"]
        };
        place["policies"] = policies.clone();
        place["resources"] = resources.clone();
    }
    create(&all, object.clone()).await.unwrap();
    let status = json!({"status": object["status"]});
    all.patch_status(
        "largest.example",
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn appliers_share_the_lists_of_an_object() {
    let all = namespaced("shared").await;
    let apply = async |who: &str, id: &str| {
        let object = json!({
            "apiVersion": "countersign.dev/v1alpha1", "kind": "AgentPolicy",
            "metadata": {"name": "shared"},
            "spec": {"policies": [{"id": id, "cedar": "permit (principal, action, resource);"}]},
        });
        all.patch("shared", &PatchParams::apply(who), &Patch::Apply(object))
            .await
            .unwrap()
    };
    apply("one", "a").await;
    let both = apply("two", "b").await;
    assert_eq!(both.data["spec"]["policies"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_risk_of_an_identity_is_the_decision_points_alone() {
    let plane = installed().await;
    let client = plane.client().await.unwrap();
    let namespace = plane.namespace("risk").await.unwrap();
    let all = identities(client.clone(), &namespace);
    create(&all, samples::identity("a")).await.unwrap();
    let risk = |state: &str, score: i64| {
        json!({
            "apiVersion": "countersign.dev/v1alpha1", "kind": "AgentIdentity",
            "metadata": {"name": "a"},
            "status": {"risk": {
                "state": state, "score": score, "reason": "caep/risk-level-change",
                "observedTime": "2026-11-24T12:00:00Z",
            }},
        })
    };
    let decide = PatchParams::apply("countersign-decide");
    let put = async |body: Value| all.patch_status("a", &decide, &Patch::Apply(body)).await;
    put(risk("Suspended", 91)).await.unwrap();
    let why = refusal(put(risk("Suspended", 101)).await);
    assert!(why.contains("status.risk.score"), "{why}");
    let why = refusal(put(risk("suspended", 1)).await);
    assert!(why.contains("status.risk.state"), "{why}");
    // What the operator writes leaves it alone.
    let operators = json!({"status": {"observedGeneration": 1}});
    all.patch_status("a", &PatchParams::default(), &Patch::Merge(operators))
        .await
        .unwrap();
    let read = Api::<AgentIdentity>::namespaced(client, &namespace);
    let status = read.get("a").await.unwrap().status.unwrap();
    assert_eq!(status.risk.unwrap().score, 91);
    assert_eq!(
        status.conditions[0].reason, "Pending",
        "and it leaves the rest alone"
    );
    put(risk("Normal", 12)).await.unwrap();
}

#[tokio::test]
async fn who_may_write_policies_is_plain_rbac() {
    let plane = installed().await;
    let namespace = plane.namespace("rbac").await.unwrap();
    let user = User::named("policy-writer");
    let theirs = agent_policies(user.client().await, &namespace);
    let why = refusal(create(&theirs, samples::agent_policy("a")).await);
    assert!(
        why.contains("cannot create resource \"agentpolicies\""),
        "{why}"
    );
    let verbs = ["create", "patch"];
    allow(
        &user.name,
        Some(&namespace),
        "countersign.dev",
        "agentpolicies",
        &verbs,
    )
    .await;
    create(&theirs, samples::agent_policy("a")).await.unwrap();
    let off = json!({"spec": {"mode": "Disabled"}});
    patch(&theirs, "a", off).await.unwrap();
    // Neither what counts of it, nor anything about other namespaces.
    let status = Patch::Merge(json!({"status": {"observedGeneration": 1}}));
    let params = PatchParams::default();
    let why = refusal(theirs.patch_status("a", &params, &status).await);
    assert!(why.contains("agentpolicies/status"), "{why}");
    let all = cluster_agent_policies(user.client().await);
    let why = refusal(create(&all, samples::cluster_agent_policy("a")).await);
    assert!(why.contains("clusteragentpolicies"), "{why}");
}

#[tokio::test]
async fn columns_tell_how_policies_stand() {
    let plane = installed().await;
    let namespace = plane.namespace("columns").await.unwrap();
    let all = agent_policies(plane.client().await.unwrap(), &namespace);
    create(&all, samples::agent_policy("a")).await.unwrap();
    let mut status = samples::agent_policy("a")["status"].clone();
    status["conditions"] = json!([{
        "type": "Ready", "status": "True", "reason": "InEffect", "message": "",
        "lastTransitionTime": "2026-11-24T10:00:00Z",
    }]);
    let status = Patch::Merge(json!({"status": status}));
    all.patch_status("a", &PatchParams::default(), &status)
        .await
        .unwrap();
    let get = async |args: &[&str]| {
        let args = [&["get", "agpol", "-n", &namespace], args].concat();
        let table = plane.kubectl(&args).await.unwrap();
        let rows: Vec<Vec<String>> = table
            .lines()
            .map(|row| row.split_whitespace().map(str::to_owned).collect())
            .collect();
        rows
    };
    let rows = get(&[]).await;
    assert_eq!(rows[0], ["NAME", "MODE", "READY", "REASON", "AGE"]);
    assert_eq!(rows[1][..4], ["a", "Enforce", "True", "InEffect"]);
    let wide = get(&["-o", "wide"]).await;
    assert_eq!(wide[1][4], "1");
    assert!(wide[1][5].starts_with("sha256:"));
    let selected = get(&["--field-selector", "spec.mode=Audit", "-o", "name"]).await;
    assert!(selected.is_empty());
}

fn with(field: &str, value: Value) -> Value {
    let mut object = samples::agent_policy("bad");
    object["spec"][field] = value;
    if object["spec"]["policies"]
        .as_array()
        .is_none_or(|it| it.len() != 1)
    {
        object["spec"]["tests"] = json!([]);
    }
    object
}

async fn namespaced(prefix: &str) -> Api<DynamicObject> {
    let plane = installed().await;
    let namespace = plane.namespace(prefix).await.unwrap();
    agent_policies(plane.client().await.unwrap(), &namespace)
}
