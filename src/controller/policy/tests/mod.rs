//! What a status says, of what was found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use countersign_api::{AgentPolicy, AgentPolicyStatus, ClusterAgentPolicy};
use countersign_runtime::ObjectKey;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

use super::judge::{Refused, Verdict, judge};
use super::plan::plan;
use super::{Kind as _, Policies};

const READ: &str = r#"permit (principal, action == Countersign::Action::"read", resource);"#;
const TYPO: &str = "permit (principal, action, resource)\nwhen { resource.sensitvity > 2 };";

fn policy(generation: i64, cedar: &str) -> AgentPolicy {
    object(
        generation,
        json!({"policies": [{"id": "one", "cedar": cedar}]}),
    )
}

fn object<K: serde::de::DeserializeOwned + kube::Resource<DynamicType = ()>>(
    generation: i64,
    spec: Value,
) -> K {
    serde_json::from_value(json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {
            "name": "readers", "namespace": "finance", "uid": "uid-1", "generation": generation,
        },
        "spec": spec,
    }))
    .unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// The next status of an object, as a pass without memory plans it.
fn pass(object: &AgentPolicy) -> AgentPolicyStatus {
    plan(object, &judge(object), None, now())
}

fn said(status: &AgentPolicyStatus) -> Vec<(&str, &str, &str)> {
    let conditions = status.conditions.iter();
    conditions
        .map(|it| (it.type_.as_str(), it.status.as_str(), it.reason.as_str()))
        .collect()
}

fn in_effect(status: &AgentPolicyStatus) -> Option<i64> {
    status.in_effect.as_ref().map(|it| it.generation)
}

#[test]
fn what_compiles_is_in_effect_as_its_mode_says() {
    for (mode, reason) in [
        ("Enforce", "InEffect"),
        ("Audit", "Audit"),
        ("Disabled", "Disabled"),
    ] {
        let spec = json!({"mode": mode, "policies": [{"id": "one", "cedar": READ}]});
        let object: AgentPolicy = object(4, spec);
        let status = pass(&object);
        assert_eq!(said(&status), [("Ready", "True", reason)]);
        assert_eq!(status.observed_generation, Some(4));
        let kept = status.in_effect.unwrap();
        assert_eq!((kept.generation, kept.mode), (4, object.spec.mode));
        assert_eq!(kept.policies, object.spec.policies);
        assert!(kept.digest.starts_with("sha256:"), "{}", kept.digest);
    }
}

#[test]
fn a_bad_change_is_stalled_with_its_place_and_what_was_before_stays() {
    let mut object = policy(1, READ);
    object.status = Some(pass(&object));
    let before = object.status.clone().unwrap();
    object.metadata.generation = Some(2);
    object.spec = policy(2, TYPO).spec;
    let status = pass(&object);
    assert_eq!(
        said(&status),
        [
            ("Ready", "False", "Invalid"),
            ("Stalled", "True", "Invalid")
        ]
    );
    assert_eq!(status.in_effect, before.in_effect, "word for word");
    let message = &status.conditions[0].message;
    for words in [
        r#"policy "one", line 2, column "#,
        "generation 1 stays in effect",
    ] {
        assert!(message.contains(words), "{message}");
    }
    // The same again says the same.
    object.status = Some(status.clone());
    assert_eq!(pass(&object), status);
    // And back.
    object.metadata.generation = Some(3);
    object.spec = policy(3, READ).spec;
    let status = pass(&object);
    assert_eq!(said(&status), [("Ready", "True", "InEffect")]);
    assert_eq!(in_effect(&status), Some(3));
}

#[test]
fn what_never_compiled_leaves_nothing() {
    let status = pass(&policy(1, TYPO));
    assert_eq!(in_effect(&status), None);
    let message = &status.conditions[1].message;
    assert!(
        message.ends_with("; nothing of it is in effect"),
        "{message}"
    );
}

