//! AgentPolicy and ClusterAgentPolicy: what the operator says of them, and the risk that suspends.

use std::path::Path;

use countersign_api::{AgentIdentity, AgentPolicy, ClusterAgentPolicy};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{Space, World, eventually, job};
use crate::support::{create, delete, find, is, serial, unique, until};

const READ: &str = r#"permit (principal, action == Countersign::Action::"read", resource);"#;
const TYPO: &str = "permit (principal, action, resource)\nwhen { resource.sensitvity > 2 };";

fn policies(space: &Space) -> Api<AgentPolicy> {
    Api::namespaced(space.client.clone(), &space.name)
}

fn policy(name: &str, cedar: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name},
        "spec": {"policies": [{"id": "one", "cedar": cedar}]},
    })
}

async fn change(all: &Api<AgentPolicy>, name: &str, spec: Value) -> AgentPolicy {
    let patch = Patch::Merge(json!({"spec": spec}));
    all.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap()
}

/// Waits until the operator has said something of this very generation.
async fn judged(all: &Api<AgentPolicy>, object: &AgentPolicy) -> AgentPolicy {
    let generation = object.metadata.generation;
    let name = object.metadata.name.as_deref().unwrap();
    until(all, name, "judged", |it| {
        it.status.as_ref().and_then(|it| it.observed_generation) == generation
    })
    .await
}

fn said(object: &AgentPolicy) -> Vec<(String, String, String)> {
    let status = object.status.as_ref().unwrap();
    let conditions = status.conditions.iter();
    conditions
        .map(|it| (it.type_.clone(), it.status.clone(), it.reason.clone()))
        .collect()
}

fn in_effect(object: &AgentPolicy) -> Option<(i64, String)> {
    let found = object.status.as_ref()?.in_effect.as_ref()?;
    Some((found.generation, found.digest.clone()))
}

fn stalled(object: &AgentPolicy, reason: &str) -> String {
    let found = find(object, "Stalled").unwrap_or_else(|| panic!("{object:?}"));
    assert_eq!(
        (found.status.as_str(), found.reason.as_str()),
        ("True", reason)
    );
    assert!(!is(object, "Ready"));
    found.message
}

#[tokio::test]
async fn a_good_policy_is_in_effect_and_can_be_waited_for() {
    let world = World::shared().await;
    let space = world.space("policy").await;
    let all = policies(&space);
    create(&all, policy("readers", READ)).await.unwrap();
    let wait = [
        "wait",
        "--for=condition=Ready",
        "--timeout=30s",
        "-n",
        &space.name,
        "agpol/readers",
    ];
    world.plane().kubectl(&wait).await.unwrap();
    let it = all.get("readers").await.unwrap();
    assert_eq!(
        said(&it),
        [("Ready".into(), "True".into(), "InEffect".into())]
    );
    let (generation, digest) = in_effect(&it).unwrap();
    assert_eq!(generation, 1);
    assert!(
        digest.starts_with("sha256:") && digest.len() == 71,
        "{digest}"
    );
}

