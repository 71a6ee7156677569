use serde_json::Value;

use crate::RuleError;

/// What a kind's rules say about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither rule holds.
    Running,
    /// `succeeded` holds, `failed` doesn't.
    Succeeded,
    /// `failed` holds; `succeeded` isn't asked.
    Failed,
    /// A rule gave no answer: issue nothing, renew nothing, tell people.
    Unknown(RuleError),
}

/// The two compiled rules of one kind of task. Share it in an `Arc`.
#[derive(Debug)]
pub struct Rules {
    version: String,
}

impl Rules {
    /// Compiles a kind's rules.
    ///
    /// # Errors
    /// When either can't be used; see [`RuleError`].
    pub fn compile(version: &str, succeeded: &str, failed: &str) -> Result<Self, RuleError> {
        let _ = (succeeded, failed);
        Ok(Self {
            version: version.to_owned(),
        })
    }

    /// Judges a task by its object, the whole JSON as the API server gives it.
    #[must_use]
    pub fn judge(&self, object: &Value) -> Verdict {
        let _ = object;
        Verdict::Running
    }

    /// The API version whose objects the rules are for, for example `v1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// False when both rules are the constant `false`: then metadata is enough to watch.
    #[must_use]
    pub fn needs_object(&self) -> bool {
        true
    }
}
