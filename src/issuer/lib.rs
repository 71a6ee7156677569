//! Certificates for pods that keep their own key: of identities with delivery `Workload`.
//!
//! ```text
//!  kubelet ══ PodCertificateRequest ══▶ pod_certificate ──PodRef, key, bounds──▶ X509Desk
//!     ◀══════════ its status ═══════════════╯      ◀──────── chain, or why not ──────╯
//! ```
//!
//! What it must not do: hold a pod's key, write anything in the cluster but the status of
//! PodCertificateRequests for its signer.

mod desk;
pub mod oidc;
pub mod pod_certificate;

pub use desk::{IssuedX509, Lifetime, PodRef, Reason, Refused, X509Desk};
