//! The service over real sockets, and behind a real Envoy, with a decision point that does as it is
//! told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod agent;
mod answers;
mod contract;
mod envoy;
mod fake_point;
mod pki;
mod questions;
mod serving;
mod tls;
mod upstream;
mod watch;
