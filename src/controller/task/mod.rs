//! Tasks: any namespaced resource that comes to an end.
//!
//! ```text
//!  TaskKinds + defaults ─▶ Kinds (compiled rules) ─┐
//!  identities in use ─▶ Watches: one a kind ───────┴▶ TaskView (uid, where it stands) ─▶ TaskSeen
//! ```
//!
//! A watch begins with the first identity that names its kind and ends some time after the last.
//! What it brings is judged at once and reduced to a few bytes: whole tasks are never kept.

mod discovery;
mod kinds;
mod view;
mod watches;

pub(crate) use kinds::{Kinds, Rule};
pub(crate) use watches::{Told, Watches};

use std::fmt;
use std::sync::Arc;

/// A kind of task: a resource of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KindKey {
    /// Empty for the core group.
    pub(crate) group: Arc<str>,
    /// The plural.
    pub(crate) resource: Arc<str>,
}

impl KindKey {
    pub(crate) fn new(group: &str, resource: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }

    /// Reads `<plural>.<group>`, or `<plural>` for the core group.
    pub(crate) fn parse(name: &str) -> Self {
        let (resource, group) = name.split_once('.').unwrap_or((name, ""));
        Self::new(group, resource)
    }
}

impl fmt::Display for KindKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.resource)
        } else {
            write!(f, "{}.{}", self.resource, self.group)
        }
    }
}
