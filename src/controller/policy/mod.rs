//! Policies: says whether they compile, and keeps what counts of each.
//!
//! ```text
//!  watch ─▶ queue of its own ─▶ judge, on a thread of its own ─▶ plan ─▶ status
//!                                 compile, run the tests          pure
//! ```
//!
//! One is judged at a time, and few are written at once, so that ten thousand policies applied together
//! hold no identity up. What is compiled here decides nothing: the decision point compiles for itself.
//! The status is for people, and for a decision point that starts when the newest spec is a bad one.

mod judge;
mod kind;
mod known;
mod plan;
mod reconcile;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use kind::Kind;
pub(crate) use known::Policies;
use reconcile::reconcile;
pub(crate) use reconcile::{Tally, look_at_all, tally};
pub(crate) use work::{follow, work};
