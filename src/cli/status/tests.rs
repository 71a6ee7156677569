#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use countersign_api::TrustDomain;
use serde_json::json;

use super::show::text;
use super::summary::{CheckpointAge, Operator, summarise};
use crate::fixture::{now, plus, world};

fn domain(ready: &str, policies: &str) -> TrustDomain {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "Because", "message": "so it is", "lastTransitionTime": "2026-11-24T11:50:00Z"});
    serde_json::from_value(json!({
        "apiVersion": "countersign.dev/v1alpha1", "kind": "TrustDomain", "metadata": {"name": "example.org"},
        "spec": {"authority": {"builtIn": {}}},
        "status": {
            "authorities": [{"id": "ab", "slot": "Active", "notBefore": "2026-11-01T00:00:00Z", "notAfter": "2026-12-01T00:00:00Z"}],
            "signingKeys": [{"id": "cd", "purpose": "Statements", "slot": "Active", "notBefore": "2026-11-01T00:00:00Z", "notAfter": "2026-11-30T00:00:00Z"}],
            "conditions": [condition("Ready", ready), condition("PoliciesInstalled", policies)],
        },
    }))
    .unwrap()
}

fn operator() -> Operator {
    Operator {
        holder: Some("countersign-0".to_owned()),
        renewed: Some(plus(-3)),
        lease_seconds: Some(10),
        unknown: None,
    }
}

#[test]
fn what_is_well_has_no_problems_and_is_counted() {
    let checkpoint = CheckpointAge {
        chain: "example.org/countersign-0".to_owned(),
        sequence: Some(41),
        time: Some(plus(-30)),
        refused: None,
    };
    let summary = summarise(
        &[domain("True", "True")],
        &world(),
        operator(),
        vec![checkpoint],
        now(),
    );
    assert_eq!(summary.problems, Vec::<String>::new());
    assert_eq!(summary.identities.get("Ready"), Some(&3));
    assert_eq!(summary.identities.get("Stalled"), Some(&1));
    assert_eq!(summary.delegations.get("Over"), Some(&1));
    let [stalled] = summary.stalled.as_slice() else {
        panic!("{:?}", summary.stalled)
    };
    assert_eq!(
        (stalled.name.as_str(), stalled.reason.as_str()),
        ("finance/stuck", "GrantsWiden")
    );
    let shown = text(&summary);
    for part in [
        "operator  countersign-0 leads, renewed 3s ago",
        "Certificates  Active  in 6d12h",
        "identities   4 (3 Ready, 1 Stalled)",
        "example.org/countersign-0  41            30s ago",
        "nothing needs anybody",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn what_needs_somebody_is_said() {
    let silent = Operator {
        renewed: Some(plus(-300)),
        ..operator()
    };
    let forged = CheckpointAge {
        chain: "example.org.w".to_owned(),
        sequence: None,
        time: None,
        refused: Some("its signature is wrong".to_owned()),
    };
    let summary = summarise(
        &[domain("False", "False")],
        &world(),
        silent,
        vec![forged],
        now(),
    );
    let all = summary.problems.join("\n");
    for part in [
        "the operator is down",
        "not ready: Because: so it is",
        "PoliciesInstalled is False",
        "not to be believed",
    ] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
    let nobody = summarise(&[], &world(), Operator::default(), Vec::new(), now());
    assert_eq!(nobody.problems.len(), 2, "{:?}", nobody.problems);
    let unseen = Operator {
        unknown: Some("forbidden".to_owned()),
        ..Operator::default()
    };
    let summary = summarise(
        &[domain("True", "True")],
        &world(),
        unseen,
        Vec::new(),
        now(),
    );
    assert!(summary.problems.is_empty(), "{:?}", summary.problems);
}
