//! Delegations: each hop countersigned while everything it rests on is alive, and over with it.
//!
//! ```text
//!  watches ─▶ queue ─▶ observe ─▶ plan ─▶ execute: record, countersign, status
//!                        ▲          pure     │
//!                        │                   └─▶ children are looked at
//!  standing: memory alone, all ancestors ◀── whoever asks "does it hold now?"
//! ```

mod execute;
mod grantable;
mod observe;
mod observed;
mod over;
mod parse;
mod plan;
mod reconcile;
mod record;
mod signed;
mod standing;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use observe::urgency;
pub(crate) use observed::Standing;
pub(crate) use reconcile::reconcile;
pub(crate) use record::{deleted as deletion_record, ended as end_record};
pub(crate) use standing::standing;
pub(crate) use store::{Delegations, Granted, Object};
