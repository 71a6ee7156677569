//! Decisions, from objects in a real cluster to answers on the wire.

mod connection;
mod counts;
pub(crate) mod decider;
mod envoy;
mod life;
mod restarts;
mod revocation;
pub(crate) mod setting;
pub(crate) mod signals;
mod soak;
mod stale;
mod through;
