//! What holds whatever is seen.

use countersign_core::narrow;
use countersign_statement::{Options, verify_chain};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Standing,
};
use super::super::plan::{Plan, plan};
use super::fixture::{RING, apply, passed, recorded, with, written};
use super::strategies::{anything, later};
use crate::identity::{Admits, OwnerState};

/// Of each property; 5,000 of each passed when they were written.
const CASES: u32 = 256;

/// About a third of what is generated is in force.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        max_global_rejects: cases * 20,
        ..ProptestConfig::with_cases(cases)
    }
}

fn is_ready(plan: &Plan) -> bool {
    let mut conditions = plan.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|it| it.kind == "Ready" && it.status)
}

fn is_over(plan: &Plan) -> bool {
    let mut conditions = plan.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|it| it.kind == "Completed")
}

/// Is everything that must hold for a grant known to hold? As far as it isn't in the statement.
fn is_entitled(seen: &Observed) -> bool {
    let live = |agent: &AgentSeen, latched: &Option<String>| match agent {
        AgentSeen::Found(agent) => {
            matches!(agent.life, Life::Live { .. })
                && latched.as_ref().is_none_or(|it| *it == agent.uid)
        }
        AgentSeen::Missing => false,
    };
    let latched = &seen.recorded;
    let delegator = match &seen.delegator {
        DelegatorSeen::Owner(OwnerSeen::Found { uid, state, .. }) => {
            *state == OwnerState::Active && latched.delegator.as_ref().is_none_or(|it| it == uid)
        }
        DelegatorSeen::Owner(OwnerSeen::Missing) => false,
        DelegatorSeen::Agent(agent) => live(agent, &latched.delegator),
    };
    let parent = match &seen.parent {
        ParentSeen::None => true,
        ParentSeen::Missing | ParentSeen::Stranger => false,
        ParentSeen::Found(parent) => {
            parent.standing == Standing::Good
                && parent.chain.is_some()
                && latched.parent.as_ref().is_none_or(|it| *it == parent.uid)
        }
    };
    let asked = &seen.delegation;
    delegator
        && parent
        && live(&seen.delegate, &latched.delegate)
        && !asked.revoked
        && !asked.deleting
        && !asked.unknown_constraint
        && asked.requester.is_some()
        && seen.accepted
        && (latched.granted || seen.admits == Admits::Yes)
        && latched.completed.is_none()
        && seen.closed.is_none()
        && !seen.clock_off
        && seen.domain.ready.is_ok()
        && matches!(&seen.signed, None | Some(Ok(_)))
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn a_second_pass_writes_nothing(seen in anything()) {
        let mut seen = seen;
        let first = plan(&seen);
        let before = apply(&mut seen, &first);
        let second = plan(&seen);
        prop_assert_eq!(&second.grant, &None, "after {:?}", first);
        let after = written(&seen, &second, &RING, before.as_ref());
        prop_assert_eq!(&after, &before, "after {:?}", first);
    }

    /// A crash after the statement was signed and before it was written leaves nothing behind.
    #[test]
    fn a_pass_that_is_repeated_decides_the_same(seen in anything()) {
        prop_assert_eq!(plan(&seen), plan(&seen));
    }

    #[test]
    fn the_next_look_is_never_in_the_past(seen in anything()) {
        let plan = plan(&seen);
        if let Some(again) = plan.again {
            prop_assert!(again > seen.now, "{:?}", plan);
        }
        let looked_after = plan.again.is_some() || is_over(&plan) || seen.delegation.deleting;
        prop_assert!(looked_after, "{:?}", plan);
    }

    /// `again` is early enough: what is in force stays so until then, and not a second longer.
    #[test]
    fn what_is_in_force_is_left_alone_until_it_expires(seen in anything(), share in 0.0..1.0_f64) {
        let seen = passed(seen);
        let now = plan(&seen);
        prop_assume!(is_ready(&now));
        let end = now.again.unwrap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment will do")]
        let wait = (share * end.duration_since(seen.now).as_secs() as f64) as i64;
        let meanwhile = with(seen.clone(), |it| it.now += SignedDuration::from_secs(wait));
        let then = plan(&meanwhile);
        prop_assert_eq!((&then.grant, &then.status), (&None, &now.status));
        let over = plan(&with(seen, |it| it.now = end));
        prop_assert!(is_over(&over), "{:?}", over);
    }

    #[test]
    fn nothing_is_in_force_unless_everything_that_must_hold_is_known_to_hold(seen in anything()) {
        let plan = plan(&seen);
        if is_ready(&plan) {
            prop_assert!(is_entitled(&seen), "{:?}", plan);
        } else {
            prop_assert_eq!(plan.grant, None);
        }
    }

    #[test]
    fn what_is_in_force_says_what_was_asked_and_no_more_than_is_held(seen in anything()) {
        let after = passed(seen.clone());
        prop_assume!(is_ready(&plan(&seen)));
        let chain = after.recorded.chain.as_ref().unwrap();
        let claims = chain.leaf().claims();
        let asked = &seen.delegation;
        prop_assert_eq!(&claims.id, &asked.uid);
        prop_assert_eq!(&claims.grants, &asked.grants);
        prop_assert_eq!(claims.requester.as_ref(), asked.requester.as_ref().map(|it| &it.username));
        prop_assert_eq!(&claims.agent_statement, &asked.statement);
        let life = |seconds: u64| i64::try_from(seconds).map_or(SignedDuration::MAX, SignedDuration::from_secs);
        let end = |seconds| asked.created.checked_add(life(seconds)).unwrap_or(jiff::Timestamp::MAX);
        prop_assert!(claims.expires_at > seen.now);
        prop_assert!(claims.expires_at <= end(asked.expires_after_seconds));
        let most = seen.domain.max_lifetime_seconds;
        prop_assert!(most == 0 || claims.expires_at <= end(most));
        prop_assert!(claims.max_depth <= claims.depth.saturating_add(asked.max_depth));

        let AgentSeen::Found(delegate) = &seen.delegate else { panic!("no delegate") };
        let is = |life: &Life, id: &str| matches!(life, Life::Live { spiffe_id } if spiffe_id == id);
        prop_assert!(is(&delegate.life, claims.subject.as_str()));
        prop_assert!(delegate.deadline.is_none_or(|it| claims.expires_at <= it));
        prop_assert_eq!(&claims.task, &delegate.task);
        prop_assert!(narrow(&claims.grants, &after.recorded.shown.grants).is_ok());

        match (&seen.delegator, &seen.parent) {
            (DelegatorSeen::Owner(OwnerSeen::Found { grants, .. }), ParentSeen::None) => {
                prop_assert!(narrow(grants, &claims.grants).is_ok());
                prop_assert_eq!(claims.depth, 1);
            }
            (DelegatorSeen::Agent(AgentSeen::Found(agent)), ParentSeen::Found(parent)) => {
                let above = parent.chain.as_ref().unwrap().leaf().claims();
                prop_assert!(narrow(&agent.grants, &claims.grants).is_ok());
                prop_assert!(narrow(&above.grants, &claims.grants).is_ok());
                prop_assert!(claims.expires_at <= above.expires_at);
                prop_assert!(claims.issued_at >= above.issued_at);
                prop_assert_eq!(claims.depth, above.depth + 1);
                prop_assert!(claims.max_depth <= above.max_depth);
                prop_assert!(is(&agent.life, claims.delegator.as_ref().unwrap().as_str()));
                prop_assert_eq!(&claims.owner, &above.owner);
            }
            other => panic!("{other:?}"),
        }
        if let Some(Ok(signed)) = &seen.signed {
            prop_assert!(claims.expires_at <= signed.request.expires_at);
            prop_assert!(claims.max_depth <= signed.request.max_depth);
            prop_assert!(narrow(&signed.request.grants, &claims.grants).is_ok());
            prop_assert!(!signed.revoked);
        }
    }

    #[test]
    fn what_is_over_stays_over_under_any_later_sight(first in anything(), other in anything()) {
        let ended = passed(with(first, |it| {
            it.delegation.revoked = true;
            it.delegation.deleting = false;
        }));
        let seen = later(&ended, other);
        let plan = plan(&seen);
        prop_assert_eq!(&plan.grant, &None);
        let status = written(&seen, &plan, &RING, None);
        let after = status.map(|status| recorded(&status, &RING, seen.now));
        prop_assert_eq!(after.as_ref(), Some(&ended.recorded).filter(|_| !seen.delegation.deleting));
    }

    #[test]
    fn what_is_over_shows_no_statement_and_keeps_its_digest(seen in anything()) {
        let plan = plan(&seen);
        prop_assume!(is_over(&plan));
        let status = plan.status.unwrap();
        prop_assert!(status.statements.is_empty());
        prop_assert_eq!(status.digest, seen.recorded.digest);
        prop_assert!(status.finished.is_some_and(|it| it <= seen.now || seen.recorded.finished.is_some()));
        prop_assert_eq!((plan.grant, plan.again), (None, None));
    }

    #[test]
    fn what_was_countersigned_is_forgotten_by_no_pass(seen in anything()) {
        let after = passed(seen.clone());
        prop_assert!(after.recorded.granted || !seen.recorded.granted);
        prop_assert!(after.recorded.issued.is_some() || seen.recorded.issued.is_none());
    }

    #[test]
    fn a_latch_is_never_moved(before in anything(), other in anything()) {
        let before = passed(before);
        let after = passed(later(&before, other)).recorded;
        let kept = |latch: &Option<String>, now: &Option<String>| latch.is_none() || latch == now;
        prop_assert!(kept(&before.recorded.delegator, &after.delegator));
        prop_assert!(kept(&before.recorded.delegate, &after.delegate));
        prop_assert!(kept(&before.recorded.parent, &after.parent));
    }

    #[test]
    fn conditions_are_of_one_story(seen in anything()) {
        if let Some(status) = plan(&seen).status {
            let kinds: Vec<_> = status.conditions.iter().map(|it| (it.kind, it.status)).collect();
            let known = matches!(
                kinds.as_slice(),
                [("Completed" | "Suspended" | "Ready", true)]
                    | [("Ready", false), ("Stalled" | "Reconciling", true)]
            );
            prop_assert!(known, "{:?}", kinds);
            for condition in &status.conditions {
                prop_assert!(!condition.message.is_empty());
                let reason = &condition.reason;
                prop_assert!(reason.starts_with(|first: char| first.is_ascii_uppercase()), "{}", reason);
                prop_assert!(reason.chars().all(|it| it.is_ascii_alphanumeric()), "{}", reason);
            }
        }
    }
}

