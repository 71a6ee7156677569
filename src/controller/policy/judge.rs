//! Does a spec compile, and do its tests pass?

use countersign_policies::{PolicyObject, in_force};

/// What a spec came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts.
    Counts {
        /// The digest of its policies.
        digest: String,
    },
    /// It can't.
    Refused(Refused),
}

/// Why a spec can't count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// A word for programs.
    pub(crate) reason: &'static str,
    /// The first problem, with the policy, line and column.
    pub(crate) first: String,
    /// How many more there are.
    pub(crate) more: usize,
    /// What counted before can't be compiled any more either.
    pub(crate) lost: bool,
}

/// Compiles, and runs the tests: some milliseconds, to be spent where nobody waits.
pub(crate) fn judge(object: &impl PolicyObject) -> Verdict {
    let found = in_force(object, None);
    let Some(first) = found.problems.first() else {
        let digest = found.good.map(|good| good.compiled.digest().to_owned());
        return Verdict::Counts {
            digest: digest.unwrap_or_default(),
        };
    };
    Verdict::Refused(Refused {
        reason: if found.tests_failed {
            "TestsFailed"
        } else {
            "Invalid"
        },
        first: first.to_string(),
        more: found.problems.len() - 1,
        lost: found.lost,
    })
}

impl Refused {
    /// The compiler itself failed.
    pub(crate) fn by_failure(why: &dyn std::fmt::Display) -> Self {
        Self {
            reason: "Invalid",
            first: format!("the compiler failed, which is a bug of it: {why}"),
            more: 0,
            lost: false,
        }
    }
}
