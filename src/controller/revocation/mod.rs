//! What is revoked, for those who verify without asking anybody: lists of statements and of
//! certificates, each signed, numbered and good for a bounded time.
//!
//! ```text
//!  certificates issued ──▶ ledger ──▶ revoked serials ──▶ CRL, one for each authority ─┐
//!  audit log (at a start) ──┘                                                          ├─▶ HTTP
//!  delegations: granted, not expired, and not standing ──▶ lists by digest ────────────┘
//! ```
//!
//! Nothing of it is stored: lists outgrow any object, and all of it follows from objects and the
//! audit log. A list's number is the moment it was made, in milliseconds, so that it rises across
//! restarts and leaders too.

mod history;
mod in_pods;
mod ledger;
mod lists;
mod server;

pub(crate) use history::follow;
pub(crate) use in_pods::follow as follow_pods;
pub(crate) use ledger::{Issued, Revocations};
pub(crate) use lists::Lists;
pub(crate) use server::serve;
