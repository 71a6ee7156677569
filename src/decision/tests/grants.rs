//! Nothing beyond what everybody above holds.

use serde_json::json;

use super::fixture::*;
use crate::*;

/// Agent 1 with these grants.
fn granted(bed: &Bed, value: serde_json::Value) {
    bed.world().put_identity(IdentityFacts {
        grants: grants(value),
        ..identity(1)
    });
}

#[test]
fn identity_and_owner_must_both_have_it() {
    let bed = Bed::new();
    let write = Question {
        action: "write".to_owned(),
        ..bed.question(1)
    };
    let answer = bed.ask(&write);
    assert_eq!(answer.reason, Reason::NotGranted);
    assert_eq!(
        answer.explanation,
        "the agent's grants don't have write on ledger/invoices/7"
    );
    let all = json!([{"actions": ["*"], "resources": ["*"]}]);
    granted(&bed, all.clone());
    let answer = bed.ask(&write);
    assert_eq!(answer.reason, Reason::NotGranted);
    assert!(
        answer.explanation.starts_with("its owner's"),
        "{}",
        answer.explanation
    );
    bed.world().put_owner(OwnerFacts {
        grants: grants(all),
        ..owner("alice")
    });
    assert_eq!(bed.ask(&write).reason, Reason::Permitted);
}

#[test]
fn each_hop_must_have_it_and_the_owner_of_the_root_as_of_now() {
    let bed = Bed::new();
    let narrow = json!([{"actions": ["read"], "resources": ["ledger/receipts/*"]}]);
    for hop in 0..=3 {
        let bed = Bed::new();
        let chain = bed.chain(|claims| {
            if usize::from(claims.depth) >= hop {
                claims.grants = grants(narrow.clone());
            }
        });
        chain.iter().for_each(|it| bed.world().put_hop(it.clone()));
        let question = Question {
            authority: Some(Authority::Digest(chain[2].digest)),
            ..bed.question(3)
        };
        let answer = bed.ask(&question);
        assert_eq!(answer.reason, Reason::NotGranted, "{answer:?}");
        assert_eq!(bed.own(), Reason::Permitted);
    }
    // Another owner's agents: what the root's owner lost is lost below.
    bed.world().put_owner(owner("bob"));
    for hop in 1..=3 {
        bed.world().put_identity(IdentityFacts {
            owner: "bob".to_owned(),
            ..identity(hop)
        });
    }
    assert_eq!(bed.by_chain(), Reason::Permitted);
    bed.world().put_owner(OwnerFacts {
        grants: grants(narrow),
        ..owner("alice")
    });
    assert_eq!(bed.by_chain(), Reason::NotGranted);
}

#[test]
fn the_class_of_data_is_bounded() {
    let bed = Bed::new();
    let up_to = |class: &str| {
        let bounds = json!({"maxDataClass": class});
        granted(
            &bed,
            json!([{"actions": ["read"], "resources": ["ledger/*"], "constraints": bounds}]),
        );
        bed.own()
    };
    assert_eq!(up_to("Public"), Reason::BeyondConstraint);
    assert_eq!(up_to("Internal"), Reason::Permitted);
    assert_eq!(up_to("Restricted"), Reason::Permitted);
    // What nobody classified is as sensitive as can be.
    up_to("Confidential");
    bed.world().set_rules(Rules::default());
    assert_eq!(bed.own(), Reason::BeyondConstraint);
}

#[test]
fn audiences_and_time_are_bounded() {
    let bed = Bed::new();
    granted(
        &bed,
        json!([{"actions": ["read"], "resources": ["ledger/*"],
                "constraints": {"audiences": ["audit"], "notAfter": "2026-11-24T12:00:10Z"}}]),
    );
    let for_whom = |audience: Option<&str>, seconds| {
        let mut question = bed.question(1);
        question.call.audience = audience.map(str::to_owned);
        bed.ask_at(&question, after(seconds)).reason
    };
    assert_eq!(for_whom(Some("audit"), 0), Reason::Permitted);
    assert_eq!(for_whom(Some("audit"), 9), Reason::Permitted);
    assert_eq!(for_whom(Some("audit"), 10), Reason::BeyondConstraint);
    assert_eq!(for_whom(Some("Audit"), 0), Reason::BeyondConstraint);
    assert_eq!(for_whom(None, 0), Reason::BeyondConstraint);
}

#[test]
fn calls_are_counted_and_only_those_that_were_allowed() {
    let bed = Bed::new();
    granted(
        &bed,
        json!([{"actions": ["read"], "resources": ["ledger/*"], "constraints": {"maxCalls": 2}}]),
    );
    bed.world().set_policies(policies(&[]));
    for _ in 0..3 {
        assert_eq!(bed.own(), Reason::NoPolicyPermits);
    }
    bed.world().set_policies(policies(&[("all", PERMIT_ALL)]));
    assert_eq!(bed.own(), Reason::Permitted);
    assert_eq!(bed.own(), Reason::Permitted);
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.reason, Reason::BeyondConstraint);
    assert!(
        answer.explanation.contains("2 calls"),
        "{}",
        answer.explanation
    );
    // A change of its status gives none back, its end does.
    granted(
        &bed,
        json!([{"actions": ["read"], "resources": ["ledger/*"], "constraints": {"maxCalls": 2}}]),
    );
    assert_eq!(bed.own(), Reason::BeyondConstraint);
    // Another grant without a bound is as good.
    granted(
        &bed,
        json!([{"actions": ["read"], "resources": ["ledger/*"], "constraints": {"maxCalls": 2}},
               {"actions": ["read"], "resources": ["ledger/invoices/*"]}]),
    );
    assert_eq!(bed.own(), Reason::Permitted);
}

#[test]
fn calls_by_a_hop_are_counted_for_all_below_it() {
    let bed = Bed::new();
    let chain = bed.chain(|claims| claims.grants[0].constraints.max_calls = Some(3));
    chain.iter().for_each(|it| bed.world().put_hop(it.clone()));
    let ask = |hop: usize| {
        let question = Question {
            authority: Some(Authority::Digest(chain[hop - 1].digest)),
            ..bed.question(hop)
        };
        bed.ask(&question).reason
    };
    assert_eq!([3, 2, 1].map(ask), [Reason::Permitted; 3]);
    assert_eq!([3, 2, 1].map(ask), [Reason::BeyondConstraint; 3]);
    assert_eq!(bed.own(), Reason::Permitted);
}
