//! One server for all protocols: HTTP/1.1 and HTTP/2, over TLS or plain on loopback.

mod callers;
mod connection;
mod door;
#[cfg(test)]
mod tests;
mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use countersign_runtime::accept;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tracing::debug;

pub(crate) use callers::{Callers, REPLICA};
pub(crate) use connection::Patience;
pub(crate) use door::Door;
use door::identify;
pub(crate) use tls::Tls;
pub use tls::TlsError;

/// No answer takes longer, reading the question included. Streams have begun by then.
const ANSWER: Duration = Duration::from_secs(10);
/// How often files are looked at.
const RELOAD: Duration = Duration::from_secs(5);

/// What the server runs on.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) door: Door,
    pub(crate) max_connections: usize,
    pub(crate) patience: Patience,
}

impl Server {
    /// Serves for ever.
    pub(crate) async fn serve(self, router: Router) -> Infallible {
        let router = router
            .layer(from_fn_with_state(self.door.clone(), identify))
            .layer(from_fn(in_time));
        accept(self.listener, self.max_connections, |stream| {
            let (router, tls) = (router.clone(), self.tls.clone());
            let (door, patience) = (self.door.clone(), self.patience);
            async move {
                if let Err(why) = connection::serve(stream, tls, router, door, patience).await {
                    debug!("a connection ended: {why}");
                }
            }
        })
        .await
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

/// Gives up what takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    match timeout(ANSWER, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "took too long\n").into_response(),
    }
}
