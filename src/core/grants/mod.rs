//! What an agent may do, whether one set of grants lies within another, and what two have in common.
//!
//! ```text
//!  actions × resources × constraints      a grant: each action on each resource, within all constraints
//!     narrow(parent, child)           ──▶ yes, or the first part that widens
//!     intersect(a, b)                 ──▶ the most that lies within both
//!     permits(grants, action, path)   ──▶ is it granted, whatever the constraints say?
//! ```
//!
//! An action is a verb, or `*` for any. A resource is a path of segments: `*` stands for exactly one
//! segment, and as the last segment for one or more. It never stands for a part of a segment. Both
//! are compared byte for byte: nothing is folded, decoded or resolved.

mod constraints;
mod intersect;
mod narrow;
mod pattern;
#[cfg(test)]
mod tests;
mod widening;

pub use constraints::{Constraints, DataClass};
pub use intersect::intersect;
pub use narrow::{narrow, permits};
pub use widening::{Part, Widening};

use serde::{Deserialize, Serialize};

use crate::json::Object;

/// Actions on resources: each action on each resource, within all of the constraints.
///
/// As JSON: `{"actions": […], "resources": […], "constraints": {…}}`. Empty constraints are left out,
/// an unknown field is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Object<Members>")]
pub struct Grant {
    /// Verbs; `*` for any.
    pub actions: Vec<String>,
    /// Paths such as `ledger/invoices/*`.
    pub resources: Vec<String>,
    /// What bounds them.
    #[serde(skip_serializing_if = "Constraints::is_empty")]
    pub constraints: Constraints,
}

/// A grant as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    actions: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    constraints: Constraints,
}

impl From<Object<Members>> for Grant {
    fn from(Object(members): Object<Members>) -> Self {
        let Members {
            actions,
            resources,
            constraints,
        } = members;
        Self {
            actions,
            resources,
            constraints,
        }
    }
}
