//! HTTP to others: to transmitters of signals, other replicas, and servers of signed lists.
//!
//! ```text
//!  secret or signal ──▶ Http::ask ═══ TLS, or this machine itself ═══▶ somebody
//!  nothing of ours ───▶ Http::fetch ══ plain HTTP will do ═══════════▶ a document that is signed
//! ```
//!
//! What it must not do: wait for ever, read an answer without end, or send a secret in the clear.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::timeout;

pub use hyper::body::Bytes;

/// A peer that isn't there must be found out long before anybody waits for it.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Idle connections are kept less long than most servers keep theirs.
const IDLE: Duration = Duration::from_secs(30);

/// A client. Clones share their connections.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A request failed, whoever's fault it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Secrets and signals don't go over an open network.
    #[error("{0} must be https, or http to this machine itself")]
    NotSecure(String),
    /// The address can't be read.
    #[error("{0:?} is no address")]
    BadAddress(String),
    /// There was no answer.
    #[error("no answer: {0}")]
    Failed(String),
    /// There was none in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The answer has another status than 2xx.
    #[error("the answer is {status}: {body}")]
    Status {
        /// The status.
        status: StatusCode,
        /// The body's beginning.
        body: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer can't be read.
    #[error("the answer can't be read: {0}")]
    Unreadable(String),
}

/// One request. Its `Debug` leaves out what may be secret.
pub struct Ask {
    /// `GET` or another.
    pub method: Method,
    /// The URL: https, or http to this machine itself.
    pub address: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// Of the body, where there is one.
    pub content_type: &'static str,
    /// May be empty.
    pub body: Vec<u8>,
    /// For the whole answer.
    pub within: Duration,
    /// The longest answer.
    pub most_bytes: usize,
}

impl Http {
    /// Trusts and shows the certificates of `tls`.
    pub fn new(mut tls: ClientConfig) -> Self {
        tls.alpn_protocols.clear(); // the connector sets its own
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http() // http only as far as `secure` lets it
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self { client }
    }

    /// Gets a document that is signed or public, and has nothing of ours in its request: whoever listens
    /// or changes it on the way gains nothing, so that plain HTTP will do.
    ///
    /// # Errors
    /// There was no answer `within` that time, or one of another status than 2xx, or a longer one.
    pub async fn fetch(
        &self,
        address: &str,
        within: Duration,
        most_bytes: usize,
    ) -> Result<Bytes, HttpError> {
        let bad = || HttpError::BadAddress(shown(address));
        let uri: Uri = address.parse().map_err(|_| bad())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad());
        }
        let request = Request::get(uri).body(Full::default());
        let request = request.map_err(|why| HttpError::Failed(why.to_string()))?;
        let answer = timeout(within, self.answer(request, most_bytes)).await;
        answer.unwrap_or(Err(HttpError::TimedOut(within)))
    }

    /// Asks once.
    ///
    /// # Errors
    /// The address isn't [`secure`], or as [`Http::fetch`].
    pub async fn ask(&self, ask: Ask) -> Result<Bytes, HttpError> {
        let address = secure(&ask.address)?;
        let mut request = Request::builder()
            .method(ask.method)
            .uri(address)
            .header(header::ACCEPT, "application/json");
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, ask.content_type);
        }
        if let Some(authorization) = &ask.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(Bytes::from(ask.body)))
            .map_err(|why| HttpError::Failed(why.to_string()))?;
        let answer = self.answer(request, ask.most_bytes);
        let answer = timeout(ask.within, answer).await;
        answer.unwrap_or(Err(HttpError::TimedOut(ask.within)))
    }

    async fn answer(&self, request: Request<Full<Bytes>>, most: usize) -> Result<Bytes, HttpError> {
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|why| HttpError::Failed(chain(&why)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(why) if why.is::<http_body_util::LengthLimitError>() => {
                return Err(HttpError::TooLong(most));
            }
            Err(why) => return Err(HttpError::Failed(why.to_string())),
        };
        if status.is_success() {
            return Ok(body);
        }
        let body = shown(&String::from_utf8_lossy(&body));
        Err(HttpError::Status { status, body })
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    /// As [`Http::ask`].
    pub async fn get(
        &self,
        address: &str,
        within: Duration,
        most_bytes: usize,
    ) -> Result<Bytes, HttpError> {
        self.ask(Ask {
            method: Method::GET,
            address: address.to_owned(),
            authorization: None,
            content_type: "application/json",
            body: Vec::new(),
            within,
            most_bytes,
        })
        .await
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("method", &self.method)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl HttpError {
    /// The status, if there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// `address`, if what goes there can't be read on the way.
///
/// # Errors
/// It can, or it is no address.
pub fn secure(address: &str) -> Result<Uri, HttpError> {
    let bad = || HttpError::BadAddress(shown(address));
    let uri: Uri = address.parse().map_err(|_| bad())?;
    let host = uri.host().ok_or_else(bad)?;
    let own = host.trim_start_matches('[').trim_end_matches(']');
    let own = own == "localhost" || own.parse().is_ok_and(|it: IpAddr| it.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if own => Ok(uri),
        _ => Err(HttpError::NotSecure(shown(address))),
    }
}

/// At most 200 characters of what somebody sent, without control characters, for a message.
pub fn shown(text: &str) -> String {
    text.chars()
        .map(|it| if it.is_control() { '\u{fffd}' } else { it })
        .take(200)
        .collect()
}

/// The error with its causes: "client error (Connect)" alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(why) = source {
        text.push_str(": ");
        text.push_str(&why.to_string());
        source = why.source();
    }
    text
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://idp.example.com/jwks",
            "http://127.0.0.1:8080/x",
            "http://[::1]:8080/x",
            "http://localhost/x",
        ] {
            assert!(secure(good).is_ok(), "{good}");
        }
        for bad in [
            "http://idp.example.com/jwks",
            "http://10.0.0.1/x",
            "http://localhost.example.com/x",
            "http://127.0.0.1.example.com/x",
            "ftp://127.0.0.1/x",
            "/x",
            "",
            "idp",
        ] {
            assert!(secure(bad).is_err(), "{bad}");
        }
    }
}
