//! A bad spec never replaces a good one.

use countersign_api::{AgentPolicy, AgentPolicyStatus, PoliciesInEffect};

use super::{READ, TYPO, policy};
use crate::{Good, InForce, in_force};

/// The object as its status tells of `good`.
fn told(mut object: AgentPolicy, good: &AgentPolicy) -> AgentPolicy {
    let before = in_force(good, None).good.unwrap();
    object.status = Some(AgentPolicyStatus {
        in_effect: Some(PoliciesInEffect {
            generation: before.generation,
            digest: before.compiled.digest().to_owned(),
            mode: good.spec.mode,
            policies: good.spec.policies.clone(),
        }),
        ..AgentPolicyStatus::default()
    });
    object
}

fn generation(found: &InForce) -> Option<i64> {
    found.good.as_ref().map(|good| good.generation)
}

fn good(object: &AgentPolicy) -> Good {
    in_force(object, None).good.unwrap()
}

#[test]
fn what_compiles_counts() {
    let found = in_force(&policy(3, READ), None);
    assert_eq!(generation(&found), Some(3));
    assert!(found.problems.is_empty() && !found.tests_failed && !found.lost);
}

#[test]
fn what_never_compiled_leaves_nothing_and_says_where() {
    let found = in_force(&policy(1, TYPO), None);
    assert!(found.good.is_none() && !found.lost && !found.tests_failed);
    let first = &found.problems[0];
    assert_eq!(
        (first.policy.as_deref(), first.line),
        (Some("one"), 2),
        "{first}"
    );
}

#[test]
fn a_bad_change_leaves_what_the_status_holds() {
    let object = told(policy(2, TYPO), &policy(1, READ));
    let found = in_force(&object, None);
    assert_eq!(generation(&found), Some(1));
    assert!(!found.problems.is_empty() && !found.lost);
    let digest = found.good.unwrap().compiled.digest().to_owned();
    let status = object.status.unwrap().in_effect.unwrap();
    assert_eq!(digest, status.digest, "tests are no part of it");
}

#[test]
fn the_later_of_memory_and_status_stays() {
    let forbid = "forbid (principal, action, resource);";
    let object = told(policy(5, TYPO), &policy(3, READ));
    assert_eq!(
        generation(&in_force(&object, Some(&good(&policy(4, forbid))))),
        Some(4)
    );
    assert_eq!(
        generation(&in_force(&object, Some(&good(&policy(2, forbid))))),
        Some(3)
    );
}

#[test]
fn what_another_object_of_that_name_was_does_not_count() {
    let mut other = policy(1, READ);
    other.metadata.uid = Some("uid-0".to_owned());
    let found = in_force(&policy(2, TYPO), Some(&good(&other)));
    assert!(found.good.is_none() && !found.lost);
}

#[test]
fn what_counted_and_can_not_be_compiled_any_more_is_lost() {
    let mut object = told(policy(2, TYPO), &policy(1, READ));
    let before = object.status.as_mut().unwrap().in_effect.as_mut().unwrap();
    before.policies[0].cedar = "of an older schema".to_owned();
    let found = in_force(&object, None);
    assert!(found.good.is_none() && found.lost);
    // But what is in memory can still be used.
    let found = in_force(&object, Some(&good(&policy(1, READ))));
    assert_eq!((generation(&found), found.lost), (Some(1), false));
}

#[test]
fn a_test_that_fails_is_told_from_a_text_that_can_not_be_read() {
    let mut object = policy(2, READ);
    object.spec.tests = serde_json::from_value(serde_json::json!([{
        "name": "nobody writes",
        "request": {
            "principal": {"name": "reader"},
            "action": "read",
            "resource": {"path": "ledger/invoices/7", "sensitivity": "Internal"},
        },
        "expect": {"decision": "Deny"},
    }]))
    .unwrap();
    let found = in_force(&told(object.clone(), &policy(1, READ)), None);
    assert!(found.tests_failed, "{:?}", found.problems);
    assert_eq!(generation(&found), Some(1));
    assert!(found.problems[0].message.contains("nobody writes"));
    object.spec.policies[0].cedar = TYPO.to_owned();
    assert!(!in_force(&object, None).tests_failed);
}

#[test]
fn what_was_compiled_is_not_compiled_again() {
    let object = policy(2, READ);
    let mut before = good(&object);
    before.rules = None;
    let mut broken = object;
    broken.spec.policies[0].cedar = TYPO.to_owned(); // the same generation: can't be
    assert_eq!(generation(&in_force(&broken, Some(&before))), Some(2));
}
