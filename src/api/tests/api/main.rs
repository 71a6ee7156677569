//! The kinds and the policies on a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should panic"
)]

mod agent_policies;
mod closed;
mod cluster;
mod delegations;
mod fields;
mod generated;
mod junk;
mod lint;
mod policies;
mod reading;
mod refusals;
mod samples;
mod upgrade;
