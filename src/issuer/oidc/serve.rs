//! Plain HTTP/1 with whoever asks, within bounds: what is public mustn't take from what isn't.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use countersign_runtime::accept;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::Service as _;
use tracing::debug;

/// One more waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// For a request to come whole, the next one on an open connection too.
const HEADERS: Duration = Duration::from_secs(10);
/// A connection's life: longer than those of common ingresses.
const CONNECTION: Duration = Duration::from_secs(120);

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, routes: Router) -> Infallible {
    serve_patiently(listener, routes, HEADERS).await
}

/// With so much time for a request to come.
pub(super) async fn serve_patiently(
    listener: TcpListener,
    routes: Router,
    headers: Duration,
) -> Infallible {
    accept(listener, MAX_CONNECTIONS, |stream| {
        let routes = routes.clone();
        async move {
            let answered = timeout(CONNECTION, answer(stream, routes, headers)).await;
            if let Ok(Err(why)) = answered {
                debug!("a connection ended: {why}");
            }
        }
    })
    .await
}

async fn answer(stream: TcpStream, routes: Router, headers: Duration) -> hyper::Result<()> {
    let service = service_fn(move |request| routes.clone().call(request));
    Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
