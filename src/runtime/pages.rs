//! Where health and metrics are served, and to whom.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;
use tokio::net::TcpListener;
use tracing::info;

use crate::clock::Clock;
use crate::health::Health;
use crate::scrape::{Access, Certificate, Scrapes};
use crate::supervisor::Supervisor;

/// Where the pages are served.
#[derive(Debug, Clone, Default)]
pub struct PageSettings {
    /// Where `/metrics` is served; `None` for nowhere. Without [`PageSettings::secure`] `/healthz` and
    /// `/readyz` are there too, and all of it is plain HTTP for anybody.
    pub metrics: Option<SocketAddr>,
    /// Metrics are for those who show that they may read them.
    pub secure: Option<SecureMetrics>,
}

/// `/metrics` over TLS, for bearer tokens that the API server knows, of users with the right to `get` the
/// non-resource URL `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct SecureMetrics {
    /// Where `/healthz` and `/readyz` are served, in plain HTTP for anybody, since kubelets show nothing;
    /// `None` for nowhere.
    pub health: Option<SocketAddr>,
    /// The certificate; `None` for one that signs itself, made in memory.
    pub tls: Option<MetricsTls>,
}

/// Files in PEM; read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsTls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The pages can't be served.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// An address can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate to serve metrics with.
    #[error("the certificate for metrics: {0}")]
    Certificate(String),
}

/// Pages whose addresses are taken and that nobody serves yet.
#[derive(Debug)]
pub struct Pages {
    plain: Option<TcpListener>,
    secured: Option<Secured>,
}

#[derive(Debug)]
struct Secured {
    listener: Option<TcpListener>,
    certificate: Arc<Certificate>,
}

impl Pages {
    /// Takes the addresses, and reads or makes the certificate.
    ///
    /// # Errors
    /// One can't be had.
    pub async fn bind(settings: &PageSettings, clock: &Clock) -> Result<Self, PagesError> {
        let Some(secure) = &settings.secure else {
            return Ok(Self {
                plain: bind(settings.metrics).await?,
                secured: None,
            });
        };
        let certificate = Certificate::load(secure.tls.clone(), clock.clone());
        let certificate = certificate.map_err(PagesError::Certificate)?;
        Ok(Self {
            plain: bind(secure.health).await?,
            secured: Some(Secured {
                listener: bind(settings.metrics).await?,
                certificate: Arc::new(certificate),
            }),
        })
    }

    /// Serves the pages of `health` until the end of all; `reviews` asks the API server who may read
    /// metrics, and needs to `create` `tokenreviews` and `subjectaccessreviews`.
    pub fn serve(self, health: Health, reviews: &Client, all: &mut Supervisor) {
        let Self { plain, secured } = self;
        let Some(secured) = secured else {
            if let Some(listener) = plain {
                all.spawn("serve health and metrics", health.serve(listener));
            }
            return;
        };
        let (health, registry) = health.without_metrics();
        if let Some(listener) = plain {
            all.spawn("serve health", health.serve(listener));
        }
        if let (Some(listener), Some(registry)) = (secured.listener, registry) {
            if let Ok(address) = listener.local_addr() {
                info!(%address, certificate = %secured.certificate, "serving metrics to who may read them");
            }
            let access = Access::new(reviews.clone());
            let scrapes = Scrapes::new(secured.certificate, access, registry);
            all.spawn("serve metrics", scrapes.serve(listener));
        }
    }
}

async fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, PagesError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let bound = TcpListener::bind(address).await;
    let bound = bound.map_err(|source| PagesError::Listen { address, source })?;
    Ok(Some(bound))
}
