//! Who may read metrics, as flags of all components.

use std::path::PathBuf;

use clap::Args;
use countersign_runtime::{MetricsTls, PageSettings, SecureMetrics};

use crate::args::Listen;

/// How metrics are kept from those who may not read them.
#[derive(Debug, Args)]
pub(crate) struct MetricsSecurity {
    /// Serve /metrics by TLS, to who shows a bearer token that the API server knows, of a user with the
    /// right to get the non-resource URL /metrics. This program's account then needs the right to create
    /// tokenreviews and subjectaccessreviews
    #[arg(long)]
    metrics_secure: bool,
    /// Where /healthz and /readyz are served then, in plain HTTP; 'none' for nowhere
    #[arg(long, default_value = "none", requires = "metrics_secure")]
    health_listen: Listen,
    /// The certificate and chain that metrics are served with, in PEM; read again when it changes.
    /// Without it, one that signs itself
    #[arg(long, requires = "metrics_secure", requires = "metrics_tls_key")]
    metrics_tls_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, requires = "metrics_tls_cert")]
    metrics_tls_key: Option<PathBuf>,
}

impl MetricsSecurity {
    /// With what is served at `metrics`.
    pub(crate) fn pages(self, metrics: Listen) -> PageSettings {
        let tls = self.metrics_tls_cert.zip(self.metrics_tls_key);
        let tls = tls.map(|(certificate, key)| MetricsTls { certificate, key });
        let health = self.health_listen.0;
        PageSettings {
            metrics: metrics.0,
            secure: self.metrics_secure.then_some(SecureMetrics { health, tls }),
        }
    }
}
