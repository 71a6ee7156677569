//! The API as callers see it: over a scripted decision point for shapes and codes, and over a real
//! engine for the public scenarios.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod bodies;
mod certification;
mod client;
mod codes;
mod discovery;
mod engine;
mod evaluation;
mod evaluations;
mod fake;
mod mapping;
mod records;
mod search;
mod todo;
mod waiting;
