//! What grants mean: all the requests of a small world, each allowed or not. Written a second time
//! and otherwise than what is tested.

use std::ops::BitAnd;
use std::slice::from_ref;

use proptest::prelude::*;

use super::super::{Constraints, Grant, intersect, narrow, permits};
use super::{CLASSES, MOST_SEGMENTS, any_grant, at, grants, single};

/// One verb that nothing names beside those that are named.
const VERBS: [&str; 3] = ["read", "write", "list"];
/// One segment that nothing names.
const NAMES: [&str; 3] = ["a", "b", "z"];
/// One audience that nothing names.
const READERS: [&str; 3] = ["auditors", "clerks", "press"];

/// A word for each class of data, and one for those that may be added to them.
const WORDS: usize = CLASSES.len() + 1;

/// For each verb and path, the circumstances in which it is allowed: a bit for each class of data,
/// audience, moment and number of calls.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meaning(Vec<[u64; WORDS]>);

impl Meaning {
    pub(super) fn of(grants: &[Grant]) -> Self {
        let paths = paths();
        let each = VERBS
            .iter()
            .flat_map(|verb| paths.iter().map(move |path| (verb, path)));
        let circumstances: Vec<[u64; WORDS]> = grants
            .iter()
            .map(|it| circumstances(&it.constraints))
            .collect();
        Self(
            each.map(|(verb, path)| {
                let mut all = [0; WORDS];
                for (grant, circumstances) in grants.iter().zip(&circumstances) {
                    if is_for(grant, verb, path) {
                        for (all, bits) in all.iter_mut().zip(circumstances) {
                            *all |= bits;
                        }
                    }
                }
                all
            })
            .collect(),
        )
    }

    pub(super) fn is_within(&self, above: &Self) -> bool {
        (self & above) == *self
    }
}

impl BitAnd for &Meaning {
    type Output = Meaning;

    fn bitand(self, other: Self) -> Meaning {
        let both = self.0.iter().zip(&other.0);
        Meaning(
            both.map(|(one, other)| std::array::from_fn(|i| one[i] & other[i]))
                .collect(),
        )
    }
}

/// Up to one segment more than a pattern has.
fn paths() -> Vec<Vec<&'static str>> {
    let mut all = Vec::new();
    let mut longest = vec![Vec::new()];
    for _ in 0..=MOST_SEGMENTS {
        longest = longest
            .iter()
            .flat_map(|path| NAMES.iter().map(move |&name| [&path[..], &[name]].concat()))
            .collect();
        all.extend(longest.clone());
    }
    all
}

fn is_for(grant: &Grant, verb: &str, path: &[&str]) -> bool {
    grant.actions.iter().any(|it| it == "*" || it == verb)
        && grant.resources.iter().any(|pattern| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            stands_for(&pattern, path)
        })
}

fn stands_for(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["*"], [_, ..]) => true,
        (["*", rest @ ..], [_, tail @ ..]) => stands_for(rest, tail),
        ([head, rest @ ..], [first, tail @ ..]) => head == first && stands_for(rest, tail),
        _ => false,
    }
}

/// In each word a bit for each reader, moment and number of calls.
fn circumstances(constraints: &Constraints) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let classes = CLASSES.map(Some).into_iter().chain([None]);
    for (word, class) in words.iter_mut().zip(classes) {
        let mut bit = 1_u64;
        for reader in READERS {
            for moment in 0..4 {
                for calls in 1..4 {
                    let allowed = constraints
                        .max_data_class
                        .is_none_or(|most| class.is_some_and(|it| it <= most))
                        && constraints
                            .audiences
                            .as_ref()
                            .is_none_or(|all| all.iter().any(|it| it == reader))
                        && constraints.not_after.is_none_or(|last| at(moment) <= last)
                        && constraints.max_calls.is_none_or(|most| calls <= most);
                    if allowed {
                        *word |= bit;
                    }
                    bit <<= 1;
                }
            }
        }
    }
    words
}

proptest! {
    #[test]
    fn what_narrows_allows_no_request_that_wasnt_allowed(parent in grants(), child in grants()) {
        if narrow(&parent, &child).is_ok() {
            prop_assert!(Meaning::of(&child).is_within(&Meaning::of(&parent)));
        }
    }

    #[test]
    fn one_permission_that_allows_no_more_than_another_narrows_it(
        parent in single(),
        child in single(),
    ) {
        let (above, below) = (Meaning::of(from_ref(&parent)), Meaning::of(from_ref(&child)));
        // Nobody can use it, but narrowing goes by what is written.
        let idle = below.is_within(&Meaning::of(&[]));
        if !idle {
            prop_assert_eq!(narrow(&[parent], &[child]).is_ok(), below.is_within(&above));
        }
    }

    #[test]
    fn an_intersection_allows_exactly_what_both_sides_allow(a in grants(), b in grants()) {
        let both = Meaning::of(&intersect(&a, &b));
        prop_assert_eq!(both, &Meaning::of(&a) & &Meaning::of(&b));
    }

    #[test]
    fn a_path_is_permitted_where_some_grant_stands_for_it(grant in any_grant()) {
        for verb in VERBS {
            for path in paths() {
                let expected = is_for(&grant, verb, &path);
                prop_assert_eq!(permits(from_ref(&grant), verb, &path.join("/")), expected);
            }
        }
    }
}
