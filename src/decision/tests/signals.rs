//! What was noticed, and what it does.

use jiff::SignedDuration;

use super::fixture::*;
use crate::*;

fn of_agent(hop: usize) -> SignalSubject {
    SignalSubject::Agent(agent(hop))
}

fn accept(bed: &Bed, signal: Signal) {
    assert_eq!(bed.signals().accept(signal, start()), Ok(true));
}

fn risk(bed: &Bed, question: &Question, seconds: i64) -> u8 {
    bed.ask_at(question, after(seconds)).risk.risk
}

#[test]
fn a_signal_adds_to_the_risk_and_fades() {
    let bed = Bed::new();
    let question = bed.question(1);
    accept(&bed, signal("a", of_agent(1), Effect::Risk));
    assert_eq!(risk(&bed, &question, 0), 40);
    assert_eq!(risk(&bed, &question, 500), 20);
    assert_eq!(risk(&bed, &question, 1000), 0);
    assert_eq!(risk(&bed, &bed.question(2), 0), 0);
    let answer = bed.ask(&question);
    assert_eq!(answer.reason, Reason::Permitted);
    assert_eq!(answer.risk.parts[0].kind, "test/a");
    assert_eq!(answer.risk.parts[0].why, "for a test");
}

#[test]
fn the_worst_of_all_that_concern_the_agent_counts() {
    let bed = Bed::new();
    let serial = bed.ask(&bed.question(3)).agent.unwrap().serial_number;
    let pod = SignalSubject::Pod {
        namespace: "finance".to_owned(),
        name: "agent-3-x".to_owned(),
    };
    let subjects = [
        of_agent(3),
        pod,
        SignalSubject::Owner("alice".to_owned()),
        SignalSubject::Owner("alice@example.org".to_owned()),
        SignalSubject::Owner("alice@elsewhere.example".to_owned()),
        SignalSubject::Certificate(serial.unwrap()),
        SignalSubject::Delegation(bed.hops[0].digest.to_string()),
    ];
    bed.signals().set_pod("finance", "agent-3-x", &agent(3));
    bed.signals()
        .set_owner_names("alice", vec!["alice@elsewhere.example".to_owned()]);
    for (place, subject) in (1..).zip(subjects) {
        accept(
            &bed,
            Signal {
                severity: place * 10,
                ..signal(&place.to_string(), subject, Effect::Risk)
            },
        );
        let answer = bed.ask(&bed.chained());
        assert_eq!(answer.risk.risk, place * 10, "{answer:?}");
        assert_eq!(answer.risk.parts.len(), usize::from(place));
    }
    // Without the chain, nothing of the chain.
    assert_eq!(risk(&bed, &bed.question(3), 0), 60);
    bed.signals().remove_pod("finance", "agent-3-x");
    bed.signals().set_owner_names("alice", Vec::new());
    let parts = bed.ask(&bed.question(3)).risk.parts;
    assert_eq!(parts.len(), 4, "{parts:?}");
}

#[test]
fn too_high_a_risk_denies() {
    let bed = Bed::new();
    accept(&bed, signal("a", of_agent(1), Effect::Risk));
    let at = |most| {
        bed.world().set_rules(Rules {
            suspend_at: Some(most),
            ..rules()
        });
        bed.own()
    };
    assert_eq!(at(41), Reason::Permitted);
    assert_eq!(at(40), Reason::RiskTooHigh);
    // And whoever acts by what it handed on.
    assert_eq!(bed.by_chain(), Reason::DelegationSuspended);
    let question = bed.question(1);
    assert_eq!(bed.ask_at(&question, after(100)).reason, Reason::Permitted);
}

#[test]
fn policies_see_signals() {
    let bed = Bed::new();
    let forbid = "forbid (principal, action, resource) when { context.signals.risk >= 40 \
        && context.signals.codes.contains(\"test/a\") };";
    let stale =
        "forbid (principal, action, resource) when { context.signals.ageMilliseconds > 5000 };";
    bed.world().set_policies(policies(&[
        ("all", PERMIT_ALL),
        ("risk", forbid),
        ("stale", stale),
    ]));
    assert_eq!(bed.own(), Reason::Permitted);
    accept(&bed, signal("a", of_agent(1), Effect::Risk));
    let answer = bed.ask(&bed.question(1));
    assert_eq!(answer.policies, ["cluster/test/risk"]);
    assert_eq!(bed.ask(&bed.question(2)).reason, Reason::Permitted);
    bed.signals().set_incomplete_since(Some(after(-6)));
    let answer = bed.ask(&bed.question(2));
    assert_eq!(answer.policies, ["cluster/test/stale"]);
    bed.signals().set_incomplete_since(None);
    assert_eq!(bed.ask(&bed.question(2)).reason, Reason::Permitted);
}

