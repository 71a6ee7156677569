//! What the signer promises, sentence by sentence. How it fares with a real API server is told by
//! `tests/it/pod_certificate`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod asking;
mod fixture;
mod handing_over;
mod holding;
mod pods;
mod refusing;
