//! How an issuing endpoint runs.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use countersign_audit::Retention;
use countersign_runtime::{Clock, PageSettings};

/// How an issuing endpoint runs.
#[derive(Clone)]
pub struct Settings {
    /// The operator's namespace: its lease, its authorities and its bundles.
    pub namespace: String,
    /// Where sidecars ask: gRPC over TLS.
    pub listen: SocketAddr,
    /// The audience that tokens must be for.
    pub audience: String,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub pages: PageSettings,
    /// Where discovery documents and keys of trust domains are served, in plain HTTP: for an ingress.
    pub oidc_listen: Option<SocketAddr>,
    /// Where operators serve their signed lists of what was revoked, by URL; none: sidecars get none.
    pub lists: Vec<String>,
    /// PodCertificateRequests are answered too.
    pub pod_certificates: bool,
    /// What wasn't heard of for longer counts no more.
    pub stale_after: Duration,
    /// How many calls may be in work at once; one more is refused.
    pub max_concurrent: usize,
    /// How many certificates and tokens one pod may have a minute.
    pub max_per_pod: u32,
    /// How many connections may be open; one more waits.
    pub max_connections: usize,
    /// Where what is issued is recorded first: as the operator's.
    pub audit_url: String,
    /// This replica's name in the log.
    pub audit_writer: String,
    /// What leaves the log's database, and where it goes; `None`: everything stays.
    pub retention: Option<Retention>,
    /// How long a watch stays open at most, in seconds.
    pub watch_seconds: u32,
    /// What tells the time.
    pub clock: Clock,
}

impl fmt::Debug for Settings {
    /// Without the audit log's URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("namespace", &self.namespace)
            .field("listen", &self.listen)
            .field("audience", &self.audience)
            .field("pod_certificates", &self.pod_certificates)
            .finish_non_exhaustive()
    }
}
