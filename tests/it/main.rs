//! The operator on a real control plane.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should panic"
)]

mod credential;
mod harness;
mod life;
mod pki;
mod renewal;
mod request;
mod support;
mod survival;