#[test]
fn what_denies_everything_does_so_while_it_counts() {
    for subject in [of_agent(1), SignalSubject::Owner("alice".to_owned())] {
        let bed = Bed::new();
        accept(&bed, signal("a", subject, Effect::Deny));
        let question = bed.question(1);
        assert_eq!(bed.ask(&question).reason, Reason::AgentSuspended);
        assert_eq!(
            bed.ask_at(&question, after(999)).reason,
            Reason::AgentSuspended
        );
        assert_eq!(bed.ask_at(&question, after(1000)).reason, Reason::Permitted);
    }
    let bed = Bed::new();
    accept(&bed, signal("a", of_agent(1), Effect::Deny));
    assert_eq!(bed.by_chain(), Reason::DelegationSuspended);
    let bed = Bed::new();
    for digest in [zero_of(&bed.hops[0]), bed.hops[1].digest] {
        let subject = SignalSubject::Delegation(digest.to_string());
        accept(&bed, signal(&digest.to_string(), subject, Effect::Deny));
        assert_eq!(bed.by_chain(), Reason::DelegationSuspended);
        let clear = Signal {
            id: format!("clear {digest}"),
            kind: format!("test/{digest}"),
            ..signal(
                "",
                SignalSubject::Delegation(digest.to_string()),
                Effect::Clear,
            )
        };
        accept(
            &bed,
            Signal {
                observed: after(1),
                ..clear
            },
        );
        assert_eq!(bed.by_chain(), Reason::Permitted);
    }
}

#[test]
fn ended_sessions_deny_certificates_of_before() {
    let bed = Bed::new();
    let ended = Signal {
        observed: after(20),
        ..signal("a", of_agent(1), Effect::EndSessions)
    };
    assert_eq!(bed.signals().accept(ended, after(20)), Ok(true));
    let old = bed.question(1);
    assert_eq!(
        bed.ask_at(&old, after(20)).reason,
        Reason::CertificateRevoked
    );
    let vouched = Question {
        certificate: None,
        ..old.clone()
    };
    let answer = bed.engine.decide(&trusted(), &vouched, after(20));
    assert_eq!(answer.reason, Reason::CertificateRevoked);
    // A second later, though its validity begins ten seconds before that.
    let new = Question {
        certificate: Some(bed.issue(&agent(1), after(21), 600)),
        ..old
    };
    assert_eq!(bed.ask_at(&new, after(21)).reason, Reason::Permitted);
    // What it handed on before is denied as well.
    assert_eq!(
        bed.ask_at(&bed.chained(), after(21)).reason,
        Reason::DelegationSuspended
    );
}

#[test]
fn a_certificate_that_a_signal_names_is_refused() {
    for effect in [Effect::Deny, Effect::EndSessions] {
        let bed = Bed::new();
        let serial = bed.ask(&bed.question(1)).agent.unwrap().serial_number;
        let subject = SignalSubject::Certificate(serial.unwrap());
        accept(&bed, signal("a", subject, effect));
        assert_eq!(bed.own(), Reason::CertificateRevoked);
        let other = Question {
            certificate: Some(bed.issue(&agent(1), after(1), 600)),
            ..bed.question(1)
        };
        assert_eq!(bed.ask_at(&other, after(1)).reason, Reason::Permitted);
    }
}

