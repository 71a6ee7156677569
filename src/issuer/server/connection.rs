//! One connection, from its handshake to its end. Places are few: nobody holds one for nothing.

use std::error::Error;
use std::time::Duration;

use countersign_issuing::IssuerServer;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::body::Body;
use tower::Service as _;
use tracing::debug;

use crate::service::{Guest, Service};

/// A handshake takes a few milliseconds.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// From a connection's beginning until somebody was known on it by a token.
const UNKNOWN: Duration = Duration::from_secs(10);
/// No answer takes longer, reading what is asked included. Streams have begun by then.
const ANSWER: Duration = Duration::from_secs(10);
/// A connection is pinged after so long without a word.
const PING: Duration = Duration::from_secs(20);
/// The answer to a ping.
const PONG: Duration = Duration::from_secs(10);
/// Calls at a time: one pod has a few.
const STREAMS: u32 = 256;
/// A token has a kilobyte.
const HEADERS: u32 = 16 * 1024;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Until its end.
pub(super) async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    issuer: IssuerServer<Service>,
) -> Ended {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let guest = Guest::default();
    let of_requests = guest.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(of_requests.clone());
        let mut issuer = issuer.clone();
        async move {
            let answer = timeout(ANSWER, issuer.call(request)).await;
            answer.unwrap_or_else(|_| Ok(late()))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    let speaking = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(speaking);
    if let Ok(ended) = timeout(UNKNOWN, speaking.as_mut()).await {
        return Ok(ended?);
    }
    if !guest.is_known() {
        debug!("nobody was known on a connection: closing it");
        return Ok(());
    }
    Ok(speaking.await?)
}

fn late() -> Response<Body> {
    Status::deadline_exceeded("it took too long").into_http()
}
