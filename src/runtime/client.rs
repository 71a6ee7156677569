//! Clients of the API server, and what their errors mean.

mod limit;
mod server_time;

use std::fmt;
use std::time::Duration;

use kube::Client;
use kube::client::ClientBuilder;

use crate::progress::WatchProgress;
use limit::Limit;

pub use server_time::{NoServerTime, ServerTime, Skew, server_time};

/// No plain call takes longer, retries included: what didn't answer until then won't.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// A connection on the way to a machine that is gone is given up sooner.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Clients for the two uses. All plain calls are limited to 30 s, watches until their answer
/// begins. Neither is for streams that aren't watches (logs, exec): they would be collected.
#[derive(Clone)]
pub struct Clients {
    /// For gets, lists and watches: an answer of 429, 503 or 504 is tried again by itself.
    pub reads: Client,
    /// For writes, each [within](within()) a limit: tried again by nobody but whoever has looked
    /// at the world again.
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
    /// Clients for `config`, whose watches `progress` sees. Must be called within a tokio runtime,
    /// which they need from then on.
    ///
    /// # Errors
    /// The configuration can't be used: certificates, a proxy, a token's file.
    pub fn connect(config: kube::Config, progress: &WatchProgress) -> kube::Result<Self> {
        let mut reads = config;
        let connect_limit = reads.connect_timeout.unwrap_or(CONNECT_LIMIT);
        reads.connect_timeout = Some(connect_limit.min(CONNECT_LIMIT));
        let mut writes = reads.clone();
        writes.default_retry = false;
        Ok(Self {
            reads: build(reads, progress)?,
            writes: build(writes, progress)?,
        })
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl WriteError {
    /// The API server's answer, or what the connection says; `None` if nothing came in time.
    pub fn kube(&self) -> Option<&kube::Error> {
        match self {
            Self::Kube(error) => Some(error),
            Self::TimedOut(_) => None,
        }
    }

    /// Whether the write may have happened all the same: anything but a refusal by the API server.
    /// Look again before trying again.
    pub fn may_have_happened(&self) -> bool {
        // 504 is the server's own time limit, which an update may have overrun. 500 may come
        // from between the server and its storage.
        match self.kube() {
            Some(kube::Error::Api(status)) => status.code >= 500,
            Some(kube::Error::BuildRequest(_)) => false,
            _ => true,
        }
    }
}

/// Waits for a write for at most `limit`. One that is late is given up, not taken back.
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

/// 404: no such object, or no such kind, or no such namespace.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// 409 AlreadyExists: a create of a name that is taken. It isn't a conflict.
pub fn is_already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// 403: no permission, an admission policy refused, or the namespace is being deleted.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

fn build(config: kube::Config, progress: &WatchProgress) -> kube::Result<Client> {
    let builder = ClientBuilder::try_from(config)?;
    let limited = builder.with_layer(&Limit(CALL_LIMIT));
    Ok(limited.with_layer(progress).build())
}
