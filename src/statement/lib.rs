//! Signed delegation statements and the rules of a chain of them.
//!
//! ```text
//!  KeyRing ──signer(purpose)──▶ Signer ──countersign(Claims)──▶ Statement ─┐ compact JWS
//!     │ rotates as authorities do   │                                     ▼
//!     └─jwks()──▶ SPIFFE bundle ──▶ TrustedKeys ──▶ verify_chain(statements, now) ──▶ Chain
//!                                   │                 signatures in one batch, then check_hop
//!                                   └──▶ Verifier     remembers what it found good
//!  agent        what a delegator signed itself, with its SVID
//!  revocation   signed lists of revoked digests
//!  checkpoint   signed heads of an audit log's chains
//! ```
//!
//! The ring also keeps the key for JWT-SVIDs, which are signed and verified elsewhere.
//!
//! A chain is hop 0, an owner's grants, then at most sixteen hops from agent to agent, each within
//! the one above and each countersigned by the trust domain. It verifies from the bundle alone.
//!
//! What it must not do: read a clock, do I/O, know Kubernetes, decide who may delegate, take a key
//! or an algorithm from what it verifies, or show a private key.

pub mod agent;
mod chain;
pub mod checkpoint;
mod claims;
mod digest;
mod ed25519;
mod error;
mod jws;
mod key_ring;
mod purpose;
pub mod revocation;
mod rules;
mod signer;
mod statement;
mod trusted_keys;
mod verifier;

#[cfg(test)]
mod tests;

pub use chain::{Chain, MAX_STATEMENTS, Options, verify_chain};
pub use claims::{Claims, MAX_DEPTH, Task, owner_subject};
pub use digest::{BadDigest, Digest};
pub use error::{Broken, ChainError, KeyError};
pub use key_ring::{KeyRing, KeyStatus, LONGEST_JWT_SVID_SECONDS, WantedKeys};
pub use purpose::{KeyPurpose, Purpose};
pub use rules::check_hop;
pub use signer::Signer;
pub use statement::{MAX_STATEMENT_BYTES, Statement, read_unverified};
pub use trusted_keys::{TrustedKey, TrustedKeys};
pub use verifier::Verifier;
