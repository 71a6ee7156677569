//! Proofs about the pure part: tables by state, properties over whatever can be seen, and a model
//! checker's walk through the interleavings of two replicas.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod api;
mod ends;
mod fixture;
mod model;
mod order;
mod properties;
mod recounted;
mod refusals;
mod strategies;
mod waits;
