//! The domain: names, grants, the end of tasks, and when to renew.
//!
//! ```text
//!  SpiffeId  ◀── trust domain, namespace, agent, task UID, identity UID
//!  Grant     ── narrow(parent, child) ──▶ yes, or what widens; intersect(a, b) ──▶ what both have
//!  Outcome   ── how a task ended
//!  json      ── objects and words in their one spelling
//!  schedule  ── when a certificate is renewed
//! ```
//!
//! What it must not do: read a clock, do I/O, know Kubernetes or X.509.

mod grants;
pub mod json;
mod outcome;
mod requester;
pub mod schedule;
mod spiffe;

pub use grants::{Constraints, DataClass, Grant, Part, Widening, intersect, narrow, permits};
pub use outcome::{End, Outcome};
pub use requester::{Requester, Subject, SubjectKind};
pub use spiffe::{BadSpiffeId, SpiffeId, TrustDomainName};
