//! How a task ends.

use std::fmt;

/// How a task stands. Everything but `Running` is latched: a task that ended never runs again,
/// whatever its object says later (agent-sandbox takes `Finished` back, RayJob retries).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It exists and is not over.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// Its object is gone or going.
    Deleted,
    /// Another object has its name.
    Replaced,
    /// The identity's time was up before the task's.
    DeadlineExceeded,
}

/// Why an identity is over, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Its task is over.
    Task(Outcome),
    /// Somebody revoked it.
    Revoked,
    /// Its owner departed.
    OwnerDeparted,
}

impl Outcome {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Deleted => "Deleted",
            Self::Replaced => "Replaced",
            Self::DeadlineExceeded => "DeadlineExceeded",
        }
    }
}

impl End {
    /// The reason of the condition `Completed`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Task(Outcome::Running) => "TaskRunning", // never: a running task is no end
            Self::Task(Outcome::Succeeded) => "TaskSucceeded",
            Self::Task(Outcome::Failed) => "TaskFailed",
            Self::Task(Outcome::Deleted) => "TaskDeleted",
            Self::Task(Outcome::Replaced) => "TaskReplaced",
            Self::Task(Outcome::DeadlineExceeded) => "DeadlineExceeded",
            Self::Revoked => "Revoked",
            Self::OwnerDeparted => "OwnerDeparted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
