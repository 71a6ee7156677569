//! Policies, of each agent in a chain.

use std::sync::Arc;

use countersign_policy::{Mode, PolicySet, PolicySource, Scope, compile};

use super::fixture::*;
use crate::*;

#[test]
fn the_default_is_deny_and_a_forbid_wins() {
    let bed = Bed::new();
    bed.world().set_policies(policies(&[]));
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::NoPolicyPermits);
    assert!(answer.policies.is_empty());
    let forbid = "forbid (principal, action, resource) when { resource.sensitivity >= 1 };";
    bed.world()
        .set_policies(policies(&[("all", PERMIT_ALL), ("guard", forbid)]));
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::ForbiddenByPolicy);
    assert_eq!(answer.policies, ["cluster/test/guard"]);
    assert!(
        !answer.explanation.contains("sensitivity"),
        "{}",
        answer.explanation
    );
}

#[test]
fn a_forbid_that_fails_denies() {
    let bed = Bed::new();
    let failing = "forbid (principal, action, resource) \
        when { context.call.bytes * 9223372036854775807 > 0 };";
    bed.world()
        .set_policies(policies(&[("all", PERMIT_ALL), ("odd", failing)]));
    let with = |bytes| {
        let mut question = bed.question(1);
        question.call.bytes = bytes;
        bed.ask(&question)
    };
    assert_eq!(with(0).reason, Reason::Permitted);
    let answer = with(2);
    assert_eq!(answer.reason, Reason::PolicyFailed);
    assert!(!answer.allowed);
    assert_eq!(answer.policies, ["cluster/test/odd"]);
}

#[test]
fn each_agent_of_a_chain_must_be_permitted() {
    for name in ["agent-1", "agent-2", "agent-3"] {
        let bed = Bed::new();
        let forbid = format!(
            "forbid (principal, action, resource) when {{ principal.name == \"{name}\" }};"
        );
        bed.world()
            .set_policies(policies(&[("all", PERMIT_ALL), ("guard", &forbid)]));
        let answer = bed.ask(&bed.chained());
        assert_eq!(answer.reason, Reason::ForbiddenByPolicy, "{name}");
        assert_eq!(answer.policies, ["cluster/test/guard"]);
        let permit = format!(
            "permit (principal, action, resource) when {{ principal.name != \"{name}\" }};"
        );
        bed.world().set_policies(policies(&[("most", &permit)]));
        let answer = bed.ask(&bed.chained());
        assert_eq!(answer.reason, Reason::NoPolicyPermits, "{name}");
        assert!(answer.policies.is_empty(), "{answer:?}");
    }
}

#[test]
fn policies_see_what_was_found_out() {
    let bed = Bed::new();
    let permit = "permit (principal, action == Countersign::Action::\"read\", resource) when { \
        principal.claimed.hasTag(\"purpose\") && principal.owner == Countersign::Owner::\"alice\" \
        && context.transport.mtls && context.transport has notAfter \
        && context.transport.notAfter > context.now \
        && resource.sensitivity == 1 && resource.residency.contains(\"eu\") \
        && context has delegation && context.delegation.depth == 3 \
        && context.delegation.root == Countersign::Owner::\"alice\" \
        && context.delegation has requester && context.delegation.requester == \"root@example.org\" \
        && context.delegation.expires > context.now };";
    bed.world().set_policies(policies(&[("exact", permit)]));
    let answer = bed.ask(&bed.chained());
    assert_eq!(answer.reason, Reason::Permitted, "{answer:?}");
    assert_eq!(bed.own(), Reason::NoPolicyPermits);
}

#[test]
fn properties_count_only_from_a_caller_that_knows() {
    let bed = Bed::new();
    let permit = "permit (principal, action, resource) when { \
        resource.hasTag(\"ownerID\") && resource.getTag(\"ownerID\") == principal.name };";
    bed.world().set_policies(policies(&[("own", permit)]));
    let mut question = bed.question(1);
    let name = ("ownerID".to_owned(), "agent-1".to_owned());
    question.resource.properties.extend([name]);
    assert_eq!(bed.ask(&question).reason, Reason::NoPolicyPermits);
    let answer = bed.engine.decide(&trusted(), &question, start());
    assert_eq!(answer.reason, Reason::Permitted);
}

