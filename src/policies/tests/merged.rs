//! Of what several objects set, the strictest counts.

use countersign_core::DataClass;
use countersign_decision::Rules;
use serde_json::{Value, json};

use super::{cluster_policy, policy};
use crate::{Good, in_force, rules_of};

fn rules(specs: &[Value]) -> Rules {
    let names = ["a", "b", "c"];
    let all = names.iter().zip(specs);
    let all: Vec<Good> = all
        .map(|(name, spec)| cluster_policy(name, spec.clone()))
        .map(|object| in_force(&object, None).good.unwrap())
        .collect();
    rules_of(&all)
}

#[test]
fn what_nobody_sets_is_the_default() {
    assert_eq!(rules(&[]), Rules::default());
    assert_eq!(rules(&[json!({})]), Rules::default());
    let good = in_force(&policy(1, super::READ), None).good.unwrap();
    assert_eq!(rules_of([&good]), Rules::default());
}

#[test]
fn the_lowest_threshold_counts_and_a_person_where_one_asks_for_a_person() {
    let found = rules(&[
        json!({"risk": {"suspendAt": 90, "resumeBelow": 40}}),
        json!({"risk": {"suspendAt": 80, "resumeBelow": 50}}),
        json!({}),
    ]);
    assert_eq!((found.suspend_at, found.resume_below), (Some(80), Some(40)));
    let found = rules(&[
        json!({"risk": {"suspendAt": 90}}),
        json!({"risk": {"suspendAt": 80, "resumeBelow": 50}}),
    ]);
    assert_eq!((found.suspend_at, found.resume_below), (Some(80), None));
}

#[test]
fn what_is_recorded_first_is_the_most_that_one_asks_for() {
    let found = rules(&[
        json!({"recordFirst": "Restricted"}),
        json!({"recordFirst": "Internal"}),
    ]);
    assert_eq!(found.record_first, DataClass::Internal);
    let found = rules(&[json!({"recordFirst": "Restricted"}), json!({})]);
    assert_eq!(found.record_first, DataClass::Restricted);
}

#[test]
fn one_that_denies_on_stale_facts_outweighs_those_that_go_on() {
    let on = json!({"onStale": "UntilCertificatesExpire"});
    assert!(rules(&[on.clone(), json!({})]).stale_until_expiry);
    assert!(!rules(&[on, json!({"onStale": "Deny"})]).stale_until_expiry);
}

#[test]
fn all_classifications_count() {
    let found = rules(&[
        json!({"resources": [{"pattern": "ledger/*", "sensitivity": "Confidential", "residency": ["eu"]}]}),
        json!({"resources": [{"pattern": "ledger/*", "sensitivity": "Internal"}]}),
    ]);
    let seen: Vec<_> = found
        .resources
        .iter()
        .map(|it| (it.pattern.as_str(), it.sensitivity, it.residency.len()))
        .collect();
    assert_eq!(
        seen,
        [
            ("ledger/*", DataClass::Confidential, 1),
            ("ledger/*", DataClass::Internal, 0),
        ]
    );
}

#[test]
fn what_does_not_decide_sets_nothing() {
    let spec = json!({"risk": {"suspendAt": 10}, "recordFirst": "Public"});
    for mode in ["Audit", "Disabled"] {
        let mut spec = spec.clone();
        spec["mode"] = json!(mode);
        assert_eq!(rules(&[spec]), Rules::default(), "{mode}");
    }
}
