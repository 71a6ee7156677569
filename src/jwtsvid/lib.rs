//! JWT-SVIDs: an agent's identity as a token, for those who don't take certificates.
//!
//! ```text
//!  KeyRing ──Signer::of──▶ Signer ──issue(subject, audience, …, now)──▶ Token ═▶ relying party
//!     │ the active key for JWT-SVIDs                                               │
//!     └─jwks()──▶ SPIFFE bundle ──Keys::from_bundle_json──▶ Keys ──jwks()──▶ /keys │
//!                                                            │  discovery(IssuerUrl)
//!                                                            └─verify(token, audience, now)──▶ JwtSvid
//! ```
//!
//! The standard is <https://spiffe.io/docs/latest/spiffe-specs/jwt-svid/>; a relying party that has
//! never heard of SPIFFE takes it for an ID token of OpenID Connect, by an issuer URL and two
//! documents below it. A token can't be called back: it lives for minutes, and never longer than
//! its task.
//!
//! What it must not do: read a clock, do I/O, decide who may have a token, take a key or an
//! algorithm from what it verifies, or show a private key.

mod audience;
mod compact;
mod discovery;
mod error;
mod issuer_url;
mod keys;
mod signer;
mod verify;

#[cfg(test)]
mod tests;

pub use audience::{Audience, MAX_AUDIENCE_BYTES, MAX_AUDIENCES};
pub use discovery::{DISCOVERY_PATH, KEYS_PATH, discovery};
pub use error::{BadKeys, NotIssued, Refused};
pub use issuer_url::IssuerUrl;
pub use keys::Keys;
pub use signer::{LONGEST_SECONDS, Signer, Token, USUAL_SECONDS, lifetime};
pub use verify::{JwtSvid, MAX_TOKEN_BYTES};
