//! What is awaited, and what is suspended.

use super::super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Standing,
};
use super::super::plan::plan;
use super::fixture::{
    assert_held, assert_ready, assert_settles, at, delegate, delegator, granted, granted_hop,
    message, owner, parent, root, with,
};
use super::refusals::{because, hop};
use crate::identity::{Admits, OwnerState};

/// What is awaited: whether by a root or a hop, what is changed, and what is said.
struct Case {
    of: fn() -> Observed,
    reason: &'static str,
    tells: &'static str,
    change: fn(&mut Observed),
}

const CASES: &[Case] = &[
    Case {
        of: root,
        reason: "DelegateNotFound",
        tells: "waiting for AgentIdentity planner, its delegate",
        change: |it| it.delegate = AgentSeen::Missing,
    },
    Case {
        of: root,
        reason: "DelegateNotReady",
        tells: "it has no SPIFFE ID yet",
        change: |it| delegate(it).life = Life::Waiting,
    },
    Case {
        of: hop,
        reason: "DelegatorNotFound",
        tells: "waiting for AgentIdentity planner, its delegator",
        change: |it| it.delegator = DelegatorSeen::Agent(AgentSeen::Missing),
    },
    Case {
        of: hop,
        reason: "DelegatorNotReady",
        tells: "it has no SPIFFE ID yet",
        change: |it| delegator(it).life = Life::Waiting,
    },
    Case {
        of: hop,
        reason: "ParentNotFound",
        tells: "waiting for Delegation finance/hop-1, its parent",
        change: |it| it.parent = ParentSeen::Missing,
    },
    Case {
        of: hop,
        reason: "ParentNotReady",
        tells: "to be countersigned",
        change: |it| {
            parent(it).standing = Standing::Waiting;
            parent(it).chain = None;
        },
    },
    Case {
        of: hop,
        reason: "ParentNotReady",
        tells: "to be countersigned",
        // Its key was distrusted, and nobody has looked at it since.
        change: |it| parent(it).chain = None,
    },
    Case {
        of: hop,
        reason: "ParentNotReady",
        tells: "is held back: its grants widen",
        change: |it| parent(it).standing = Standing::Held("its grants widen".to_owned()),
    },
    Case {
        of: root,
        reason: "RequesterUnverified",
        tells: "can't ask whether alice@example.com may delegate: 500",
        change: |it| it.admits = Admits::Unknown("500".to_owned()),
    },
    Case {
        of: root,
        reason: "ClockSkew",
        tells: "too far apart: nothing is countersigned",
        change: |it| it.clock_off = true,
    },
    Case {
        of: root,
        reason: "TrustDomainNotReady",
        tells: "do this",
        change: |it| it.domain.ready = Err(because("TrustDomainNotReady")),
    },
    Case {
        of: root,
        reason: "TrustDomainNotReady",
        tells: "its trust domain is not there yet",
        change: |it| it.domain.name = None,
    },
];

#[test]
fn each_wait_says_for_what_and_ends_by_itself() {
    for case in CASES {
        let good = (case.of)();
        let seen = with(good.clone(), case.change);
        assert_held(&seen, "Reconciling", case.reason);
        let plan = plan(&seen);
        assert!(message(&plan).contains(case.tells), "{plan:?}");
        let recorded = assert_settles(&seen).recorded;
        assert_ready(&Observed { recorded, ..good }, true);
    }
}

#[test]
fn a_wait_is_looked_at_again_within_a_minute_and_at_its_end() {
    let seen = with(root(), |it| it.delegate = AgentSeen::Missing);
    assert_eq!(plan(&seen).again, Some(at(60)));
    let late = with(seen, |it| it.now = at(860));
    assert_eq!(plan(&late).again, Some(at(895)));
}

fn suspended_owner(seen: &mut Observed) {
    let mut owner = owner();
    if let OwnerSeen::Found { state, .. } = &mut owner {
        *state = OwnerState::Suspended;
    }
    seen.delegator = DelegatorSeen::Owner(owner);
}

fn suspended_life() -> Life {
    Life::Suspended { spiffe_id: None }
}

const SUSPENDED: &[Case] = &[
    Case {
        of: root,
        reason: "OwnerSuspended",
        tells: "its owner is suspended",
        change: suspended_owner,
    },
    Case {
        of: root,
        reason: "DelegateSuspended",
        tells: "its delegate is suspended",
        change: |it| delegate(it).life = suspended_life(),
    },
    Case {
        of: hop,
        reason: "DelegatorSuspended",
        tells: "its delegator is suspended",
        change: |it| delegator(it).life = suspended_life(),
    },
    Case {
        of: hop,
        reason: "ParentSuspended",
        tells: "owner alice is suspended",
        change: |it| {
            parent(it).standing = Standing::Suspended("owner alice is suspended".to_owned());
        },
    },
];

#[test]
fn what_it_rests_on_suspends_it_and_it_is_in_force_again_afterwards() {
    for case in SUSPENDED {
        for before in [(case.of)(), granted((case.of)())] {
            let seen = with(before.clone(), case.change);
            assert_held(&seen, "Suspended", case.reason);
            let plan = plan(&seen);
            assert_eq!(message(&plan), case.tells);
            let status = plan.status.unwrap();
            assert_eq!(status.statements, before.recorded.statements);
            let anew = !before.recorded.granted;
            let recorded = assert_settles(&seen).recorded;
            assert_ready(&Observed { recorded, ..before }, anew);
        }
    }
}

#[test]
fn a_parent_that_waits_holds_back_what_was_granted_below() {
    let seen = with(granted_hop(), |it| parent(it).standing = Standing::Waiting);
    assert_held(&seen, "Reconciling", "ParentNotReady");
}

#[test]
fn what_only_stops_new_grants_leaves_alone_what_was_granted() {
    let stops: [fn(&mut Observed); 3] = [
        |it| {
            it.domain.ready = Err(because("TrustDomainNotReady"));
            // Without keys nothing verifies.
            it.recorded.chain = None;
        },
        |it| it.closed = Some(because("Shut")),
        |it| it.clock_off = true,
    ];
    for granted in [granted(root()), granted_hop()] {
        for stop in stops {
            let seen = with(granted.clone(), |it| {
                stop(it);
                it.accepted = false;
            });
            let plan = plan(&seen);
            assert_eq!((&plan.grant, &plan.status), (&None, &None));
            assert_eq!(plan.again, Some(at(60)));
        }
    }
}

#[test]
fn a_trust_domain_that_is_not_ready_stops_no_end_and_no_suspension() {
    let not_ready = |it: &mut Observed| {
        it.domain.ready = Err(because("TrustDomainNotReady"));
        it.recorded.chain = None;
    };
    let seen = with(with(granted(root()), not_ready), |it| {
        it.delegation.revoked = true;
    });
    super::fixture::assert_over(&seen, "Revoked");
    let seen = with(with(granted(root()), not_ready), suspended_owner);
    assert_held(&seen, "Suspended", "OwnerSuspended");
}
