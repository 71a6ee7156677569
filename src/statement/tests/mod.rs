//! What statements promise, sentence by sentence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod agents;
mod attacks;
mod chains;
mod fixture;
mod lists;
mod never_panics;
mod properties;
mod remembered;
mod ring;
mod ring_state;
