//! Proofs about the pure part: tables by state, properties over whatever can be seen, and a model
//! checker's walk through every interleaving of two replicas.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod fixture;
mod model;
mod properties;
mod refusals;
mod risk;
mod states;
