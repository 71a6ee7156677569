//! One connection, from its handshake to its end. Places are few: nobody holds one for nothing.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use countersign_decision::Peer;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;
use tracing::debug;

use super::Tls;
use super::door::{Door, Guest};

/// Streams of one HTTP/2 connection: more wait.
const STREAMS: u32 = 1024;

/// How long who is there may take for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A handshake takes a few milliseconds.
    pub(crate) handshake: Duration,
    /// From its beginning until somebody was authenticated on it: whoever holds a connection open
    /// without that wants nothing but the place.
    pub(crate) unknown: Duration,
    /// Between two requests of HTTP/1.1, and within the headers of one.
    pub(crate) headers: Duration,
    /// HTTP/2 is pinged after so long without a word; streams that are open have none to say for hours.
    pub(crate) ping: Duration,
    /// The answer to a ping.
    pub(crate) pong: Duration,
    /// How often it is looked whether the certificate still counts, for streams that are open.
    pub(crate) look: Duration,
    /// What is being answered when a connection is closed has so long.
    pub(crate) farewell: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            unknown: Duration::from_secs(10),
            headers: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            pong: Duration::from_secs(10),
            look: Duration::from_secs(5),
            farewell: Duration::from_secs(1),
        }
    }
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Until its end.
pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    router: Router,
    door: Door,
    patience: Patience,
) -> Ended {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return speak(stream, Guest::default(), router, door, patience).await;
    };
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = timeout(patience.handshake, acceptor.accept(stream)).await??;
    let chain = stream.get_ref().1.peer_certificates();
    let guest = Guest::new(chain.and_then(peer));
    door.look(&guest);
    speak(stream, guest, router, door, patience).await
}

/// By the one SPIFFE ID of a certificate that the handshake has verified.
fn peer(chain: &[CertificateDer<'_>]) -> Option<Peer> {
    let leaf = chain.first()?;
    let id = countersign_authority::spiffe_id_of(leaf).ok()?;
    Some(Peer::new(id, leaf.to_vec()))
}

async fn speak<S>(stream: S, guest: Guest, router: Router, door: Door, patience: Patience) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let of_requests = guest.clone();
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(of_requests.clone());
        router.clone().call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.headers);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(patience.ping)
        .keep_alive_timeout(patience.pong);
    let speaking =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(speaking);
    if let Ok(ended) = timeout(patience.unknown, speaking.as_mut()).await {
        return ended;
    }
    if !guest.is_known() {
        debug!("nobody was authenticated on a connection: closing it");
        return Ok(());
    }
    let refused = async {
        while !door.is_refused(&guest) {
            sleep(patience.look).await;
        }
    };
    tokio::select! {
        ended = speaking.as_mut() => return ended,
        () = refused => {}
    }
    debug!("a connection's certificate doesn't count any more: closing it");
    speaking.as_mut().graceful_shutdown();
    // What goes on for longer is cut off.
    timeout(patience.farewell, speaking).await.unwrap_or(Ok(()))
}
