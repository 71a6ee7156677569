//! The domain: names, grants, the end of tasks, and when to renew.
//!
//! ```text
//!  SpiffeId  ◀── trust domain, namespace, agent, task UID, identity UID
//!  Grant     ── narrow(parent, child) ──▶ yes, or what widens
//!  Outcome   ── how a task ended
//!  schedule  ── when a certificate is renewed
//! ```
//!
//! What it must not do: read a clock, do I/O, know Kubernetes or X.509.

mod grants;
mod outcome;
mod requester;
pub mod schedule;
mod spiffe;

pub use grants::{Grant, Widening, narrow};
pub use outcome::{End, Outcome};
pub use requester::{Requester, Subject, SubjectKind};
pub use spiffe::{BadSpiffeId, SpiffeId, TrustDomainName};
