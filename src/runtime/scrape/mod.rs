//! Metrics over TLS for those who show that they may read them, as controller-runtime serves them.
//!
//! ```text
//!  token ──▶ remembered for a moment? ──▶ TokenReview ──▶ SubjectAccessReview ──▶ 200
//!                     │ its answer            │ nobody         │ may not            the metrics
//!                     ▼                       ▼ 401            ▼ 403
//! ```
//!
//! What can't be asked is 503: nobody is let in on a guess.

mod access;
mod answer;
mod certificate;
mod connection;
mod pace;
mod remembered;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

pub(crate) use access::Access;
pub(crate) use certificate::Certificate;
use connection::Patience;

/// Connections at a time: a cluster has a few that scrape. Whoever comes when it is full waits in the
/// kernel's queue.
const PLACES: usize = 64;

/// The server of metrics.
pub(crate) struct Scrapes {
    certificate: Arc<Certificate>,
    page: Arc<Page>,
    places: usize,
    patience: Patience,
}

/// The one page, and who may read it.
struct Page {
    access: Access,
    registry: Arc<Registry>,
}

impl Scrapes {
    pub(crate) fn new(
        certificate: Arc<Certificate>,
        access: Access,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            certificate,
            page: Arc::new(Page { access, registry }),
            places: PLACES,
            patience: Patience::default(),
        }
    }

    /// Serves for ever, and sees to the certificate.
    ///
    /// # Errors
    /// TLS can't be had at all.
    pub(crate) async fn serve(self, listener: TcpListener) -> Result<Infallible, rustls::Error> {
        let config = config(Arc::clone(&self.certificate))?;
        let certificate = Arc::clone(&self.certificate);
        tokio::select! {
            never = certificate.keep() => Ok(never),
            never = self.accept(listener, TlsAcceptor::from(config)) => Ok(never),
        }
    }

    async fn accept(self, listener: TcpListener, acceptor: TlsAcceptor) -> Infallible {
        let room = Arc::new(Semaphore::new(self.places));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return std::future::pending().await; // never closed
            };
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(why) => {
                    debug!("can't accept a connection: {why}");
                    sleep(Duration::from_millis(50)).await; // no file descriptors: they come back
                    continue;
                }
            };
            let (acceptor, page, patience) =
                (acceptor.clone(), Arc::clone(&self.page), self.patience);
            connections.spawn(async move {
                if let Err(why) = connection::serve(stream, acceptor, page, patience).await {
                    debug!("a connection for metrics ended: {why}");
                }
                drop(place);
            });
        }
    }
}

/// TLS 1.3: Prometheus and whatever else is written in Go has spoken it since 2019.
fn config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
