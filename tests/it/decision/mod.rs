//! Decisions, from objects in a real cluster to answers on the wire.

mod connection;
pub(crate) mod decider;
mod life;
mod revocation;
mod setting;
mod signals;
mod stale;
