//! A risk beyond the threshold: the decision point says so, and the operator acts on it.

use countersign_api as api;
use serde_json::{Value, json};

use super::super::observed::{Desired, Observed};
use super::super::plan::{Credential, plan};
use super::super::stage::Stage;
use super::super::{parse, plan::Status};
use super::fixture::{assert_says, assert_settles, at, issued, risk, with};

/// An identity with this status, as the API server has it.
fn object(status: Value) -> api::AgentIdentity {
    serde_json::from_value(json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": "reader", "namespace": "finance"},
        "spec": {
            "trustDomainRef": {"name": "example.org"},
            "ownerRef": {"name": "alice"},
            "taskRef": {"group": "batch", "resource": "jobs", "name": "reconcile"},
        },
        "status": status,
    }))
    .unwrap()
}

fn told(state: &str) -> Value {
    json!({"risk": {
        "state": state, "score": 91, "anomaly": 40, "reason": "caep/risk-level-change, behaviour/rate",
        "observedTime": "2026-11-24T12:00:00Z",
    }})
}

#[test]
fn a_risk_that_suspends_says_how_high_it_is_of_what_and_how_it_comes_back() {
    let seen = with(issued(), |it| it.risk = Some(risk()));
    let status = plan(&seen).status.unwrap();
    let message = &status.conditions[0].message;
    for words in [
        "91 of 100",
        "anomaly 40",
        "behaviour/rate",
        "resumeBelow",
        "desiredState",
    ] {
        assert!(message.contains(words), "{message}");
    }
    // What a person asked for is told first: it outlasts the risk.
    let both = with(seen, |seen: &mut Observed| {
        seen.identity.desired = Desired::Suspended;
    });
    assert_says(&plan(&both), &[("Suspended", true, "Suspended")]);
}

#[test]
fn when_the_risk_is_normal_again_a_new_certificate_is_issued_with_another_serial() {
    let suspended = assert_settles(&with(issued(), |it| it.risk = Some(risk())));
    let back = with(suspended, |it| it.risk = None);
    let Credential::Issue(issue) = plan(&back).credential else {
        panic!("{back:?}");
    };
    assert!(issue.renewal, "it is the same identity");
    let after = assert_settles(&back);
    assert_eq!(
        after.recorded.certificate.unwrap().serial_number,
        "serial-9"
    );
}

#[test]
fn only_the_state_suspended_suspends_and_it_does_at_once() {
    let suspended = object(told("Suspended"));
    assert_eq!(parse::risk(&suspended), Some(risk()));
    assert_eq!(Stage::of(&suspended), Stage::Suspended, "before any pass");
    let normal = object(told("Normal"));
    assert_eq!(parse::risk(&normal), None);
    assert_eq!(Stage::of(&normal), Stage::Waiting);
    assert_eq!(parse::risk(&object(json!({}))), None);
}

#[test]
fn a_status_that_is_written_keeps_what_the_decision_point_wrote() {
    let status: Status = plan(&issued()).status.unwrap();
    for state in ["Suspended", "Normal"] {
        let before = object(told(state)).status.unwrap();
        let after = parse::status(&status, Some(&before), at(0));
        assert!(after.risk.is_some());
        assert_eq!(after.risk, before.risk);
    }
    assert_eq!(parse::status(&status, None, at(0)).risk, None);
}
