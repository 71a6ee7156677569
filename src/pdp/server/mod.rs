//! One server for all protocols: HTTP/1.1 and HTTP/2, over TLS or plain on loopback.

mod callers;
mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;
use tracing::debug;

pub(crate) use callers::{Callers, REPLICA};
use callers::{PeerId, identify};
pub(crate) use tls::Tls;
pub use tls::TlsError;

/// A handshake takes a few milliseconds.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Who sends its headers slower than that is no enforcement point.
const HEADERS: Duration = Duration::from_secs(10);
/// No answer takes longer, reading the question included. Streams have begun by then.
const ANSWER: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection: more wait.
const STREAMS: u32 = 1024;
/// How often files are looked at.
const RELOAD: Duration = Duration::from_secs(5);

/// What the server runs on.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) max_connections: usize,
}

impl Server {
    /// Serves for ever.
    pub(crate) async fn serve(self, router: Router) -> Infallible {
        let router = router
            .layer(from_fn_with_state(Arc::clone(&self.callers), identify))
            .layer(from_fn(in_time));
        let room = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // Whoever comes when it is full waits in the kernel's queue.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return std::future::pending().await; // never closed
            };
            let (stream, _) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(why) => {
                    debug!("can't accept a connection: {why}");
                    sleep(Duration::from_millis(50)).await; // no file descriptors: they come back
                    continue;
                }
            };
            let router = router.clone();
            let tls = self.tls.clone();
            connections.spawn(async move {
                if let Err(why) = connection(stream, tls, router).await {
                    debug!("a connection ended: {why}");
                }
                drop(place);
            });
        }
    }
}

/// Reads files again for ever, as they are replaced while this runs.
pub(crate) async fn reload(tls: Option<Arc<Tls>>, callers: Arc<Callers>) -> Infallible {
    loop {
        sleep(RELOAD).await;
        if let Some(tls) = &tls {
            tls.reload();
        }
        callers.read_tokens();
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return speak(stream, None, router).await;
    };
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let peer = (stream.get_ref().1.peer_certificates())
        .and_then(|chain| peer_id(chain))
        .map(|id| PeerId(id.into()));
    speak(stream, peer, router).await
}

/// The one SPIFFE ID of a certificate that the handshake has verified.
fn peer_id(chain: &[rustls_pki_types::CertificateDer<'_>]) -> Option<String> {
    let leaf = chain.first()?;
    countersign_authority::spiffe_id_of(leaf).ok()
}

async fn speak<S>(
    stream: S,
    peer: Option<PeerId>,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        router.clone().call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(20));
    builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await
}

/// Gives up what takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    match timeout(ANSWER, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "took too long\n").into_response(),
    }
}
