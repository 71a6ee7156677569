//! The wire: that it is what the contract says, and that both ends speak it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod contract;
mod speaking;
