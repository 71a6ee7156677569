//! Grants in words, as JSON, and by what they mean.

#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

mod bounds;
mod json;
mod meaning;
mod order;
mod paths;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Constraints, DataClass, Grant};

/// The moment at which the tests begin, in seconds.
const T0: i64 = 1_800_000_000;
/// Segments of patterns; a path may have others too.
const SEGMENTS: [&str; 3] = ["*", "a", "b"];
/// The most segments of a pattern.
const MOST_SEGMENTS: usize = 3;
const ACTIONS: [&str; 3] = ["read", "write", "*"];
const AUDIENCES: [&str; 2] = ["auditors", "clerks"];
const CLASSES: [DataClass; 4] = [
    DataClass::Public,
    DataClass::Internal,
    DataClass::Confidential,
    DataClass::Restricted,
];

fn owned(all: &[&str]) -> Vec<String> {
    all.iter().map(|&it| it.to_owned()).collect()
}

fn grant(actions: &[&str], resources: &[&str]) -> Grant {
    Grant {
        actions: owned(actions),
        resources: owned(resources),
        constraints: Constraints::default(),
    }
}

/// `read` on `ledger/a`.
fn bounded(constraints: Constraints) -> Grant {
    Grant {
        constraints,
        ..grant(&["read"], &["ledger/a"])
    }
}

/// So many seconds after the beginning.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(T0 + seconds).unwrap()
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(&SEGMENTS[..]);
    prop::collection::vec(segment, 1..=MOST_SEGMENTS).prop_map(|segments| segments.join("/"))
}

fn action() -> impl Strategy<Value = String> {
    prop::sample::select(&ACTIONS[..]).prop_map(str::to_owned)
}

/// Half of all constraints are absent, so that many bind in few ways.
fn constraints() -> impl Strategy<Value = Constraints> {
    let class = prop::option::of(prop::sample::select(&CLASSES[..]));
    let audiences = prop::option::of(prop::sample::subsequence(&AUDIENCES[..], 0..=2));
    let not_after = prop::option::of((0_i64..3).prop_map(at));
    let max_calls = prop::option::of(0_u64..3);
    (class, audiences, not_after, max_calls).prop_map(
        |(max_data_class, audiences, not_after, max_calls)| Constraints {
            max_data_class,
            audiences: audiences.map(|all| owned(&all)),
            not_after,
            max_calls,
        },
    )
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let bounds = prop_oneof![Just(Constraints::default()), constraints()];
    let actions = prop::collection::vec(action(), 0..3);
    let resources = prop::collection::vec(pattern(), 0..3);
    (actions, resources, bounds).prop_map(|(actions, resources, constraints)| Grant {
        actions,
        resources,
        constraints,
    })
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    prop::collection::vec(any_grant(), 0..4)
}

/// One action on one resource.
fn single() -> impl Strategy<Value = Grant> {
    let bounds = prop_oneof![Just(Constraints::default()), constraints()];
    (action(), pattern(), bounds).prop_map(|(action, resource, constraints)| Grant {
        actions: vec![action],
        resources: vec![resource],
        constraints,
    })
}
