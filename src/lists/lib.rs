//! What was revoked, as the operator's signed lists have it: fetched over HTTP, verified, and of each the
//! newest good one kept.
//!
//! ```text
//!  operator ══ lists of certificates and statements ══▶ fetch, verify ──▶ Held ─┬─▶ Revoke: a decision point
//!                  bundle (keys, authorities) ─────────────┘                    └─▶ Passing: sidecars
//! ```
//!
//! A list counts if its authority is in the trust domain's bundle, signed it, and has given out none with a
//! higher number; one that was to be replaced by now, or that is of a time to come, is refused. What is held
//! stays until a later list takes its place or its authority leaves the bundle, also when none can be
//! fetched: then a warning and the age in [`Ages`] say so, and nothing else changes.
//!
//! What it must not do: say what follows from a list, or take anything from a server that isn't signed.

mod fetch;
mod held;
mod lists;
mod metrics;
mod passing;
#[cfg(test)]
mod tests;

pub use lists::{Lists, Revoke, Wanted, is_server};
pub use metrics::Ages;
pub use passing::{Crls, MOST_BYTES};
