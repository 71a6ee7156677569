//! One connection, which is one request: a scraper comes every half minute, and nobody holds a place
//! for nothing meanwhile.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Page;
use super::answer::answer;

/// Bytes of a request's head, of which a token is a kilobyte or two.
const HEAD: usize = 16 * 1024;
/// Lines of it.
const HEADERS: usize = 64;

/// How long who is there may take for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A handshake takes a few milliseconds.
    pub(super) handshake: Duration,
    /// The head of a request comes in one piece.
    pub(super) head: Duration,
    /// From the first byte to the last of the answer: scrapers give up after 10 s.
    pub(super) whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(5),
            whole: Duration::from_secs(20),
        }
    }
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Until its end.
pub(super) async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    page: Arc<Page>,
    patience: Patience,
) -> Ended {
    timeout(patience.whole, speak(stream, acceptor, page, patience)).await?
}

async fn speak(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    page: Arc<Page>,
    patience: Patience,
) -> Ended {
    stream.set_nodelay(true)?;
    let stream = timeout(patience.handshake, acceptor.accept(stream)).await??;
    let service = service_fn(move |request: Request<Incoming>| {
        let page = Arc::clone(&page);
        async move { answer(&page, request.into_parts().0).await }
    });
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .max_headers(HEADERS);
    Ok(builder
        .serve_connection(TokioIo::new(stream), service)
        .await?)
}
