//! Each way to be over, that it is for good, and that a name is no identity.

use super::super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Standing,
};
use super::super::plan::plan;
use super::fixture::{
    RING, agent, as_parent, assert_over, assert_ready, assert_says, assert_settles, at, below,
    delegate, delegator, granted, granted_hop, message, owner, parent, passed, recorded, root,
    with, written,
};
use crate::identity::OwnerState;
use crate::retired::Before;

/// One way to end: whether a root or a hop, what is changed, and what is said.
struct Case {
    of: fn() -> Observed,
    reason: &'static str,
    tells: &'static str,
    change: fn(&mut Observed),
}

fn countersigned_root() -> Observed {
    granted(root())
}

fn over() -> Life {
    Life::Over("its task succeeded".to_owned())
}

fn departed(seen: &mut Observed) {
    let mut owner = owner();
    if let OwnerSeen::Found { state, .. } = &mut owner {
        *state = OwnerState::Departed;
    }
    seen.delegator = DelegatorSeen::Owner(owner);
}

fn another_owner(seen: &mut Observed) {
    let mut owner = owner();
    if let OwnerSeen::Found { uid, .. } = &mut owner {
        "alice-2-uid".clone_into(uid);
    }
    seen.delegator = DelegatorSeen::Owner(owner);
}

const CASES: &[Case] = &[
    Case {
        of: countersigned_root,
        reason: "Revoked",
        tells: "spec.desiredState",
        change: |it| it.delegation.revoked = true,
    },
    Case {
        of: countersigned_root,
        reason: "Expired",
        tells: "its time is up",
        change: |it| it.now = at(895),
    },
    Case {
        of: countersigned_root,
        reason: "OwnerDeparted",
        tells: "departed",
        change: departed,
    },
    Case {
        of: countersigned_root,
        reason: "OwnerDeparted",
        tells: "is gone",
        change: |it| it.delegator = DelegatorSeen::Owner(OwnerSeen::Missing),
    },
    Case {
        of: countersigned_root,
        reason: "OwnerDeparted",
        tells: "another owner has the name",
        change: another_owner,
    },
    Case {
        of: countersigned_root,
        reason: "DelegateEnded",
        tells: "its delegate is over: its task succeeded",
        change: |it| delegate(it).life = over(),
    },
    Case {
        of: countersigned_root,
        reason: "DelegateEnded",
        tells: "its delegate is gone",
        change: |it| it.delegate = AgentSeen::Missing,
    },
    Case {
        of: countersigned_root,
        reason: "DelegateEnded",
        tells: "another agent has its name",
        change: |it| "other".clone_into(&mut delegate(it).uid),
    },
    Case {
        of: granted_hop,
        reason: "DelegatorEnded",
        tells: "its delegator is over: its task succeeded",
        change: |it| delegator(it).life = over(),
    },
    Case {
        of: granted_hop,
        reason: "DelegatorEnded",
        tells: "its delegator is gone",
        change: |it| it.delegator = DelegatorSeen::Agent(AgentSeen::Missing),
    },
    Case {
        of: granted_hop,
        reason: "DelegatorEnded",
        tells: "another agent has its name",
        change: |it| "other".clone_into(&mut delegator(it).uid),
    },
    Case {
        of: granted_hop,
        reason: "ParentEnded",
        tells: "its parent is over: it is revoked",
        change: |it| parent(it).standing = Standing::Over("it is revoked".to_owned()),
    },
    Case {
        of: granted_hop,
        reason: "ParentEnded",
        tells: "its parent is gone",
        change: |it| it.parent = ParentSeen::Missing,
    },
    Case {
        of: granted_hop,
        reason: "ParentEnded",
        tells: "another delegation has the name of its parent",
        change: |it| "other".clone_into(&mut parent(it).uid),
    },
];

#[test]
fn each_way_to_end_is_told_and_leaves_the_digest_alone() {
    for case in CASES {
        let before = (case.of)();
        let seen = with(before.clone(), case.change);
        assert_over(&seen, case.reason);
        let plan = plan(&seen);
        assert!(message(&plan).contains(case.tells), "{plan:?}");
        let status = plan.status.unwrap();
        assert!(status.statements.is_empty(), "nobody copies it from here");
        assert_eq!(status.digest, before.recorded.digest, "lists have it");
        assert!(status.digest.is_some());
        assert_eq!(status.finished, Some(seen.now));
        assert_eq!(status.shown.grants, before.recorded.shown.grants);
        assert_eq!(status.shown.root, before.recorded.shown.root);
    }
}

#[test]
fn what_is_over_stays_over_when_all_is_well_again() {
    for case in CASES {
        let good = (case.of)();
        let ended = passed(with(good.clone(), case.change));
        let again = Observed {
            recorded: ended.recorded.clone(),
            now: at(600),
            ..good
        };
        assert_says(&plan(&again), &[("Completed", true, case.reason)]);
        let finished = plan(&again).status.unwrap().finished;
        assert_eq!(finished, ended.recorded.finished, "the first end counts");
    }
}

