//! What two sets of grants have in common.

use std::collections::HashSet;

use super::Grant;
use super::narrow::{lies_within, narrow};
use super::pattern::{action_covers, common_action, common_path, path_covers};

/// Up to this many resources in all, a result is rid of what its other grants cover: a million
/// comparisons, some 10 ms. Beyond, it is right too, only longer than it might be.
const MOST_TO_TIDY: usize = 1024;

/// The most that lies within both `a` and `b`: it narrows each of them, and whatever narrows both
/// narrows it.
///
/// Grants that lie within the other side stay as they are written, first those of `a`, then those
/// of `b`; then comes what each pair of the others has in common, in their order. So where one side
/// narrows the other, as in every chain that verifies, the result is that side, less what it says
/// twice. A grant to nobody that is left in common stays: `narrow` counts it.
///
/// What two sets have in common can be as long as their product: `*/x` and `y/*` have `y/x`, so at the
/// API's limits (32 grants of 64 resources on either side) 2048 × 2048 resources. Where both sides
/// come from people who don't trust each other and nobody has to read the result, ask each side
/// (`permits`, `narrow`) instead.
pub fn intersect(a: &[Grant], b: &[Grant]) -> Vec<Grant> {
    let within = |above: &[Grant], it: &Grant| narrow(above, std::slice::from_ref(it)).is_ok();
    let (mut common, rest_a): (Vec<&Grant>, Vec<&Grant>) = a.iter().partition(|it| within(b, it));
    let (common_b, rest_b): (Vec<&Grant>, Vec<&Grant>) = b.iter().partition(|it| within(a, it));
    common.extend(common_b);
    let mut common: Vec<Grant> = common.into_iter().cloned().collect();
    for one in rest_a {
        common.extend(rest_b.iter().map(|other| both(one, other)));
    }
    common.retain(|it| !it.actions.is_empty() && !it.resources.is_empty());
    let resources: usize = common.iter().map(|it| it.resources.len()).sum();
    if resources <= MOST_TO_TIDY {
        maximal(common, |above, below| lies_within(below, above))
    } else {
        common
    }
}

/// What two grants have in common; without actions or resources if that is nothing.
fn both(one: &Grant, other: &Grant) -> Grant {
    let actions = common(&one.actions, &other.actions, action_covers, common_action);
    let resources = if actions.is_empty() {
        Vec::new()
    } else {
        common(&one.resources, &other.resources, path_covers, common_path)
    };
    Grant {
        actions,
        resources,
        constraints: one.constraints.both(&other.constraints),
    }
}

/// What two lists of patterns have in common: those of each that the other covers, then what each
/// pair of the others has.
fn common(
    one: &[String],
    other: &[String],
    covers: fn(&str, &str) -> bool,
    meet: fn(&str, &str) -> Option<String>,
) -> Vec<String> {
    let within = |above: &[String], it: &str| above.iter().any(|above| covers(above, it));
    let (mut found, rest): (Vec<&String>, Vec<&String>) =
        one.iter().partition(|it| within(other, it));
    let (covered, other_rest): (Vec<&String>, Vec<&String>) =
        other.iter().partition(|it| within(one, it));
    found.extend(covered);
    let mut found: Vec<String> = found.into_iter().cloned().collect();
    for it in rest {
        found.extend(other_rest.iter().filter_map(|other| meet(it, other)));
    }
    let mut seen = HashSet::new();
    found.retain(|it| seen.insert(it.clone()));
    if found.len() <= MOST_TO_TIDY {
        maximal(found, |above, below| covers(above, below))
    } else {
        found
    }
}

/// Those that none of the others covers; of several that cover one another, the first.
fn maximal<T>(all: Vec<T>, covers: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(all.len());
    for it in all {
        if !kept.iter().any(|above| covers(above, &it)) {
            kept.retain(|below| !covers(&it, below));
            kept.push(it);
        }
    }
    kept
}