proptest! {
    // A batch of signatures takes tens of milliseconds where nothing is optimised.
    #![proptest_config(config(CASES / 10))]

    #[test]
    fn what_is_in_force_verifies_from_the_bundle_alone(seen in anything()) {
        let after = passed(seen.clone());
        prop_assume!(is_ready(&plan(&seen)));
        let texts: Vec<&str> = after.recorded.statements.iter().map(String::as_str).collect();
        let chain = verify_chain(&texts, &RING.trusted, seen.now, &Options::default()).unwrap();
        prop_assert_eq!(after.recorded.digest, Some(*chain.leaf().digest()));
        prop_assert_eq!(after.recorded.expires, Some(chain.expires_at()));
        prop_assert_eq!(after.recorded.shown.depth, Some(chain.leaf().claims().depth));
        if let Some(above) = seen.parent_chain() {
            let held: Vec<_> = chain.digests().take(above.hops().len()).collect();
            prop_assert_eq!(held, above.digests().collect::<Vec<_>>());
        }
    }
}

/// The properties above say something only if their premises are met often enough.
#[test]
fn what_is_generated_is_of_every_kind() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..3000 {
        let one = anything().new_tree(&mut runner).unwrap().current();
        let plan = plan(&one);
        let kind = match (&plan.status, &plan.grant) {
            (None, _) => "left alone".to_owned(),
            (_, Some(_)) if one.recorded.granted => "countersigned anew".to_owned(),
            (_, Some(_)) => "countersigned".to_owned(),
            (Some(status), None) => status.conditions.last().unwrap().reason.clone(),
        };
        *seen.entry(kind).or_default() += 1;
    }
    for kind in [
        "left alone",
        "countersigned",
        "countersigned anew",
        "Countersigned",
        "Revoked",
        "Expired",
        "ParentEnded",
        "OwnerDeparted",
        "DelegatorEnded",
        "DelegateEnded",
        "OwnerSuspended",
        "DelegateSuspended",
        "ParentSuspended",
        "Shut",
        "ClockSkew",
        "RequesterMissing",
        "UnknownConstraint",
        "NotTheDelegate",
        "ParentNotReady",
        "NamespaceNotAccepting",
        "GrantsWiden",
        "DelegatorLacks",
        "TooDeep",
        "TrustDomainNotReady",
        "StatementInvalid",
        "StatementDiffers",
    ] {
        assert!(seen.contains_key(kind), "{kind} is not in {seen:?}");
    }
    assert!(
        seen["countersigned"] + seen["Countersigned"] > 300,
        "{seen:?}"
    );
}
