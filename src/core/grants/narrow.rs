//! Does one set of grants lie within another?

use super::Grant;
use super::pattern::{action_covers, is_concrete, path_covers};
use super::widening::{Part, Widening};

/// Is every action on every resource of `child` within one grant of `parent`, whose constraints hold
/// for it too? If not: the first that isn't, and why the parent's closest grant doesn't do.
///
/// The order is by what is written: a grant that nobody can use (no audience, no calls) has to lie
/// within as any other, and two grants of the parent never add up to one constraint or pattern.
///
/// Allocates nothing where each grant of the child lies within one of the parent's. Costs, for each
/// pair of a child's grant and a parent's, as many comparisons as the one has actions and resources
/// times those of the other: at the API's limits (32 grants of 32 actions and 64 resources, on either
/// side) up to 5 million.
pub fn narrow(parent: &[Grant], child: &[Grant]) -> Result<(), Widening> {
    for (index, grant) in child.iter().enumerate() {
        if !parent.iter().any(|above| lies_within(grant, above)) {
            each_within(parent, index, grant)?;
        }
    }
    Ok(())
}

/// Do `grants` have `action` on `resource`, whatever their constraints? Those are for the caller to
/// hold against the call.
///
/// Only one verb and one path can be asked for: `*`, an empty verb, and empty, `.` and `..` segments
/// are granted to nobody.
pub fn permits(grants: &[Grant], action: &str, resource: &str) -> bool {
    is_concrete(action, resource) && grants.iter().any(|grant| grant.covers(action, resource))
}

impl Grant {
    fn covers(&self, action: &str, resource: &str) -> bool {
        self.covers_action(action) && self.covers_path(resource)
    }

    fn covers_action(&self, action: &str) -> bool {
        self.actions.iter().any(|it| action_covers(it, action))
    }

    fn covers_path(&self, path: &str) -> bool {
        self.resources.iter().any(|it| path_covers(it, path))
    }
}

/// Does all of one grant lie within another?
pub(super) fn lies_within(child: &Grant, parent: &Grant) -> bool {
    child.constraints.within(&parent.constraints)
        && child.actions.iter().all(|it| parent.covers_action(it))
        && child.resources.iter().all(|it| parent.covers_path(it))
}

/// Does each action on each resource of `child` lie within some grant of `parent`? Each pair of
/// grants is compared once, not once for each action and resource.
fn each_within(parent: &[Grant], index: usize, child: &Grant) -> Result<(), Widening> {
    let holding = parent
        .iter()
        .filter(|above| child.constraints.within(&above.constraints));
    let covered: Vec<(&Grant, Vec<bool>)> = holding
        .map(|above| {
            let covered = child.resources.iter().map(|it| above.covers_path(it));
            (above, covered.collect())
        })
        .collect();
    for action in &child.actions {
        let mut within = vec![false; child.resources.len()];
        for (above, covered) in &covered {
            if above.covers_action(action) {
                for (within, covered) in within.iter_mut().zip(covered) {
                    *within |= covered;
                }
            }
        }
        let beyond = child
            .resources
            .iter()
            .zip(within)
            .find(|(_, within)| !within);
        if let Some((resource, _)) = beyond {
            return Err(Widening {
                grant: index,
                action: action.clone(),
                resource: resource.clone(),
                part: widening_part(parent, child, action, resource),
            });
        }
    }
    Ok(())
}

/// Why the grant above that comes closest doesn't do: the one that fewest constraints set apart, of
/// several the first.
fn widening_part(parent: &[Grant], child: &Grant, action: &str, resource: &str) -> Part {
    let covering = parent.iter().filter(|above| above.covers(action, resource));
    let parts = covering.filter_map(|above| {
        let parts = child.constraints.widening(&above.constraints);
        let count = parts.iter().flatten().count();
        let first = parts.into_iter().flatten().next()?;
        Some((count, first))
    });
    let closest = parts.min_by_key(|(count, _)| *count);
    closest.map_or(Part::NotGranted, |(_, part)| part)
}
