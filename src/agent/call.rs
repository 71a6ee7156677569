//! Calls to the issuing endpoint: the client, the pod's token, and what an error of theirs says.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_issuing::{
    Client, IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, WatchRequest,
    WatchResponse, reason_of,
};
use parking_lot::Mutex;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tracing::info;
use zeroize::Zeroizing;

use crate::view::Why;

/// For an answer; the endpoint writes a record before it gives one.
const ANSWER: Duration = Duration::from_secs(10);
/// Tokens have 1 or 2 KiB.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// The endpoint, as the pod's identity sees it. A clone shares the connection.
#[derive(Clone)]
pub(crate) struct Endpoint {
    connection: Arc<Mutex<Client>>,
    connect: Connect,
    pub(crate) token: PathBuf,
    pub(crate) trust_domain: String,
    pub(crate) identity: String,
}

/// Makes a channel, which connects when it is used.
pub(crate) type Connect = Arc<dyn Fn() -> Channel + Send + Sync>;

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("token", &self.token)
            .field("trust_domain", &self.trust_domain)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    pub(crate) fn new(
        connect: Connect,
        token: PathBuf,
        trust_domain: String,
        identity: String,
    ) -> Self {
        Self {
            connection: Arc::new(Mutex::new(Client::new(connect()))),
            connect,
            token,
            trust_domain,
            identity,
        }
    }

    fn client(&self) -> Client {
        self.connection.lock().clone()
    }

    /// A replica that can't answer, for what it says or by its silence, is left: behind the same
    /// address there may be one that can. Whoever refuses for another reason knows what it does, and
    /// a connection that broke is made again anyhow.
    pub(crate) fn judge(&self, status: &Status) {
        if is_at_a_loss(status) {
            info!("the next call is by another connection");
            *self.connection.lock() = Client::new((self.connect)());
        }
    }

    pub(crate) async fn issue_x509(&self, pkcs10: Vec<u8>) -> Result<IssueX509Response, Status> {
        let token = self.read_token().await?;
        let request = IssueX509Request {
            pkcs10,
            trust_domain: self.trust_domain.clone(),
            identity: self.identity.clone(),
        };
        let mut client = self.client();
        let answer = in_time(client.issue_x509(&token, request)).await;
        answer.inspect_err(|status| self.judge(status))
    }

    pub(crate) async fn issue_jwt(
        &self,
        audience: Vec<String>,
    ) -> Result<IssueJwtResponse, Status> {
        let token = self.read_token().await?;
        let request = IssueJwtRequest {
            audience,
            identity: self.identity.clone(),
        };
        let mut client = self.client();
        let answer = in_time(client.issue_jwt(&token, request)).await;
        answer.inspect_err(|status| self.judge(status))
    }

    pub(crate) async fn watch(&self) -> Result<Streaming<WatchResponse>, Status> {
        let token = self.read_token().await?;
        let request = WatchRequest {
            identity: self.identity.clone(),
        };
        let mut client = self.client();
        in_time(client.watch(&token, request)).await
    }

    /// The kubelet writes a new one long before the last is over.
    async fn read_token(&self) -> Result<Zeroizing<String>, Status> {
        use tokio::io::AsyncReadExt as _;
        let mut text = Zeroizing::new(String::new());
        let path = self.token.display();
        let failed = |why| Status::unauthenticated(format!("read the token {path}: {why}"));
        let file = tokio::fs::File::open(&self.token).await.map_err(failed)?;
        let mut file = file.take(MAX_TOKEN_BYTES);
        file.read_to_string(&mut text).await.map_err(failed)?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Status::deadline_exceeded("no answer in time");
    timeout(ANSWER, call).await.map_err(late)?
}

/// What an error says: the endpoint's own word, or the code's.
pub(crate) fn why(status: &Status) -> Why {
    let reason = reason_of(status).map_or_else(|| format!("{:?}", status.code()), str::to_owned);
    let mut message = status.message().to_owned();
    let mut source = status.source();
    // A connection that failed says so in the depths.
    while let Some(error) = source {
        let said = error.to_string();
        if !message.contains(&said) {
            message = format!("{message}: {said}");
        }
        source = error.source();
    }
    Why { reason, message }
}

/// The identity is suspended or over, and who says it is the endpoint.
pub(crate) fn is_over(status: &Status) -> bool {
    let over = ["TaskOver", "IdentityEnded", "IdentitySuspended"];
    status.code() == Code::PermissionDenied
        && reason_of(status).is_some_and(|reason| over.contains(&reason))
}

/// It said so, or nothing.
fn is_at_a_loss(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => reason_of(status).is_some(),
        code => code == Code::DeadlineExceeded,
    }
}

#[cfg(test)]
mod tests {
    use countersign_issuing::refusal;

    use super::*;

    #[test]
    fn only_the_endpoints_own_word_ends_an_identity() {
        let refused = |code, reason| refusal(code, reason, "so it is");
        assert!(is_over(&refused(Code::PermissionDenied, "TaskOver")));
        assert!(is_over(&refused(
            Code::PermissionDenied,
            "IdentitySuspended"
        )));
        assert!(!is_over(&refused(Code::PermissionDenied, "NoIdentity")));
        assert!(!is_over(&refused(Code::Unavailable, "TaskOver")));
        assert!(!is_over(&Status::permission_denied("a proxy says so")));
    }

    #[test]
    fn a_replica_is_left_for_what_another_may_not_lack() {
        let refused = |code, reason| refusal(code, reason, "so it is");
        assert!(is_at_a_loss(&refused(Code::Unavailable, "Stale")));
        assert!(is_at_a_loss(&Status::deadline_exceeded(
            "no answer in time"
        )));
        assert!(!is_at_a_loss(&refused(
            Code::ResourceExhausted,
            "Overloaded"
        )));
        assert!(!is_at_a_loss(&refused(Code::PermissionDenied, "TaskOver")));
        assert!(!is_at_a_loss(&Status::unavailable("connection refused")));
    }

    #[test]
    fn an_error_is_told_with_what_lies_below_it() {
        let below = std::io::Error::other("connection refused");
        let status = Status::from_error(Box::new(below));
        assert!(
            why(&status).message.contains("connection refused"),
            "{status:?}"
        );
        let refused = refusal(Code::FailedPrecondition, "NotReady", "not yet");
        assert_eq!(why(&refused), Why::new("NotReady", "not yet"));
    }
}
