//! Whether the open watches get anything.

use std::time::Duration;

/// The last progress of each open watch. Cheap to clone; clones share.
#[derive(Debug, Clone, Default)]
pub struct WatchProgress {}

impl WatchProgress {
    /// Nothing open yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The open watch that has been silent longest: its path and for how long.
    pub fn stalest(&self) -> Option<(String, Duration)> {
        unimplemented!()
    }

    /// Whether no open watch has been silent for longer than `bound`.
    pub fn is_healthy(&self, bound: Duration) -> bool {
        self.stalest().is_none_or(|(_, silent)| silent <= bound)
    }
}
