//! Decisions, from objects in a real cluster to answers on the wire.

mod backend;
mod brought;
mod callers;
mod connection;
mod counts;
pub(crate) mod decider;
mod envoy;
mod forger;
mod gate;
mod gone;
mod in_pods;
mod intermediates;
mod life;
mod lists;
mod many;
mod peers;
mod plugin;
mod restarts;
mod revocation;
pub(crate) mod setting;
mod shown;
pub(crate) mod signals;
mod soak;
mod stale;
mod through;
