//! The signer `countersign.dev/agent` for PodCertificateRequests (KEP-4317, certificates.k8s.io/v1,
//! Kubernetes 1.37): the kubelet makes the key and asks, and the pod finds key and chain in a
//! projected volume.
//!
//! ```text
//!  watch (spec.signerName) ──▶ Pending ──▶ queue ──▶ asked: key, bounds, which identity
//!                                            ▲          │
//!                                            │          ▼
//!        identities change: X509Desk::changes┤   pod: GET, as the API server has it now
//!                                            │          │
//!                                    later ◀─┤          ▼
//!                                            ╰── X509Desk::x509 ──▶ Issued or Denied: one PUT of status
//! ```
//!
//! **One replica answers**, the one with the lease [`LEASE`]: two would sign each request, and the
//! audit log would tell of as many certificates again that nobody ever had. What the lease can't
//! exclude the API server does: it takes one answer for a request (resourceVersion, and a status that
//! is final).
//!
//! **A denial is for good.** The kubelet asks no second time for a pod whose request was denied, so
//! what may mend itself is left open: what is refused for want of readiness for as long as the
//! request lives, what is refused for want of an identity for a minute, since the Job and its
//! identity may come in any order.
//!
//! **The floor.** The API server takes no certificate of less than an hour from here, so identities
//! whose certificates are shorter, or whose deadline is nearer, are denied.

mod answer;
mod asked;
mod held;
mod issued;
mod metrics;
mod pod;
mod signer;
#[cfg(test)]
mod tests;

pub use metrics::PodCertificateMetrics;
pub use signer::PodCertificates;

/// The signer's name, in `spec.signerName` and on ClusterTrustBundles.
pub const SIGNER_NAME: &str = "countersign.dev/agent";
/// The lease in the operator's namespace by which replicas agree on who answers.
pub const LEASE: &str = "countersign-pod-certificates";
/// The one key of `spec.unverifiedUserAnnotations` that is known: the AgentIdentity's name, where a
/// pod has several. Whoever writes the pod writes it, so it chooses and grants nothing.
pub const IDENTITY_ANNOTATION: &str = "countersign.dev/identity";
