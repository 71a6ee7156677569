//! The order of the questions is the order of the promises.

use super::super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Standing,
};
use super::super::plan::plan;
use super::fixture::{
    at, delegate, delegator, granted, granted_hop, owner, parent, root, said, with,
};
use super::refusals::because;
use crate::identity::{Admits, OwnerState};

type Change = (&'static str, fn(&mut Observed));

/// Each comes before all that follow it: whatever is wrong with a root besides.
const ROOT: &[Change] = &[
    ("Revoked", |it| it.delegation.revoked = true),
    ("OwnerDeparted", |it| owner_is(it, OwnerState::Departed)),
    ("DelegateEnded", |it| {
        delegate(it).life = Life::Over("it ended".to_owned());
    }),
    ("Expired", |it| it.now = at(900)),
    ("OwnerSuspended", |it| owner_is(it, OwnerState::Suspended)),
    ("DelegateSuspended", |it| {
        delegate(it).life = Life::Suspended { spiffe_id: None };
    }),
    ("Shut", |it| it.closed = Some(because("Shut"))),
    ("RequesterMissing", |it| it.delegation.requester = None),
    ("UnknownConstraint", |it| {
        it.delegation.unknown_constraint = true;
    }),
    ("UnknownOwner", |it| {
        it.delegator = DelegatorSeen::Owner(OwnerSeen::Missing);
    }),
    ("DelegateNotFound", |it| it.delegate = AgentSeen::Missing),
    ("NamespaceNotAccepting", |it| it.accepted = false),
    ("MayNotBind", |it| it.admits = Admits::No),
    ("TrustDomainNotReady", |it| {
        it.domain.ready = Err(because("TrustDomainNotReady"));
    }),
    ("GrantsWiden", |it| {
        it.delegation.grants[0].actions = vec!["pay".to_owned()];
    }),
];

/// The same for a hop that was granted.
const HOP: &[Change] = &[
    ("Revoked", |it| it.delegation.revoked = true),
    ("ParentEnded", |it| {
        parent(it).standing = Standing::Over("it ended".to_owned());
    }),
    ("DelegatorEnded", |it| {
        delegator(it).life = Life::Over("it ended".to_owned());
    }),
    ("DelegateEnded", |it| {
        delegate(it).life = Life::Over("it ended".to_owned());
    }),
    ("Expired", |it| it.now = at(900)),
    ("DelegatorSuspended", |it| {
        delegator(it).life = Life::Suspended { spiffe_id: None };
    }),
    ("DelegateSuspended", |it| {
        delegate(it).life = Life::Suspended { spiffe_id: None };
    }),
    ("ParentSuspended", |it| {
        parent(it).standing = Standing::Suspended("it is suspended".to_owned());
    }),
    ("DelegatorNotReady", |it| {
        delegator(it).life = Life::Waiting;
    }),
    ("NotTheDelegate", |it| {
        parent(it).delegate = Some("other".to_owned());
    }),
    ("ParentNotReady", |it| {
        parent(it).standing = Standing::Held("it is refused".to_owned());
    }),
    ("NamespaceNotAccepting", |it| it.accepted = false),
    ("GrantsWiden", |it| {
        it.delegation.grants[0].actions = vec!["pay".to_owned()];
    }),
];

fn owner_is(seen: &mut Observed, wanted: OwnerState) {
    let mut owner = owner();
    if let OwnerSeen::Found { state, .. } = &mut owner {
        *state = wanted;
    }
    seen.delegator = DelegatorSeen::Owner(owner);
}

/// Do two changes touch the same thing, so that only the last would be seen?
fn overwritten(one: &str, other: &str) -> bool {
    let of = |reason: &str| match reason {
        "OwnerDeparted" | "OwnerSuspended" | "UnknownOwner" => 1,
        "DelegateEnded" | "DelegateSuspended" | "DelegateNotFound" => 2,
        "DelegatorEnded" | "DelegatorSuspended" | "DelegatorNotReady" => 3,
        "ParentEnded" | "ParentSuspended" | "ParentNotReady" => 4,
        _ => 0,
    };
    of(one) != 0 && of(one) == of(other)
}

fn each_comes_first(good: &Observed, changes: &[Change]) {
    for (place, (reason, change)) in changes.iter().enumerate() {
        for (other, also) in &changes[place + 1..] {
            if overwritten(reason, other) {
                continue;
            }
            let mut seen = good.clone();
            also(&mut seen);
            change(&mut seen);
            let said = said(&plan(&seen));
            assert_eq!(said.last().unwrap().2, *reason, "with {other}: {said:?}");
        }
    }
}

#[test]
fn of_two_things_that_stand_against_a_root_the_weightier_is_told() {
    each_comes_first(&root(), ROOT);
}

#[test]
fn of_two_things_that_stand_against_a_granted_hop_the_weightier_is_told() {
    each_comes_first(&granted_hop(), HOP);
}

#[test]
fn a_vanished_parent_ends_what_is_suspended_and_refused() {
    let seen = with(granted_hop(), |it| {
        it.parent = ParentSeen::Missing;
        delegate(it).life = Life::Suspended { spiffe_id: None };
        it.closed = Some(because("Shut"));
        it.accepted = false;
    });
    super::fixture::assert_over(&seen, "ParentEnded");
}

#[test]
fn a_clock_that_is_off_stops_grants_and_no_end_but_expiry() {
    let off = |mut seen: Observed| {
        seen.clock_off = true;
        seen.now = at(5000);
        seen
    };
    let seen = with(off(granted(root())), |it| it.delegation.revoked = true);
    super::fixture::assert_over(&seen, "Revoked");
    super::fixture::assert_held(&off(root()), "Reconciling", "ClockSkew");
}