#[tokio::test]
async fn a_bad_change_is_stalled_with_its_place_and_what_was_before_stays() {
    let world = World::shared().await;
    let space = world.space("policy").await;
    let all = policies(&space);
    let made = create(&all, policy("readers", READ)).await.unwrap();
    let good = judged(&all, &made).await;

    let bad = change(
        &all,
        "readers",
        json!({"policies": [{"id": "one", "cedar": TYPO}]}),
    )
    .await;
    let it = judged(&all, &bad).await;
    let message = stalled(&it, "Invalid");
    for words in [
        r#"policy "one", line 2, column "#,
        "sensitvity",
        "generation 1 stays in effect",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(in_effect(&it), in_effect(&good));
    let kept = it.status.unwrap().in_effect.unwrap();
    assert_eq!(kept.policies[0].cedar, READ);
    let wait = [
        "wait",
        "--for=condition=Stalled",
        "--timeout=30s",
        "-n",
        &space.name,
        "agpol/readers",
    ];
    world.plane().kubectl(&wait).await.unwrap();
    eventually("the event", async || {
        let describe = ["describe", "agpol", "readers", "-n", &space.name];
        let text = world.plane().kubectl(&describe).await.unwrap();
        text.contains("Warning").then_some(())
    })
    .await;

    let forbid = "forbid (principal, action, resource);";
    let better = change(
        &all,
        "readers",
        json!({"policies": [{"id": "one", "cedar": forbid}]}),
    )
    .await;
    let it = judged(&all, &better).await;
    assert!(is(&it, "Ready") && find(&it, "Stalled").is_none());
    assert_eq!(in_effect(&it).unwrap().0, 3);
    assert_ne!(in_effect(&it), in_effect(&good));
}

#[tokio::test]
async fn a_policy_that_was_never_good_says_that_nothing_is_in_effect() {
    let world = World::shared().await;
    let space = world.space("policy").await;
    let all = policies(&space);
    let made = create(&all, policy("readers", TYPO)).await.unwrap();
    let it = judged(&all, &made).await;
    let message = stalled(&it, "Invalid");
    assert!(message.contains("nothing of it is in effect"), "{message}");
    assert_eq!(in_effect(&it), None);
    // Gone and made again, it is another one.
    delete(&all, "readers").await;
    let made = create(&all, policy("readers", READ)).await.unwrap();
    assert!(is(&judged(&all, &made).await, "Ready"));
}

#[tokio::test]
async fn a_test_of_its_own_that_fails_keeps_a_change_out() {
    let world = World::shared().await;
    let space = world.space("policy").await;
    let all = policies(&space);
    let mut object = policy("readers", READ);
    let test = |decision: &str| {
        json!([{
            "name": "restricted data is closed",
            "request": {
                "principal": {"name": "reader"}, "action": "read",
                "resource": {"path": "payroll/7", "sensitivity": "Restricted"},
            },
            "expect": {"decision": decision},
        }])
    };
    object["spec"]["tests"] = test("Allow");
    let made = create(&all, object).await.unwrap();
    assert!(is(&judged(&all, &made).await, "Ready"));
    let changed = change(&all, "readers", json!({"tests": test("Deny")})).await;
    let it = judged(&all, &changed).await;
    let message = stalled(&it, "TestsFailed");
    assert!(message.contains("restricted data is closed"), "{message}");
    assert!(
        message.contains("generation 1 stays in effect"),
        "{message}"
    );
    let narrower = "permit (principal, action, resource) when { resource.sensitivity < 3 };";
    let fixed = json!({"policies": [{"id": "one", "cedar": narrower}]});
    let fixed = change(&all, "readers", fixed).await;
    assert!(is(&judged(&all, &fixed).await, "Ready"));
}

#[tokio::test]
async fn a_mode_is_told_by_the_reason() {
    let world = World::shared().await;
    let space = world.space("policy").await;
    let all = policies(&space);
    create(&all, policy("readers", READ)).await.unwrap();
    for mode in ["Audit", "Disabled", "Enforce"] {
        let changed = change(&all, "readers", json!({"mode": mode})).await;
        let it = judged(&all, &changed).await;
        let reason = if mode == "Enforce" { "InEffect" } else { mode };
        assert_eq!(said(&it), [("Ready".into(), "True".into(), reason.into())]);
    }
    // What is only checked is checked all the same.
    let broken = json!({"mode": "Disabled", "policies": [{"id": "one", "cedar": TYPO}]});
    let broken = change(&all, "readers", broken).await;
    stalled(&judged(&all, &broken).await, "Invalid");
}

#[tokio::test]
async fn the_examples_are_in_effect_and_the_refused_one_is_not() {
    // What they say is about all agents of a cluster.
    let world = World::own().await;
    let _operator = world.operator("own", &[]);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let apply = async |file: &str| {
        let file = examples.join(file);
        let args = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            file.to_str().unwrap(),
        ];
        world.plane().kubectl(&args).await.unwrap();
    };
    let client = world.client().await;
    let finance = json!({"metadata": {"name": "finance"}});
    let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(client.clone());
    create(&namespaces, finance).await.unwrap();
    apply("70-policies.yaml").await;
    let all: Api<AgentPolicy> = Api::namespaced(client.clone(), "finance");
    until(&all, "ledger", "in effect", |it| is(it, "Ready")).await;
    let guards: Api<ClusterAgentPolicy> = Api::all(client);
    until(&guards, "guard", "in effect", |it| is(it, "Ready")).await;
    apply("refused/policy-typo.yaml").await;
    let it = until(&all, "ledger", "refused", |it| is(it, "Stalled")).await;
    let message = stalled(&it, "Invalid");
    assert!(message.contains("(and 1 more problem)"), "{message}");
    assert_eq!(in_effect(&it).unwrap().0, 1);
}

