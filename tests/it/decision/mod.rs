//! Decisions, from objects in a real cluster to answers on the wire.

mod connection;
pub(crate) mod decider;
mod envoy;
mod life;
mod revocation;
pub(crate) mod setting;
pub(crate) mod signals;
mod stale;