#[test]
fn a_change_of_an_agent_or_its_owner_counts_at_once() {
    let bed = Bed::new();
    let permit = "permit (principal, action, resource) when { \
        principal.claimed.hasTag(\"purpose\") && principal.owner.type == \"Person\" };";
    bed.world().set_policies(policies(&[("own", permit)]));
    assert_eq!(bed.own(), Reason::Permitted);
    bed.world().put_owner(OwnerFacts {
        kind: "Application".to_owned(),
        ..owner("alice")
    });
    assert_eq!(bed.own(), Reason::NoPolicyPermits);
    bed.world().put_owner(owner("alice"));
    assert_eq!(bed.own(), Reason::Permitted);
    bed.world().put_identity(IdentityFacts {
        attributes: Default::default(),
        ..identity(1)
    });
    assert_eq!(bed.own(), Reason::NoPolicyPermits);
}

#[test]
fn obligations_and_what_an_audit_would_deny_come_along() {
    let bed = Bed::new();
    let obligation = Obligation {
        kind: "step-up".to_owned(),
        properties: "{}".to_owned(),
    };
    let object = |name: &str, mode, mut text: countersign_policy::PolicyText| {
        text.obligations = vec![obligation.clone()];
        let source = PolicySource {
            scope: Scope::Cluster,
            name: name.to_owned(),
            mode,
            policies: vec![text],
            tests: Vec::new(),
        };
        compile(&source).unwrap()
    };
    let forbid = "forbid (principal, action, resource);";
    let all = [
        object("base", Mode::Enforce, policy("all", PERMIT_ALL)),
        object("trial", Mode::Audit, policy("none", forbid)),
    ];
    bed.world().set_policies(Arc::new(PolicySet::of(all)));
    // Three agents, and each policy's name and obligation once.
    let answer = bed.ask(&bed.chained());
    assert_eq!(answer.reason, Reason::Permitted);
    assert_eq!(answer.policies, ["cluster/base/all"]);
    assert_eq!(answer.would_deny, ["cluster/trial/none"]);
    assert_eq!(answer.obligations, [obligation]);
}

#[test]
fn an_allow_needs_whoever_can_meet_its_obligations_and_is_sure_who_asks() {
    let bed = Bed::new();
    let mut text = policy("all", PERMIT_ALL);
    text.obligations = vec![Obligation {
        kind: "step-up".to_owned(),
        properties: "{}".to_owned(),
    }];
    let source = PolicySource {
        scope: Scope::Cluster,
        name: "base".to_owned(),
        mode: Mode::Enforce,
        policies: vec![text],
        tests: Vec::new(),
    };
    let set = PolicySet::of([compile(&source).unwrap()]);
    bed.world().set_policies(Arc::new(set));
    let meeting = |kinds: &[&str]| {
        let kinds = kinds.iter().map(|it| (*it).to_owned()).collect();
        let mut question = bed.question(1);
        question.call.obligations = Some(Arc::new(kinds));
        bed.ask(&question)
    };
    assert_eq!(meeting(&["step-up", "other"]).reason, Reason::Permitted);
    for kinds in [&["other"][..], &[]] {
        let answer = meeting(kinds);
        assert_eq!(answer.reason, Reason::UnknownObligation);
        assert!(!answer.allowed);
        assert!(answer.obligations.is_empty());
    }
    let mut doubted = bed.question(1);
    doubted.call.doubt = Some("it may be another");
    let answer = bed.ask(&doubted);
    assert_eq!(answer.reason, Reason::BadCertificate);
    assert_eq!(answer.explanation, "it may be another");
    assert!(answer.obligations.is_empty() && answer.policies.is_empty());
}
