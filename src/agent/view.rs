//! What the sidecar serves now: one value that everybody who serves it looks at.

use std::fmt;
use std::sync::Arc;

use crate::held::Held;
use crate::trust::Trust;

/// What there is to be had.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// None yet, or no more.
    pub(crate) held: Option<Arc<Held>>,
    pub(crate) trust: Option<Arc<Trust>>,
    pub(crate) standing: Standing,
}

/// A certificate, and whom to trust, of one moment.
pub(crate) type Both = (Arc<Held>, Arc<Trust>);

/// Where the identity stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    /// Nobody has said anything yet.
    #[default]
    Starting,
    /// There is no certificate, for now.
    Waiting(Why),
    /// There is one.
    Active,
    /// What was handed out counts no more.
    Closed(Why),
}

/// A word and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Why {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl View {
    /// Why there is nothing, for a person.
    pub(crate) fn missing(&self) -> String {
        match &self.standing {
            Standing::Starting => "the issuing endpoint has not answered yet".to_owned(),
            Standing::Waiting(why) | Standing::Closed(why) => why.to_string(),
            Standing::Active => "there is no certificate".to_owned(),
        }
    }

    /// Those that may be served together.
    pub(crate) fn both(&self) -> Option<Both> {
        match self.standing {
            Standing::Closed(_) => None,
            _ => self.held.clone().zip(self.trust.clone()),
        }
    }
}
