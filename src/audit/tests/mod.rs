//! Tests against real stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod failure;
mod fixture;
mod floor;
mod given_up;
mod granted;
mod later;
mod lookups;
mod never_panics;
mod postgres;
mod record;
mod sealing;
mod speed;
mod stretches;
mod tampering;
mod witness;
