//! What an agent does that it doesn't usually do.

use super::fixture::*;
use crate::*;

/// Agent 1 without an end.
fn bed() -> Bed {
    let bed = Bed::new();
    bed.world().put_identity(IdentityFacts {
        deadline: None,
        certificate: Some(CurrentCertificate {
            serial_number: "01".to_owned(),
            not_after: after(86_400),
        }),
        grants: grants(serde_json::json!([{"actions": ["*"], "resources": ["*"]}])),
        ..identity(1)
    });
    bed.world().put_owner(OwnerFacts {
        grants: grants(serde_json::json!([{"actions": ["*"], "resources": ["*"]}])),
        ..owner("alice")
    });
    bed
}

fn ask(bed: &Bed, action: &str, path: &str, milliseconds: i64) -> Answer {
    let mut question = bed.question(1);
    question.certificate = None;
    question.action = action.to_owned();
    question.resource.path = path.to_owned();
    let now = start() + jiff::SignedDuration::from_millis(milliseconds);
    bed.engine.decide(&trusted(), &question, now)
}

/// Two reads a second for ten minutes; then the time.
fn usual(bed: &Bed) -> i64 {
    for half_second in 0..1200 {
        ask(bed, "read", PATH, half_second * 500);
    }
    600_000
}

fn part(answer: &Answer, kind: &str) -> u8 {
    let part = answer.risk.parts.iter().find(|it| it.kind == kind);
    part.map_or(0, |it| it.score)
}

#[test]
fn what_it_always_does_is_nothing() {
    let bed = bed();
    let now = usual(&bed);
    let answer = ask(&bed, "read", "ledger/other", now);
    assert_eq!(answer.risk, Risk::default());
    assert_eq!(bed.engine.behaviour().len(), 1);
}

#[test]
fn a_burst_beyond_its_own_rate_is_odd() {
    let bed = bed();
    let now = usual(&bed);
    for millisecond in 0..1000 {
        ask(&bed, "read", PATH, now + millisecond);
    }
    let answer = ask(&bed, "read", PATH, now + 1000);
    let score = part(&answer, "behaviour/rate");
    assert!(score > 60, "{answer:?}");
    assert_eq!(answer.risk.anomaly, score);
    assert_eq!(answer.risk.risk, 0);
    // It is forgotten.
    let answer = ask(&bed, "read", PATH, now + 90_000);
    assert_eq!(part(&answer, "behaviour/rate"), 0);
}

#[test]
fn a_new_agent_is_not_judged_by_a_rate_it_does_not_have() {
    let bed = bed();
    for millisecond in 0..1000 {
        let answer = ask(&bed, "read", PATH, millisecond);
        assert_eq!(answer.risk.anomaly, 0, "{answer:?}");
    }
}

#[test]
fn an_action_that_it_never_took_is_odd_and_more_of_them_odder() {
    let bed = bed();
    let now = usual(&bed);
    let novelty = |action, path, seconds: i64| {
        let answer = ask(&bed, action, path, now + seconds * 1000);
        part(&answer, "behaviour/novelty")
    };
    assert_eq!(novelty("delete", PATH, 0), 40);
    assert_eq!(novelty("read", "vault/1", 1), 80);
    assert_eq!(novelty("write", "vault/2", 2), 100);
    // Other paths in a collection that it knows are nothing new; what was stays a while.
    let later = novelty("read", "vault/3", 600);
    assert!((1..40).contains(&later), "{later}");
    assert_eq!(novelty("delete", PATH, 3600), 0);
}

#[test]
fn a_share_of_denials_is_odd() {
    // One of `every` requests is for what no policy permits.
    let share = |every: i64| {
        let bed = bed();
        let permit = "permit (principal, action, resource in Countersign::Collection::\"ledger\");";
        bed.world().set_policies(policies(&[("some", permit)]));
        for request in 0..40 {
            let path = if request % every == 0 {
                "hidden/1"
            } else {
                PATH
            };
            ask(&bed, "read", path, request * 1000);
        }
        let answer = ask(&bed, "read", PATH, 40_000);
        part(&answer, "behaviour/denials")
    };
    assert_eq!(share(10), 0);
    let half = share(2);
    assert!((40..60).contains(&half), "{half}");
    assert_eq!(share(1), 100);
}

#[test]
fn nobody_can_give_another_a_bad_name() {
    let bed = bed();
    // Without its certificate and without a caller that vouches, and with another's.
    for second in 0..100 {
        let question = Question {
            certificate: Some(bed.certificate(2)),
            ..bed.question(1)
        };
        assert_eq!(
            bed.ask_at(&question, after(second)).reason,
            Reason::BadCertificate
        );
        let question = Question {
            certificate: None,
            ..bed.question(1)
        };
        assert_eq!(
            bed.ask_at(&question, after(second)).reason,
            Reason::CallerNotAllowed
        );
    }
    assert!(bed.engine.behaviour().is_empty());
}

#[test]
fn a_forbid_that_looks_at_the_score_does_not_feed_it() {
    let bed = bed();
    let forbid = "forbid (principal, action, resource) when { context.signals.anomaly >= 30 };";
    bed.world()
        .set_policies(policies(&[("all", PERMIT_ALL), ("odd", forbid)]));
    let now = usual(&bed);
    let answer = ask(&bed, "delete", PATH, now);
    assert_eq!(answer.reason, Reason::ForbiddenByPolicy);
    assert_eq!(answer.risk.anomaly, 40);
    for second in 1..400 {
        ask(&bed, "read", PATH, now + second * 1000);
    }
    let answer = ask(&bed, "read", PATH, now + 400_000);
    assert_eq!(answer.reason, Reason::Permitted, "{answer:?}");
    assert_eq!(part(&answer, "behaviour/denials"), 0);
}