#[test]
fn what_was_never_countersigned_ends_all_the_same() {
    for case in CASES {
        let fresh: fn() -> Observed = match (case.of)().delegation.parent {
            None => root,
            Some(_) => || below(&granted(root())),
        };
        // It was refused at first, which latches what it saw.
        let refused = passed(with(fresh(), |it| it.accepted = false));
        let seen = with(refused, |it| {
            it.accepted = true;
            (case.change)(it);
        });
        assert_over(&seen, case.reason);
        assert_eq!(plan(&seen).status.unwrap().digest, None);
    }
}

#[test]
fn an_ended_parent_and_a_departed_owner_end_at_the_first_look() {
    let parent_over = with(below(&granted(root())), |it| {
        parent(it).standing = Standing::Over("it expired".to_owned());
    });
    assert_over(&parent_over, "ParentEnded");
    assert_over(&with(root(), departed), "OwnerDeparted");
    assert_over(
        &with(root(), |it| delegate(it).life = over()),
        "DelegateEnded",
    );
}

#[test]
fn uids_are_latched_at_the_first_look_whatever_comes_of_it() {
    let seen = passed(with(below(&granted(root())), |it| {
        it.closed = Some(super::refusals::because("Shut"));
    }));
    let latched = &seen.recorded;
    assert_eq!(latched.delegator.as_deref(), Some("planner-uid"));
    assert_eq!(latched.delegate.as_deref(), Some("reader-uid"));
    assert_eq!(latched.parent.as_deref(), Some("hop-1-uid"));
}

#[test]
fn what_isnt_there_yet_is_latched_when_it_comes() {
    let mut seen = passed(with(root(), |it| it.delegate = AgentSeen::Missing));
    assert_eq!(seen.recorded.delegate, None);
    assert_eq!(seen.recorded.delegator.as_deref(), Some("alice-uid"));
    seen.delegate = AgentSeen::Found(agent("planner"));
    assert_ready(&seen, true);
}

#[test]
fn a_latch_never_moves() {
    let mut seen = granted_hop();
    delegate(&mut seen).uid = "other".to_owned();
    delegator(&mut seen).uid = "other".to_owned();
    parent(&mut seen).uid = "other".to_owned();
    let status = plan(&seen).status.unwrap();
    assert_eq!(status.delegate.as_deref(), Some("reader-uid"));
    assert_eq!(status.delegator.as_deref(), Some("planner-uid"));
    assert_eq!(status.parent.as_deref(), Some("hop-1-uid"));
}

#[test]
fn a_parent_made_anew_under_its_name_never_wakes_a_child() {
    let first = granted(root());
    let child = granted(below(&first));
    let second = granted(with(root(), |it| {
        "hop-1-new-uid".clone_into(&mut it.delegation.uid)
    }));
    let seen = with(child, |it| it.parent = as_parent(&second));
    assert_over(&seen, "ParentEnded");
    let after = assert_settles(&seen);
    let restored = with(after, |it| it.parent = as_parent(&first));
    assert_says(&plan(&restored), &[("Completed", true, "ParentEnded")]);
}

#[test]
fn without_a_clock_nothing_expires() {
    let late = with(granted(root()), |it| {
        it.now = at(5000);
        it.clock_off = true;
    });
    assert_eq!(plan(&late).status, None, "it is left alone");
}

#[test]
fn what_was_not_countersigned_in_time_expires_too() {
    let late = with(root(), |it| it.now = at(895));
    assert_over(&late, "Expired");
    assert_ready(&with(root(), |it| it.now = at(894)), true);
}

#[test]
fn the_trust_domain_bounds_what_was_not_countersigned_in_time() {
    let short = with(root(), |it| {
        it.domain.max_lifetime_seconds = 60;
        it.now = at(55);
    });
    assert_over(&short, "Expired");
}

#[test]
fn what_had_ended_before_ends_again_and_nothing_is_granted_before_that_is_known() {
    for seen in [root(), granted(root()), granted_hop()] {
        assert_over(&with(seen, |it| it.before = Before::Ended), "EndedBefore");
    }
    let plan = plan(&with(root(), |it| it.before = Before::NotKnown));
    assert_eq!((plan.grant, plan.status), (None, None));
    assert_eq!(plan.again, Some(at(1)));
}

#[test]
fn what_is_being_deleted_is_left_alone() {
    for seen in [root(), granted(root()), granted_hop()] {
        let plan = plan(&with(seen, |it| {
            it.delegation.deleting = true;
            it.delegation.revoked = true;
        }));
        assert_eq!((plan.grant, plan.status, plan.again), (None, None, None));
    }
}

#[test]
fn an_end_is_read_back_as_it_was_written() {
    let seen = with(granted_hop(), |it| it.delegation.revoked = true);
    let status = written(&seen, &plan(&seen), &RING, None).unwrap();
    assert_eq!((&status.statement, status.ancestors.len()), (&None, 0));
    let back = recorded(&status, &RING, seen.now);
    assert!(back.granted && back.chain.is_none());
    let (reason, message) = back.completed.unwrap();
    assert_eq!(reason, "Revoked");
    assert_eq!(message, "revoked by spec.desiredState, for good");
}