#[test]
fn the_same_signal_again_changes_nothing_and_a_later_one_replaces() {
    let bed = Bed::new();
    let table = bed.signals();
    let first = signal("a", of_agent(1), Effect::Risk);
    assert_eq!(table.accept(first.clone(), start()), Ok(true));
    let again = Signal {
        severity: 90,
        ..first.clone()
    };
    assert_eq!(table.accept(again, start()), Ok(false));
    let named = |id: &str, severity, seconds| Signal {
        id: id.to_owned(),
        severity,
        observed: after(seconds),
        ..first.clone()
    };
    assert_eq!(table.accept(named("b", 10, 5), start()), Ok(true));
    assert_eq!(table.len(), 1);
    assert_eq!(table.accept(named("c", 90, 4), start()), Ok(false));
    assert_eq!(table.accept(first.clone(), start()), Ok(false));
    assert_eq!(risk(&bed, &bed.question(1), 5), 10);
    let clear = Signal {
        effect: Effect::Clear,
        ..named("d", 100, 6)
    };
    assert_eq!(table.accept(clear, start()), Ok(true));
    assert_eq!(risk(&bed, &bed.question(1), 6), 0);
    // Sent again, the old ones don't come back.
    assert_eq!(table.accept(first.clone(), start()), Ok(false));
    assert_eq!(table.accept(named("b", 10, 5), start()), Ok(false));
    // Of another source it is another.
    let other = Signal {
        source: "other".to_owned(),
        ..named("a", 30, 0)
    };
    assert_eq!(table.accept(other, start()), Ok(true));
    assert_eq!(risk(&bed, &bed.question(1), 0), 30);
}

#[test]
fn the_order_in_which_signals_come_does_not_count() {
    let effects = [Effect::Risk, Effect::Clear, Effect::Deny, Effect::Risk];
    let all: Vec<Signal> = (0..)
        .zip(effects)
        .map(|(place, effect)| Signal {
            id: place.to_string(),
            kind: "test/same".to_owned(),
            observed: after(place / 2),
            ..signal("", of_agent(1), effect)
        })
        .collect();
    let mut ends = Vec::new();
    for turn in 0..all.len() {
        for reverse in [false, true] {
            let table = Signals::new();
            let mut turned = all.clone();
            turned.rotate_left(turn);
            if reverse {
                turned.reverse();
            }
            for signal in turned {
                table.accept(signal, start()).unwrap();
            }
            ends.push(table.all(start()));
        }
    }
    assert!(ends.iter().all(|it| *it == ends[0]), "{ends:?}");
}

#[test]
fn what_cannot_be_is_refused() {
    let table = Signals::new();
    let refused = |change: &dyn Fn(&mut Signal)| {
        let mut bad = signal("a", of_agent(1), Effect::Risk);
        change(&mut bad);
        let why = table.accept(bad, start()).unwrap_err();
        assert!(matches!(why, SignalRefused::Bad(_)), "{why}");
    };
    refused(&|it| it.severity = 101);
    refused(&|it| it.lifetime = SignedDuration::from_millis(999));
    refused(&|it| it.lifetime = SignedDuration::from_hours(30 * 24 + 1));
    refused(&|it| it.lifetime = SignedDuration::MIN);
    refused(&|it| it.lifetime = SignedDuration::MAX);
    refused(&|it| it.observed = after(61));
    refused(&|it| it.observed = after(-1000));
    refused(&|it| it.observed = jiff::Timestamp::MIN);
    refused(&|it| it.observed = jiff::Timestamp::MAX);
    refused(&|it| it.id = String::new());
    refused(&|it| it.kind = "a".repeat(1025));
    refused(&|it| it.why = "a".repeat(1025));
    refused(&|it| it.subject = SignalSubject::Agent(String::new()));
    refused(&|it| it.subject = SignalSubject::Owner("a".repeat(2049)));
    assert!(table.is_empty());
    let edge = Signal {
        observed: after(60),
        ..signal("a", of_agent(1), Effect::Risk)
    };
    assert_eq!(table.accept(edge, start()), Ok(true));
}

#[test]
fn of_a_subject_the_least_severe_goes_and_what_denies_stays() {
    let bed = Bed::new();
    let numbered = |number: u8, effect| Signal {
        severity: number % 100,
        ..signal(&number.to_string(), of_agent(1), effect)
    };
    accept(&bed, numbered(1, Effect::Deny));
    for number in 2..=64 {
        accept(&bed, numbered(number, Effect::Risk));
    }
    // Less severe than all that are there.
    let least = Signal {
        severity: 0,
        ..numbered(200, Effect::Risk)
    };
    assert_eq!(bed.signals().accept(least, start()), Ok(false));
    for number in 65..=100 {
        assert_eq!(
            bed.signals()
                .accept(numbered(number, Effect::Risk), start()),
            Ok(number < 100)
        );
        assert_eq!(bed.signals().len(), 64);
    }
    assert_eq!(bed.own(), Reason::AgentSuspended);
    assert_eq!(risk(&bed, &bed.question(1), 0), 99);
}

