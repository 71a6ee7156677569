//! Tests inside an object.

use super::fixture::{cluster, good, lines, namespaced, test};
use crate::{Mode, PolicySource, compile};

const READ: &str = "permit (principal, action == Countersign::Action::\"read\", resource in Countersign::Collection::\"ledger\");";
const RISKY: &str = "forbid (principal, action, resource) when { context.signals.risk > 50 };";

fn with(mut source: PolicySource, tests: Vec<crate::PolicyTest>) -> PolicySource {
    source.tests = tests;
    source
}

#[test]
fn tests_that_hold_let_an_object_through() {
    let mut risky = test("at risk it is denied", false, Some(&["p1"]));
    risky.context.risk = 60;
    let mut elsewhere = test("elsewhere it is denied", false, Some(&[]));
    elsewhere.resource.path = "vault/1".to_owned();
    good(&with(
        cluster(&[READ, RISKY]),
        vec![
            test("reads", true, Some(&["p0"])),
            test("reads", true, None),
            risky,
            elsewhere,
        ],
    ));
}

#[test]
fn a_test_that_fails_says_what_was_expected_and_what_decided() {
    let mut risky = test("risk is fine", true, None);
    risky.context.risk = 60;
    let problems = compile(&with(cluster(&[READ, RISKY]), vec![risky])).unwrap_err();
    assert_eq!(
        lines(&problems),
        "test \"risk is fine\": expected Allow, got Deny (Forbidden), decided by p1"
    );
    let problems = compile(&with(
        cluster(&[READ, RISKY]),
        vec![test("why", true, Some(&["p1"]))],
    ))
    .unwrap_err();
    assert_eq!(
        lines(&problems),
        "test \"why\": expected Allow decided by p1, got Allow (Permitted), decided by p0"
    );
    let problems = compile(&with(cluster(&[RISKY]), vec![test("why", true, None)])).unwrap_err();
    assert_eq!(
        lines(&problems),
        "test \"why\": expected Allow, got Deny (NoPermit), decided by no policy"
    );
}

#[test]
fn tests_run_in_every_mode() {
    for mode in [Mode::Enforce, Mode::Audit, Mode::Disabled] {
        let mut source = with(cluster(&[READ]), vec![test("reads", false, None)]);
        source.mode = mode;
        assert_eq!(compile(&source).unwrap_err().len(), 1);
        source.tests = vec![test("reads", true, Some(&["p0"]))];
        good(&source);
    }
}

#[test]
fn the_agent_of_a_namespaces_test_is_in_that_namespace() {
    let text = "permit (principal in Countersign::Namespace::\"payments\", action, resource);";
    good(&with(
        namespaced("payments", &[text]),
        vec![test("ours", true, None)],
    ));
    // In the cluster's it is where it says.
    good(&with(cluster(&[text]), vec![test("theirs", false, None)]));
}

#[test]
fn what_a_test_does_not_say_is_harmless() {
    let text = "permit (principal, action, resource) when { context.transport.mtls \
        && context.transport has notAfter && context.transport.notAfter > context.now \
        && context.signals.risk == 0 && context.signals.anomaly == 0 && context.signals.ageMilliseconds == 0 \
        && context.signals.codes.isEmpty() && context.call.action == \"read\" && context.call.bytes == 0 \
        && !context.call.destructive && !(context.call has tool) && !(context has delegation) \
        && !(context has sourceIP) && principal.claimed.hasTag(\"purpose\") };";
    good(&with(cluster(&[text]), vec![test("plain", true, None)]));
    let text = "permit (principal, action, resource) when { context has delegation && context.delegation.depth == 3 \
        && context.delegation.expires > context.now && context.delegation.root == principal.owner };";
    let mut delegated = test("delegated", true, None);
    delegated.context.delegation_depth = Some(3);
    good(&with(cluster(&[text]), vec![delegated]));
}

#[test]
fn a_digest_is_of_what_counts() {
    let source = cluster(&[READ, RISKY]);
    let digest = |source: &PolicySource| good(source).digest().to_owned();
    let of = digest(&source);
    assert!(of.starts_with("sha256:") && of.len() == 71, "{of}");
    let mut turned = source.clone();
    turned.policies.reverse();
    turned.tests = vec![test("reads", true, None)];
    assert_eq!(digest(&turned), of);
    let mut other = source.clone();
    other.mode = Mode::Audit;
    assert_ne!(digest(&other), of);
    let mut other = source.clone();
    other.name = "guards".to_owned();
    assert_ne!(digest(&other), of);
    let mut other = source.clone();
    other.policies[0].cedar.push(' ');
    assert_ne!(digest(&other), of);
    let mut other = source;
    other.policies[1].obligations.push(crate::Obligation {
        kind: "step-up".to_owned(),
        properties: "{}".to_owned(),
    });
    assert_ne!(digest(&other), of);
}
