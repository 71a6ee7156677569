//! Clients of the API server, and what their errors mean.

use std::time::Duration;

use kube::Client;

use crate::progress::WatchProgress;

/// Clients for the two uses.
#[derive(Clone)]
pub struct Clients {
    /// For gets, lists and watches.
    pub reads: Client,
    /// For writes.
    pub writes: Client,
}

/// A write that didn't succeed, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No answer in time: the write may have happened, may happen later, or not at all.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The API server refused, or the connection failed.
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

impl Clients {
    /// Clients for `config`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The configuration can't be used: certificates, a proxy, a token's file.
    pub fn connect(config: kube::Config, progress: &WatchProgress) -> kube::Result<Self> {
        let _ = progress;
        let mut writes = config.clone();
        writes.default_retry = false;
        Ok(Self {
            reads: Client::try_from(config)?,
            writes: Client::try_from(writes)?,
        })
    }
}

/// Waits for a write for at most `limit`.
///
/// # Errors
/// The call's, or [`WriteError::TimedOut`].
pub async fn within<T>(
    limit: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, WriteError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(WriteError::TimedOut(limit)),
    }
}

/// 409 Conflict: the object isn't what the writer took it for (resourceVersion, UID).
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}

/// 404: no such object, or no such kind.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// 409 AlreadyExists: a create of a name that is taken.
pub fn is_already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// 403: no permission, or an admission policy refused.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}
