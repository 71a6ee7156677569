//! What may differ from one sidecar to another.

use std::net::SocketAddr;
use std::path::PathBuf;

use countersign_runtime::Clock;

/// How a sidecar runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuing endpoint: `https://` with a host, and nothing behind it but a port.
    pub issuer: String,
    /// The trust domain that the pod's identity is of.
    pub trust_domain: String,
    /// Roots that the endpoint's certificate is of, in PEM; read at each connection.
    pub trust_bundle: PathBuf,
    /// The pod's projected ServiceAccount token; read at each call.
    pub token: PathBuf,
    /// The AgentIdentity's name, where a pod has several.
    pub identity: Option<String>,
    /// Where the Workload API and SDS are served.
    pub socket: PathBuf,
    /// A folder for `tls.crt`, `tls.key` and `ca.crt`, for those who read files.
    pub files: Option<PathBuf>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub health_listen: Option<SocketAddr>,
    /// The time of day.
    pub clock: Clock,
}
