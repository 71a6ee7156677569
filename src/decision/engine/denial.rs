//! Why not.

use crate::Reason;

/// A reason, and a sentence for a person. Neither tells of other agents, nor what a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    pub(crate) explanation: String,
}

pub(crate) fn deny<T>(reason: Reason, explanation: impl Into<String>) -> Result<T, Denial> {
    Err(Denial {
        reason,
        explanation: explanation.into(),
    })
}
