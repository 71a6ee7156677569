//! What can go wrong with the log.

use std::path::PathBuf;

/// Why something could not be recorded, read or verified. What verification finds in a store that
/// can be read is no error but a [`crate::Finding`].
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The settings say something that can't be.
    #[error("audit log settings: {0}")]
    Settings(String),
    /// The entry can't be recorded as it is.
    #[error("this entry can't be recorded: {0}")]
    Entry(String),
    /// The store can't be written now. The entry is most likely not in it; it may be if the
    /// connection was lost between the commit and its answer, or its commit took too long.
    #[error("the audit log can't be written: {0}")]
    Unavailable(String),
    /// The log was closed, or its writer never started.
    #[error("the audit log is closed")]
    Closed,
    /// The database refused or failed.
    #[error("audit store: {doing}: {}", plainly(.source))]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A record that isn't what this program writes; `verify` says more.
    #[error("record {seq} of chain {chain} can't be read: {why}")]
    Unreadable {
        /// The chain.
        chain: String,
        /// The sequence number.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A token given as an anchor is not to be believed.
    #[error("anchor: {0}")]
    Anchor(String),
    /// Records can't be sealed as asked.
    #[error("seal: {0}")]
    Seal(String),
    /// A file failed.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// How.
        #[source]
        source: std::io::Error,
    },
    /// What is exported could not be written.
    #[error("export: {0}")]
    Export(#[source] std::io::Error),
}

impl AuditError {
    /// A word for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Entry(_) => "entry",
            Self::Unavailable(_) => "unavailable",
            Self::Closed => "closed",
            Self::Store { .. } => "store",
            Self::Unreadable { .. } => "unreadable",
            Self::Anchor(_) => "anchor",
            Self::Seal(_) => "seal",
            Self::File { .. } => "file",
            Self::Export(_) => "export",
        }
    }

    pub(crate) fn store(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Store { doing, source }
    }
}

/// What the database said, without the library's words around it.
pub(crate) fn plainly(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        sqlx::Error::Io(inner) => inner.to_string(),
        other => other.to_string(),
    }
}
