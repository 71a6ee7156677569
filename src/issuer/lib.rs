//! Credentials for pods that keep their own key: of identities with delivery `Workload`.
//!
//! ```text
//!  sidecar ══ gRPC over TLS: token, PKCS#10 ══▶ Service ──token──▶ Tokens ─▶ PodRef ─╮
//!     ◀══ chain, trust; Watch: what is with it ══╯                                   ▼
//!  kubelet ══ PodCertificateRequest ══▶ pod_certificate ──PodRef, key, bounds──────▶ Desk
//!     ◀══════════ its status ═══════════════╯      ◀──────── chain, or why not ──────╯
//!                                                                                    ▲
//!  AgentIdentity, Pod, TrustDomain, Secret, ConfigMap, Lease ══ watches ══▶ Feed ────╯
//!                                    Desk: match ─▶ may it? ─▶ sign ─▶ record ─▶ still?
//! ```
//!
//! What it must not do: hold a pod's key, issue what isn't on record, write anything in the cluster but
//! the status of PodCertificateRequests for its signer.

mod chain;
mod checkpoints;
mod desk;
mod feed;
mod issue;
mod matching;
mod metrics;
pub mod oidc;
pub mod pod_certificate;
mod record;
mod run;
mod server;
mod service;
mod settings;
mod shares;
mod token;
mod watching;

pub use desk::{IssuedX509, Lifetime, PodRef, Reason, Refused, X509Desk};
pub use issue::{Desk, IssuedJwt};
pub use run::{IssueError, run};
pub use settings::Settings;
