//! Agent identities: a certificate while the task runs, and nothing after.
//!
//! ```text
//!  watches ─▶ queue ─▶ observe ─▶ plan ─▶ execute ─▶ API server
//!                        ▲          pure     │
//!                        └── at the deadline ┘
//! ```

mod delivery;
mod execute;
mod issuable;
mod observe;
mod observed;
mod over;
mod parse;
mod plan;
mod reconcile;
mod record;
mod stage;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use execute::PassError;
pub(crate) use observe::urgency;
pub(crate) use observed::{
    Admits, Certificate, Identity, OwnerState, Refusal, SecretVersion, TaskRef, TaskSeen, TaskState,
};
pub(crate) use parse::{created, requester};
pub(crate) use plan::{BACKDATE, renewal, whole_seconds};
pub(crate) use reconcile::{instant, reconcile, sweep};
pub(crate) use record::{deleted as deletion_record, ended as end_record};
pub(crate) use stage::Stage;
pub(crate) use store::{Identities, Object};