#[tokio::test]
async fn what_broke_while_no_operator_ran_leaves_what_was_before() {
    let world = World::own().await;
    let space = world.space("policy").await;
    let all = policies(&space);
    let operator = world.operator("first", &[]);
    let made = create(&all, policy("readers", READ)).await.unwrap();
    let good = judged(&all, &made).await;
    drop(operator);
    let bad = change(
        &all,
        "readers",
        json!({"policies": [{"id": "one", "cedar": TYPO}]}),
    )
    .await;
    let _operator = world.operator("second", &[]);
    let it = judged(&all, &bad).await;
    stalled(&it, "Invalid");
    assert_eq!(in_effect(&it), in_effect(&good));
}

#[tokio::test]
async fn many_policies_at_once_hold_no_identity_up() {
    let world = World::shared().await;
    let space = world.space("many").await;
    let objects: Vec<Value> = (0..1000)
        .map(|it| {
            let mut object = policy(&format!("p{it}"), READ);
            object["metadata"]["namespace"] = json!(space.name);
            object
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let apply = ["create", "-f", "-"];
    let (plane, meanwhile) = (world.plane(), world.space("meanwhile").await);
    let applied = plane.kubectl_with_input(&apply, &list);
    let served = async {
        let mut slowest = std::time::Duration::ZERO;
        for round in 0..10 {
            let begun = std::time::Instant::now();
            meanwhile
                .running(&format!("agent-{round}"), json!({}))
                .await;
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (applied, slowest) = futures::join!(applied, served);
    applied.unwrap();
    assert!(slowest < std::time::Duration::from_secs(20), "{slowest:?}");
    let all = policies(&space);
    eventually("all of them judged", async || {
        let found = all.list(&kube::api::ListParams::default()).await.unwrap();
        found.items.iter().all(|it| is(it, "Ready")).then_some(())
    })
    .await;
}

/// Writes a risk as the decision point does.
async fn put_risk(space: &Space, name: &str, state: &str, score: i64) -> AgentIdentity {
    let body = json!({
        "apiVersion": "countersign.dev/v1alpha1", "kind": "AgentIdentity",
        "metadata": {"name": name},
        "status": {"risk": {
            "state": state, "score": score, "anomaly": 12,
            "reason": "caep/risk-level-change", "observedTime": "2026-11-24T12:00:00Z",
        }},
    });
    let (decide, body) = (PatchParams::apply("countersign-decide"), Patch::Apply(body));
    let identities = space.identities();
    let put = identities.patch_status(name, &decide, &body);
    put.await.unwrap()
}

#[tokio::test]
async fn a_risk_takes_the_credential_away_until_it_is_normal_again() {
    // Without a decision point, whose part this plays.
    let world = World::own().await;
    let _operator = world.operator("own", &["--secret-namespaces", "*"]);
    let space = world.space("risk").await;
    let before = space.running("reader", json!({})).await;
    put_risk(&space, "reader", "Suspended", 91).await;
    space.until_no_secret("reader-identity").await;
    let it = space
        .until("reader", "suspended", |it| is(it, "Suspended"))
        .await;
    let why = find(&it, "Suspended").unwrap();
    assert_eq!(why.reason, "RiskTooHigh");
    for words in ["91 of 100", "caep/risk-level-change"] {
        assert!(why.message.contains(words), "{}", why.message);
    }
    assert!(find(&it, "Ready").is_none());
    let risk = it.status.unwrap().risk.unwrap();
    assert_eq!(
        (risk.score, risk.anomaly),
        (91, 12),
        "the operator leaves it as it is"
    );

    put_risk(&space, "reader", "Normal", 20).await;
    let after = space.until_ready("reader").await;
    assert_ne!(serial(&after), serial(&before));
    assert!(find(&after, "Suspended").is_none());
    assert_eq!(after.status.unwrap().risk.unwrap().score, 20);
}

#[tokio::test]
async fn nothing_is_issued_to_who_is_at_risk_and_its_end_ends_it() {
    // Without a decision point, whose part this plays.
    let world = World::own().await;
    let _operator = world.operator("own", &["--secret-namespaces", "*"]);
    let space = world.space("risk").await;
    let name = unique("early");
    space
        .create_identity(&crate::harness::identity(&name, "jobs.batch/work"))
        .await;
    put_risk(&space, &name, "Suspended", 85).await;
    space
        .until(&name, "suspended", |it| is(it, "Suspended"))
        .await;
    space.create_job(&job("work")).await;
    space.looked_at(&name).await;
    assert!(space.secret(&format!("{name}-identity")).await.is_none());
    put_risk(&space, &name, "Normal", 0).await;
    space.until_ready(&name).await;
    put_risk(&space, &name, "Suspended", 99).await;
    space.until_no_secret(&format!("{name}-identity")).await;
    space.finish_job("work", "Succeeded").await;
    assert_eq!(space.until_completed(&name).await, "TaskSucceeded");
}
