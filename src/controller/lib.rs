//! The controllers: they watch identities and what those depend on, and keep each credential just
//! as long as it may live.
//!
//! ```text
//!             watches (metadata only, or reduced at once)
//!  API server ═══════════════▶ stores ──▶ queue: ends, then renewals, then first issues
//!      ▲                                    │
//!      │   writes: the leader's only        ▼
//!      └──────────── execute ◀── plan ◀── observe        identity/, trust_domain/
//! ```
//!
//! A watch event only says "look again". `observe` reads everything that decides into one value,
//! `plan` says purely what should be, `execute` does it.
//!
//! What it must not do: write an object's spec, write an object that isn't ours, decide in
//! `execute`, or read a key back that nobody has tampered with.

mod audit;
mod checkpoint;
mod condition;
mod context;
mod delegation;
mod event;
mod follow;
mod grant;
mod hand;
mod identity;
mod index;
mod installation;
mod metrics;
mod newest;
mod operator;
mod owner;
mod policy;
mod requester;
mod retired;
mod revocation;
mod secret;
mod selector;
mod skew;
mod task;
mod task_kind;
mod trust_domain;
mod uid;
mod witness;
mod write;

pub use countersign_audit::Retention;
pub use operator::{AuditSettings, OperatorError, Settings, run};
