//! What policies promise, sentence by sentence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod conditions;
mod depth;
mod direct;
mod drafts;
mod fixture;
mod oracle;
mod plain;
mod refusals;
mod semantics;
mod tenancy;
mod within;
