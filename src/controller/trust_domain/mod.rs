//! Trust domains: authorities, their rotation, and the bundle that verifiers trust.
//!
//! ```text
//!  TrustDomain, its authority's Secret, what is published ─▶ plan ─▶ store, then sign, then publish
//! ```
//!
//! An authority is stored before anything is signed by it, over the very version that was read: of
//! two writers one loses, and nothing was signed by the loser.

mod document;
mod domain;
mod keys;
mod plan;
mod publish;
mod reconcile;
mod stored;

pub(crate) use domain::{Domain, Domains, Signing};
pub(crate) use keys::{KEYS_LABEL, Keys};
pub(crate) use plan::refusal;
pub(crate) use reconcile::reconcile;
pub(crate) use stored::AUTHORITY_LABEL;