#[test]
fn all_problems_are_counted_and_a_test_that_fails_has_its_own_reason() {
    let spec = json!({
        "policies": [{"id": "one", "cedar": TYPO}, {"id": "two", "cedar": "permit"}],
    });
    let status = pass(&object(1, spec));
    let message = &status.conditions[0].message;
    assert!(message.contains("(and 1 more problem)"), "{message}");

    let spec = json!({
        "policies": [{"id": "one", "cedar": READ}],
        "tests": [{
            "name": "nobody reads",
            "request": {
                "principal": {"name": "reader"}, "action": "read",
                "resource": {"path": "ledger", "sensitivity": "Public"},
            },
            "expect": {"decision": "Deny"},
        }],
    });
    let status = pass(&object(1, spec));
    assert_eq!(said(&status)[1], ("Stalled", "True", "TestsFailed"));
    let message = &status.conditions[0].message;
    assert!(message.contains("nobody reads"), "{message}");
}

#[test]
fn a_good_spec_whose_status_was_never_written_is_not_forgotten() {
    let all: Policies<AgentPolicy> = Policies::default();
    let key = ObjectKey::new(Some("finance"), "readers");
    let good = Arc::new(policy(1, READ));
    all.judge(&key, &good, &Arc::new(judge(&*good)));
    assert!(all.verdict(&key, &good).is_some());
    // The write fails, and meanwhile somebody breaks it.
    let bad = Arc::new(policy(2, TYPO));
    assert!(all.verdict(&key, &bad).is_none());
    let verdict = Arc::new(judge(&*bad));
    all.judge(&key, &bad, &verdict);
    let kept = all.unwritten(&key);
    let unwritten = kept.as_ref().map(|(good, digest)| (&**good, &**digest));
    let status = plan(&*bad, &verdict, unwritten, now());
    assert_eq!(in_effect(&status), Some(1));
    let stored = status.in_effect.unwrap();
    assert_eq!(stored.policies, good.spec.policies);
    all.written(&key);
    assert!(all.unwritten(&key).is_none());

    // Of another object under the same name nothing counts.
    all.judge(&key, &good, &Arc::new(judge(&*good)));
    let mut other = policy(1, TYPO);
    other.metadata.uid = Some("uid-2".to_owned());
    let other = Arc::new(other);
    assert!(all.verdict(&key, &other).is_none());
    all.judge(&key, &other, &verdict);
    assert!(all.unwritten(&key).is_none());
}

#[test]
fn what_the_status_tells_is_not_set_back_by_an_older_memory() {
    let mut object = policy(5, TYPO);
    let later = policy(4, READ);
    object.status = Some(pass(&later));
    let older = policy(3, "forbid (principal, action, resource);");
    let verdict = judge(&object);
    let status = plan(&object, &verdict, Some((&older, "sha256:0")), now());
    assert_eq!(in_effect(&status), Some(4));
}

#[test]
fn all_that_a_cluster_policy_sets_is_kept() {
    let spec = json!({
        "policies": [{"id": "one", "cedar": READ}],
        "resources": [{"pattern": "ledger/*", "sensitivity": "Confidential", "residency": ["eu"]}],
        "risk": {"suspendAt": 80, "resumeBelow": 30},
        "recordFirst": "Internal",
        "onStale": "UntilCertificatesExpire",
    });
    let mut object: ClusterAgentPolicy = object(1, spec);
    object.metadata.namespace = None;
    let status = plan(&object, &judge(&object), None, now());
    let kept = status.in_effect.clone().unwrap();
    assert_eq!(kept, object.spec_in_effect(&kept.digest));
    object.status = Some(status);
    let good = countersign_policies::in_force(&object, None).good.unwrap();
    let (_, source, rules) = countersign_policies::PolicyObject::before(&object).unwrap();
    assert_eq!(
        rules, good.rules,
        "a decision point reads the same from the status"
    );
    assert_eq!(source.name, good.compiled.name());
}

#[test]
fn a_spec_that_was_lost_says_so() {
    let why = Refused {
        reason: "Invalid",
        first: "policy \"one\", line 1, column 1: no.".to_owned(),
        more: 2,
        lost: true,
    };
    let mut object = policy(2, TYPO);
    object.status = Some(pass(&policy(1, READ)));
    let status = plan(&object, &Verdict::Refused(why), None, now());
    let message = &status.conditions[0].message;
    assert!(
        message.contains(
            "no (and 2 more problems); generation 1, which was in effect, can't be compiled"
        ),
        "{message}"
    );
}