#[test]
fn a_full_table_refuses_until_something_is_over() {
    let table = Signals::with_room(2);
    let numbered = |number: usize| signal(&number.to_string(), of_agent(number), Effect::Risk);
    assert_eq!(table.accept(numbered(1), start()), Ok(true));
    assert_eq!(table.accept(numbered(2), start()), Ok(true));
    assert_eq!(table.accept(numbered(3), start()), Err(SignalRefused::Full));
    let late = Signal {
        observed: after(1000),
        ..numbered(3)
    };
    assert_eq!(table.accept(late, after(1000)), Ok(true));
    assert_eq!(table.len(), 1);
    table.prune(after(2000));
    assert!(table.is_empty());
}

#[test]
fn the_inlet_has_a_clock() {
    let bed = Bed::new();
    let table = std::sync::Arc::clone(bed.engine.signals());
    let inlet = SignalInlet::new(table, std::sync::Arc::new(start));
    inlet
        .accept(signal("a", of_agent(1), Effect::Risk))
        .unwrap();
    assert_eq!(inlet.all().len(), 1);
    assert_eq!(risk(&bed, &bed.question(1), 0), 40);
}

#[test]
fn the_risk_of_identities_is_told_beside_requests() {
    let bed = Bed::new();
    assert!(bed.engine.risky(start()).is_empty());
    assert_eq!(bed.engine.risk_of(&agent(1), start()).unwrap().risk, 0);
    assert!(
        bed.engine
            .risk_of("spiffe://example.org/other", start())
            .is_none()
    );
    accept(&bed, signal("a", of_agent(1), Effect::Risk));
    let digest = bed.hops[1].digest.to_string();
    accept(
        &bed,
        signal("b", SignalSubject::Delegation(digest), Effect::Risk),
    );
    let risky = |seconds| {
        let mut all = bed.engine.risky(after(seconds));
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.into_iter()
            .map(|(uid, it)| (uid, it.risk))
            .collect::<Vec<_>>()
    };
    let of = |hop: usize, risk| (format!("i-{hop}"), risk);
    assert_eq!(risky(0), [of(1, 40), of(2, 40)]);
    // By the serial number that is current.
    accept(
        &bed,
        signal(
            "c",
            SignalSubject::Certificate("03".to_owned()),
            Effect::Risk,
        ),
    );
    assert_eq!(risky(500), [of(1, 20), of(2, 20), of(3, 20)]);
    assert!(risky(1000).is_empty());
    assert_eq!(bed.engine.risk_of(&agent(2), start()).unwrap().risk, 40);
}

#[test]
fn a_pardon_takes_back_what_anybody_noticed_until_then_and_nothing_later() {
    let bed = Bed::new();
    let question = bed.question(1);
    accept(&bed, signal("a", of_agent(1), Effect::Risk));
    accept(&bed, signal("b", of_agent(1), Effect::Deny));
    assert!(!bed.ask(&question).allowed);
    let pardon = Signal::pardon(&agent(1), start());
    assert_eq!(bed.signals().accept(pardon, start()), Ok(true));
    assert_eq!(risk(&bed, &question, 0), 0);
    assert!(bed.ask(&question).allowed);
    let later = Signal {
        observed: after(1),
        ..signal("c", of_agent(1), Effect::Risk)
    };
    assert_eq!(bed.signals().accept(later, after(1)), Ok(true));
    assert_eq!(risk(&bed, &question, 1), 40);
    // One that calls itself a pardon is a reporter's own affair.
    let forged = Signal {
        source: "soc".to_owned(),
        ..Signal::pardon(&agent(1), after(2))
    };
    assert_eq!(bed.signals().accept(forged, after(2)), Ok(true));
    assert!(risk(&bed, &question, 2) > 0);
}

#[test]
fn whoever_was_spoken_of_is_told_of_also_when_all_was_taken_back() {
    let bed = Bed::new();
    let risks = |seconds| {
        let risky = bed.engine.risky(after(seconds));
        risky
            .into_iter()
            .map(|(_, risk)| risk.risk)
            .collect::<Vec<_>>()
    };
    assert!(risks(0).is_empty());
    accept(&bed, signal("a", of_agent(1), Effect::Clear));
    assert_eq!(risks(0), [0]);
    assert!(risks(1000).is_empty());
}
