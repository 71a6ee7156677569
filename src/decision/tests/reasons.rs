//! Each reason, and what comes with it.

use countersign_core::DataClass;
use jiff::SignedDuration;

use super::fixture::*;
use crate::*;

#[test]
fn what_is_granted_and_permitted_is_allowed() {
    let bed = Bed::new();
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::Permitted, "{answer:?}");
    assert!(answer.allowed);
    assert_eq!(answer.policies, ["cluster/test/all"]);
    assert_eq!(
        answer.explanation,
        "permitted by cluster/test/all, within all grants"
    );
    assert_eq!(answer.policy_set, bed.world().policy_set());
    assert_eq!(answer.sensitivity, DataClass::Internal);
    assert!(!answer.record_first);
    assert_eq!(answer.time, start());
    let agent = answer.agent.unwrap();
    assert_eq!(
        (agent.name.as_str(), agent.owner.as_str()),
        ("agent-1", "alice")
    );
    assert_eq!(agent.requester.as_deref(), Some("alice@example.org"));
    assert_eq!((agent.depth, agent.delegation), (0, None));
    assert!(agent.serial_number.is_some_and(|it| it.len() == 32));
}

#[test]
fn by_a_chain_it_is_the_roots_owner_and_requester_that_count() {
    let bed = Bed::new();
    let answer = bed.ask(&bed.chained());
    assert_eq!(answer.reason, Reason::Permitted, "{answer:?}");
    let agent = answer.agent.unwrap();
    assert_eq!(agent.depth, 3);
    assert_eq!(agent.delegation, Some(bed.hops[2].digest));
    assert_eq!(agent.delegation_uid.as_deref(), Some("d-3"));
    assert_eq!(agent.delegation_expires, Some(after(3600)));
    assert_eq!(agent.root, Some(zero_of(&bed.hops[0])));
    assert_eq!(agent.requester.as_deref(), Some("root@example.org"));
}

#[test]
fn without_facts_nothing_is_allowed() {
    let bed = Bed::new();
    let empty = Engine::new(Default::default(), Default::default());
    let answer = empty.decide(&trusted(), &bed.question(1), start());
    assert_eq!(answer.reason, Reason::NotReady);
    bed.world().set_freshness(Freshness::NotReady);
    assert_eq!(bed.own(), Reason::NotReady);
    bed.world().set_freshness(Freshness::Fresh);
    assert_eq!(bed.own(), Reason::Permitted);
}

#[test]
fn stale_facts_deny_or_go_on_until_the_certificate_as_it_was_ends() {
    let bed = Bed::new();
    let stale = Freshness::Stale(SignedDuration::from_secs(42));
    bed.world().set_freshness(stale);
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::NotReady);
    assert!(
        answer.explanation.contains("42 s old"),
        "{}",
        answer.explanation
    );
    let on = Rules {
        stale_until_expiry: true,
        ..rules()
    };
    bed.world().set_rules(on);
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::Permitted);
    assert!(
        answer.explanation.contains("42 s old"),
        "{}",
        answer.explanation
    );
    // It has a newer certificate, but by these facts nobody knows whether it should.
    let newer = Question {
        certificate: Some(bed.issue(&agent(1), after(3500), 3600)),
        ..bed.question(1)
    };
    let late = after(3600);
    assert_eq!(bed.ask_at(&newer, late).reason, Reason::NotReady);
    bed.world().set_freshness(Freshness::Fresh);
    assert_eq!(bed.ask_at(&newer, late).reason, Reason::Permitted);
    bed.world().set_freshness(Freshness::NotReady);
    assert_eq!(bed.own(), Reason::NotReady);
}

#[test]
fn a_question_that_cant_be_read_is_denied() {
    let bed = Bed::new();
    let refused = |change: &dyn Fn(&mut Question)| {
        let mut question = bed.question(1);
        change(&mut question);
        let answer = bed.engine.decide(&trusted(), &question, start());
        assert_eq!(answer.reason, Reason::BadRequest, "{question:?}");
        assert_eq!(answer.sensitivity, DataClass::Restricted);
    };
    refused(&|it| it.action = "*".to_owned());
    refused(&|it| it.action = String::new());
    refused(&|it| it.resource.path = "ledger/*".to_owned());
    refused(&|it| it.resource.path = "ledger/../vault".to_owned());
    refused(&|it| it.resource.path = "a/".repeat(100_000));
    refused(&|it| it.agent = "a".repeat(2049));
    refused(&|it| it.resource.kind = "a\u{0}".to_owned());
    refused(&|it| it.call.audience = Some("a".repeat(257)));
    refused(&|it| {
        let many = (0..65).map(|it| (it.to_string(), String::new()));
        it.resource.properties = many.collect();
    });
}

