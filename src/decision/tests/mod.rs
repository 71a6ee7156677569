//! Tests of the engine as those who ask see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod at_once;
mod behaviour;
mod certificates;
mod chains;
mod fixture;
mod grants;
mod peers;
mod policies;
mod properties;
mod reasons;
mod searches;
mod signals;
