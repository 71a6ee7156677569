//! Every change that the operator makes goes through here: only the leader's, and only while its
//! lease lasts.

use std::future::Future;
use std::time::Duration;

use countersign_runtime::{Leadership, NotLeader, within};

/// No write takes longer on an API server that works; less than the lease, so that a write ends
/// before another replica can begin.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Why a write didn't happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Another replica leads.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// No answer in time, or a refusal.
    #[error(transparent)]
    Failed(#[from] countersign_runtime::WriteError),
}

/// The right to write, for as long as the lease lasts.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    leadership: Leadership,
}

impl Gate {
    pub(crate) fn new(leadership: Leadership) -> Self {
        Self { leadership }
    }

    /// Does this replica lead?
    pub(crate) fn leads(&self) -> bool {
        self.leadership.is_leader()
    }

    /// Runs one write.
    pub(crate) async fn run<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, WriteError> {
        let limit = self.leadership.permit()?.limit(WRITE_LIMIT)?;
        Ok(within(limit, call).await?)
    }
}

impl WriteError {
    /// A word for metrics and logs.
    pub(crate) fn category(&self) -> &'static str {
        match self {
            Self::NotLeader(_) => "not_leader",
            Self::Failed(countersign_runtime::WriteError::TimedOut(_)) => "timeout",
            Self::Failed(countersign_runtime::WriteError::Kube(why)) => category(why),
        }
    }

    /// Is it this answer of the API server?
    pub(crate) fn is(&self, code: u16) -> bool {
        matches!(
            self,
            Self::Failed(countersign_runtime::WriteError::Kube(why)) if is_status(why, code)
        )
    }
}

/// A word for metrics and logs.
pub(crate) fn category(why: &kube::Error) -> &'static str {
    match why {
        kube::Error::Api(status) => match status.code {
            403 => "forbidden",
            404 => "not_found",
            409 => "conflict",
            422 => "invalid",
            429 => "throttled",
            _ => "api",
        },
        _ => "connection",
    }
}

/// Is `why` an answer with this status code?
pub(crate) fn is_status(why: &kube::Error, code: u16) -> bool {
    matches!(why, kube::Error::Api(status) if status.code == code)
}
