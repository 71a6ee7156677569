//! What the fuzz targets and their seeds share: a small world, signed when a program starts.
//!
//! ```text
//!  constant key ─▶ Key ─┬─▶ ring          the trust domain's signing keys, as its Secret has them
//!                       ├─▶ chains        statements, a revocation list, a checkpoint, a bundle
//!                       ├─▶ certificates  a root, an SVID, and one made of any TBSCertificate
//!                       ├─▶ events        a transmitter of security event tokens
//!                       ├─▶ tokens        JWT-SVIDs, of a key that is a constant too
//!                       └─▶ segment       a file of audit records, and one made of any bodies
//! ```
//!
//! Keys, times and serial numbers are constants and Ed25519 is deterministic (RFC 8032), so every
//! run signs the same bytes (but for JWT-SVIDs, of which no seed has a signature): seeds in `corpus/` stay good and a finding can be had again. The keys
//! are known to everybody; nothing outside of these programs trusts them.

pub mod certificates;
pub mod chains;
pub mod events;
mod key;
pub mod ring;
pub mod segment;
pub mod tokens;

pub use key::Key;

use jiff::{SignedDuration, Timestamp};

/// The trust domain.
pub const DOMAIN: &str = "example.org";

/// When everything was signed, and the time at which it is read.
pub fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("it is a moment")
}

/// So many seconds after [`start`].
pub fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}
