//! gRPC over TLS, and nothing else.

mod connection;
mod own;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use countersign_issuing::IssuerServer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

pub(crate) use own::Own;

use crate::metrics::Metrics;
use crate::service::Service;

/// What the server runs on.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) own: Arc<Own>,
    pub(crate) service: IssuerServer<Service>,
    pub(crate) metrics: Metrics,
    pub(crate) max_connections: usize,
}

impl Server {
    /// Serves for ever.
    ///
    /// # Errors
    /// TLS can't be had at all.
    pub(crate) async fn serve(self) -> Result<Infallible, rustls::Error> {
        let acceptor = TlsAcceptor::from(own::config(self.own)?);
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
            let (acceptor, service) = (acceptor.clone(), self.service.clone());
            let counted = self.metrics.connection();
            connections.spawn(async move {
                if let Err(why) = connection::serve(stream, acceptor, service).await {
                    debug!("a connection ended: {why}");
                }
                drop((counted, place));
            });
        }
    }
}
