//! How a log is kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::AuditError;

/// Tells the time of day.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where and how a log is kept.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:<path>`, `postgres://…`, or for tests `sqlite::memory:`.
    pub url: String,
    /// The second half of each chain's name: of this replica alone, and the same after a restart.
    /// Letters, digits, `.`, `_` and `-`, at most 63.
    pub writer: String,
    /// The clock of checkpoints and of [`crate::Kind::LogResumed`].
    pub now: Now,
    /// How long an append waits before it fails.
    pub append_timeout: Duration,
    /// How many entries wait in memory for a store that can't be written,
    pub max_later: usize,
    /// and how many bytes they take at most. What is more is dropped and counted, refusals first.
    pub max_later_bytes: usize,
    /// A checkpoint is signed after so many records,
    pub checkpoint_records: u64,
    /// and at the latest so long after a record that none covers.
    pub checkpoint_interval: Duration,
}

impl Settings {
    /// Settings with the defaults: 2 s, 100,000 entries, 64 MiB, 1,000 records, 60 s.
    pub fn new(url: impl Into<String>, writer: impl Into<String>, now: Now) -> Self {
        Self {
            url: url.into(),
            writer: writer.into(),
            now,
            append_timeout: Duration::from_secs(2),
            max_later: 100_000,
            max_later_bytes: 64 * 1024 * 1024,
            checkpoint_records: 1000,
            checkpoint_interval: Duration::from_secs(60),
        }
    }

    pub(crate) fn check(&self) -> Result<(), AuditError> {
        if !is_writer(&self.writer) {
            return Err(AuditError::Settings(format!(
                "{:?} is no name of a writer: 1 to 63 letters, digits, '.', '_' and '-'",
                self.writer
            )));
        }
        Ok(())
    }
}

/// May a writer be called so?
pub(crate) fn is_writer(name: &str) -> bool {
    let good = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-');
    (1..=63).contains(&name.len()) && name.bytes().all(good)
}

impl fmt::Debug for Settings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("writer", &self.writer)
            .field("append_timeout", &self.append_timeout)
            .field("max_later", &self.max_later)
            .field("max_later_bytes", &self.max_later_bytes)
            .field("checkpoint_records", &self.checkpoint_records)
            .field("checkpoint_interval", &self.checkpoint_interval)
            .finish_non_exhaustive()
    }
}
