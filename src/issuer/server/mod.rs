//! gRPC over TLS, and nothing else.

mod connection;
mod own;

use std::convert::Infallible;
use std::sync::Arc;

use countersign_issuing::IssuerServer;
use countersign_runtime::accept;
use tokio::net::TcpListener;
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
        let never = accept(self.listener, self.max_connections, |stream| {
            let (acceptor, service) = (acceptor.clone(), self.service.clone());
            let counted = self.metrics.connection();
            async move {
                if let Err(why) = connection::serve(stream, acceptor, service).await {
                    debug!("a connection ended: {why}");
                }
                drop(counted);
            }
        });
        Ok(never.await)
    }
}
