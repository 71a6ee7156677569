use serde_json::Value;

use crate::{Rule, RuleError, rule::CompiledRule};

/// What a kind's rules say about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither rule holds.
    Running,
    /// `succeeded` holds, `failed` doesn't.
    Succeeded,
    /// `failed` holds; `succeeded` wasn't asked.
    Failed,
    /// A rule gave no answer: issue nothing, renew nothing, tell people.
    Unknown(RuleError),
}

/// The two compiled rules of one kind of task. `Send` and `Sync`: share it in an `Arc`.
#[derive(Debug)]
pub struct Rules {
    version: String,
    succeeded: CompiledRule,
    failed: CompiledRule,
}

impl Rules {
    /// Compiles a kind's rules, as written in a TaskKind or in [`defaults`](crate::defaults()).
    ///
    /// Takes a third of a millisecond for the default kinds and some 10 ms for the worst that the
    /// parser can be given (release build, idle machine), on a thread of its own meanwhile: call
    /// it when a TaskKind changes, not for each task.
    ///
    /// # Errors
    /// When either rule can't be used; see [`RuleError`].
    pub fn compile(version: &str, succeeded: &str, failed: &str) -> Result<Self, RuleError> {
        Ok(Self {
            version: version.to_owned(),
            succeeded: CompiledRule::compile(Rule::Succeeded, succeeded)?,
            failed: CompiledRule::compile(Rule::Failed, failed)?,
        })
    }

    /// Judges a task by its object, the JSON as the API server gives it.
    ///
    /// `failed` is asked first; if it gives no answer, neither does this. Never panics, copies
    /// nothing of the object, and looks at no more of it than the rules need, so its size doesn't
    /// matter: the crate's documentation has the bounds.
    #[must_use]
    pub fn judge(&self, object: &Value) -> Verdict {
        match self.failed.holds(object) {
            Ok(true) => return Verdict::Failed,
            Ok(false) => {}
            Err(error) => return Verdict::Unknown(error),
        }
        match self.succeeded.holds(object) {
            Ok(true) => Verdict::Succeeded,
            Ok(false) => Verdict::Running,
            Err(error) => Verdict::Unknown(error),
        }
    }

    /// The API version whose objects the rules are for, for example `v1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// False when both rules are the constant `false`: then metadata is enough to watch.
    #[must_use]
    pub fn needs_object(&self) -> bool {
        !(self.succeeded.is_false() && self.failed.is_false())
    }
}
