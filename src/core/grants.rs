//! What an agent may do, and whether one set of grants lies within another.
//!
//! A resource is a path of segments. `*` stands for exactly one segment, and as the last segment
//! for one or more. It never stands for a part of a segment.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Actions on resources: each action on each resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Verbs; `*` for any, in an owner's grants.
    pub actions: Vec<String>,
    /// Paths such as `ledger/invoices/*`.
    pub resources: Vec<String>,
}

/// The first part of a child's grants that its parent doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Widening {
    /// Which of the child's grants, from 0.
    pub grant: usize,
    /// The action that is too much.
    pub action: String,
    /// On which resource.
    pub resource: String,
}

impl fmt::Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "grants[{}] widens: {:?} on {:?} is not granted above",
            self.grant, self.action, self.resource
        )
    }
}

/// Is every action on every resource of `child` within one grant of `parent`?
pub fn narrow(parent: &[Grant], child: &[Grant]) -> Result<(), Widening> {
    for (index, grant) in child.iter().enumerate() {
        for action in &grant.actions {
            for resource in &grant.resources {
                if !parent.iter().any(|above| permits(above, action, resource)) {
                    return Err(Widening {
                        grant: index,
                        action: action.clone(),
                        resource: resource.clone(),
                    });
                }
            }
        }
    }
    Ok(())
}

fn permits(grant: &Grant, action: &str, resource: &str) -> bool {
    grant.actions.iter().any(|it| it == "*" || it == action)
        && grant.resources.iter().any(|it| covers(it, resource))
}

/// Does `above` stand for every path that `below` stands for?
fn covers(above: &str, below: &str) -> bool {
    let mut above = above.split('/').peekable();
    let mut below = below.split('/').peekable();
    loop {
        match (above.next(), below.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) if above.peek().is_none() => return true,
            // One segment above can't stand for the one or more of a last `*` below.
            (Some("*"), Some("*")) if below.peek().is_none() => return false,
            (Some("*"), Some(_)) => {}
            (Some(upper), Some(lower)) if upper == lower => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(actions: &[&str], resources: &[&str]) -> Grant {
        let owned = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect();
        Grant {
            actions: owned(actions),
            resources: owned(resources),
        }
    }

    #[test]
    fn a_star_covers_one_segment_or_at_the_end_all_that_follow() {
        for (above, below, expected) in [
            ("ledger/*", "ledger/invoices", true),
            ("ledger/*", "ledger/invoices/*", true),
            ("ledger/*", "ledger/*", true),
            ("ledger/*", "ledger", false),
            ("ledger/*", "ledgers/a", false),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/*/c", true),
            ("a/*/c", "a/*", false),
            ("a/*/c", "a/b/b/c", false),
            ("a/b", "a/*", false),
            ("*", "a/b/c", true),
            ("a/b*", "a/bc", false),
        ] {
            assert_eq!(covers(above, below), expected, "{above} over {below}");
        }
    }

    #[test]
    fn what_widens_is_named() {
        let parent = [grant(&["read", "list"], &["ledger/*"])];
        narrow(&parent, &[grant(&["read"], &["ledger/invoices/*"])]).unwrap();
        let widening = narrow(
            &parent,
            &[
                grant(&["list"], &["ledger/a"]),
                grant(&["read", "write"], &["ledger/a"]),
            ],
        );
        let widening = widening.unwrap_err();
        assert_eq!((widening.grant, widening.action.as_str()), (1, "write"));
    }

    #[test]
    fn nobody_may_do_anything_under_an_owner_without_grants() {
        narrow(&[], &[]).unwrap();
        narrow(&[], &[grant(&["read"], &["a"])]).unwrap_err();
    }

    fn pattern() -> impl Strategy<Value = String> {
        let segment = prop_oneof![Just("*"), Just("a"), Just("b")];
        prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"))
    }

    fn grants() -> impl Strategy<Value = Vec<Grant>> {
        let action = prop_oneof![Just("read"), Just("write"), Just("*")].prop_map(str::to_owned);
        let one = (
            prop::collection::vec(action, 0..3),
            prop::collection::vec(pattern(), 0..3),
        );
        let one = one.prop_map(|(actions, resources)| Grant { actions, resources });
        prop::collection::vec(one, 0..3)
    }

    /// What a pattern stands for, in words of at most 6 segments.
    fn stands_for(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["*"], [_, ..]) => true,
            (["*", rest @ ..], [_, tail @ ..]) => stands_for(rest, tail),
            ([head, rest @ ..], [first, tail @ ..]) => head == first && stands_for(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn narrowing_is_reflexive(grants in grants()) {
            prop_assert!(narrow(&grants, &grants).is_ok());
        }

        #[test]
        fn narrowing_is_transitive(a in grants(), b in grants(), c in grants()) {
            if narrow(&a, &b).is_ok() && narrow(&b, &c).is_ok() {
                prop_assert!(narrow(&a, &c).is_ok());
            }
        }

        #[test]
        fn whatever_a_covered_pattern_stands_for_its_cover_stands_for(
            above in pattern(),
            below in pattern(),
            path in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..7),
        ) {
            let split = |text: &'_ str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
            let (upper, lower) = (split(&above), split(&below));
            let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
            let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
            if covers(&above, &below) && stands_for(&lower, &path) {
                prop_assert!(stands_for(&upper, &path));
            }
        }
    }
}
