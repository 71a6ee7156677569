//! The certificate authority of a trust domain: it signs short X.509-SVIDs, rotates its own keys
//! and says what to trust.
//!
//! ```text
//!  Secret data ──▶ AuthoritySet ──next(wanted, now)──▶ AuthoritySet ──▶ Secret data
//!                      │  A/B slots, retired                │
//!                      │                                    └─bundle()──▶ PEM, SPIFFE JSON
//!                      └─signer()─┐
//!  PEMs of your own ──from_pem()──┴▶ Signer ──issue(LeafRequest, now)──▶ Leaf
//!                                      ▲            │
//!  PKCS#10 ──RequestedKey (key only)───┘            └─ checked again by rustls-webpki and
//!                                                      x509-parser before anybody sees it
//!  Signer ──crl([Revoked])──▶ Crl
//!
//!  elsewhere:  SPIFFE JSON ──from_spiffe_json()──▶ Bundle ─┐
//!              chain that somebody shows ──────────────────┴─verify_svid(now)──▶ Svid
//!                                                                                 │
//!              message, JOSE signature ──────────────────verify_signature()───────┘
//! ```
//!
//! What it must not do: read a clock (time is a parameter), read or write anything, know about
//! Kubernetes, decide who gets a certificate, print a private key, or hand out a certificate that
//! an independent verifier has not accepted.
//!
//! The profile of certificates is that of the SPIFFE X.509-SVID standard
//! (<https://spiffe.io/docs/latest/spiffe-specs/x509-svid/>) on top of RFC 5280.

mod authority_set;
mod bundle;
mod byo;
mod certificate;
mod crl;
mod crl_der;
mod crl_read;
mod csr;
mod encode;
mod error;
mod es256;
mod inspect;
mod jose;
mod key;
mod leaf;
mod pem_text;
mod public_key;
mod request;
mod signer;
mod slots;
mod spiffe;
mod spiffe_bundle;
mod state;
mod svid;
mod transition;
mod verify;

#[cfg(test)]
mod tests;

pub use authority_set::{AuthoritySet, AuthorityStatus, Wanted};
pub use bundle::Bundle;
pub use certificate::{AuthorityCertificate, AuthorityId};
pub use crl::{Crl, RevocationReason, Revoked};
pub use crl_read::VerifiedCrl;
pub use csr::RequestedKey;
pub use error::AuthorityError;
pub use es256::{Es256Key, Es256Signer};
pub use inspect::{LeafFacts, inspect_leaf};
pub use key::{KeyAlgorithm, PrivateKey};
pub use leaf::{Leaf, LeafKey, LeafRequest};
pub use signer::Signer;
pub use slots::{RetiredAuthority, Slot, SlotName, SlotState};
pub use svid::{Svid, spiffe_id_of, verify_svid, verify_svid_pem};
