//! What the tests of the modules share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod files;
pub(crate) mod fixture;
mod held;
mod secrecy;