#[test]
fn only_a_caller_that_may_vouch_needs_no_certificate() {
    let bed = Bed::new();
    let question = Question {
        certificate: None,
        ..bed.question(1)
    };
    assert_eq!(bed.ask(&question).reason, Reason::CallerNotAllowed);
    let answer = bed.engine.decide(&trusted(), &question, start());
    assert_eq!(answer.reason, Reason::Permitted);
    assert_eq!(answer.agent.unwrap().serial_number, None);
    // Then its certificate must be good as far as anybody knows.
    let vouched = |now| bed.engine.decide(&trusted(), &question, now).reason;
    assert_eq!(vouched(after(3600)), Reason::AgentNotReady);
    bed.world().revoke_serial("01", after(3600));
    assert_eq!(vouched(start()), Reason::CertificateRevoked);
}

#[test]
fn an_agent_that_may_not_act_is_denied() {
    let bed = Bed::new();
    let with = |change: &dyn Fn(&mut IdentityFacts)| {
        let mut identity = identity(1);
        change(&mut identity);
        bed.world().put_identity(identity);
        bed.own()
    };
    assert_eq!(with(&|_| {}), Reason::Permitted);
    let state = |state| with(&|it| it.state = state);
    assert_eq!(state(IdentityState::Pending), Reason::AgentNotReady);
    assert_eq!(state(IdentityState::Suspended), Reason::AgentSuspended);
    assert_eq!(state(IdentityState::Ended), Reason::AgentEnded);
    assert_eq!(with(&|it| it.certificate = None), Reason::AgentNotReady);
    assert_eq!(with(&|it| it.deadline = Some(start())), Reason::AgentEnded);
    assert_eq!(with(&|it| it.deadline = Some(after(1))), Reason::Permitted);
    assert_eq!(with(&|it| it.owner = "bob".to_owned()), Reason::OwnerGone);
    assert_eq!(
        with(&|it| it.trust_domain = "other.example".to_owned()),
        Reason::UnknownTrustDomain
    );
    bed.world().put_identity(identity(1));
    bed.world().put_owner(OwnerFacts {
        active: false,
        ..owner("alice")
    });
    assert_eq!(bed.own(), Reason::OwnerGone);
}

#[test]
fn what_is_gone_denies_at_once() {
    let bed = Bed::new();
    bed.world().remove_trust_domain(DOMAIN);
    assert_eq!(bed.own(), Reason::UnknownTrustDomain);
    bed.world().remove_owner("alice");
    assert_eq!(bed.own(), Reason::OwnerGone);
    bed.world().remove_identity("i-1");
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::UnknownAgent);
    assert_eq!(answer.agent, None);
}

#[test]
fn another_identity_with_the_same_name_stays_when_the_first_is_removed() {
    let bed = Bed::new();
    bed.world().put_identity(IdentityFacts {
        uid: "i-9".to_owned(),
        ..identity(1)
    });
    bed.world().remove_identity("i-1");
    assert_eq!(bed.own(), Reason::Permitted);
    bed.world().remove_identity("i-9");
    assert_eq!(bed.own(), Reason::UnknownAgent);
}

#[test]
fn what_policy_names_as_sensitive_is_recorded_first() {
    let bed = Bed::new();
    let salaries = Question {
        resource: ResourceRef {
            path: "ledger/salaries/7".to_owned(),
            ..ResourceRef::default()
        },
        ..bed.question(1)
    };
    let answer = bed.ask(&salaries);
    assert!(answer.allowed && answer.record_first, "{answer:?}");
    bed.world().set_policies(policies(&[]));
    let answer = bed.ask(&salaries);
    assert_eq!(answer.reason, Reason::NoPolicyPermits);
    assert!(!answer.record_first);
    assert_eq!(answer.sensitivity, DataClass::Restricted);
}
