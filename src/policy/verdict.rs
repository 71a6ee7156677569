//! What policies say to one agent's request.

use std::fmt;
use std::sync::Arc;

use crate::source::{Obligation, Scope};

/// What all policies together say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Is it permitted, and forbidden by none?
    pub allowed: bool,
    /// Why.
    pub kind: Kind,
    /// Those that decided, in order: the permits if it is allowed, the forbids if one forbids it,
    /// the forbids that failed if it is denied for that; none if there is just no permit.
    pub policies: Vec<PolicyName>,
    /// The obligations of those, each once; none of a policy that failed.
    pub obligations: Vec<Obligation>,
    /// Those in [`crate::Mode::Enforce`] that failed, permits too, in order. Empty and
    /// [`Kind::Failed`]: the facts themselves can't be put to any policy.
    pub failed: Vec<PolicyName>,
    /// Forbids in [`crate::Mode::Audit`] that would have denied it, or failed, in order.
    pub would_deny: Vec<PolicyName>,
}

/// Why it is allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A policy permits it, and none forbids it.
    Permitted,
    /// None permits it.
    NoPermit,
    /// One forbids it.
    Forbidden,
    /// One that could have forbidden it failed, so it counts as forbidden.
    Failed,
}

/// A policy's name among all: `cluster/<object>/<id>` or `<namespace>/<object>/<id>`. A namespace
/// named `cluster` is told from the cluster by nothing but this name, which is for people.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl Verdict {
    /// Facts that can't be put to any policy are denied.
    pub(crate) fn unreadable() -> Self {
        Self {
            allowed: false,
            kind: Kind::Failed,
            policies: Vec::new(),
            obligations: Vec::new(),
            failed: Vec::new(),
            would_deny: Vec::new(),
        }
    }
}

impl PolicyName {
    pub(crate) fn new(scope: &Scope, object: &str, id: &str) -> Self {
        Self(format!("{}/{object}/{id}", scope.word()).into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part: its id within its object.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl AsRef<str> for PolicyName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Scope {
    /// `cluster`, or the namespace.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace(name) => name,
        }
    }
}
