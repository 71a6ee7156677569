//! What arrives from outside, over real sockets, and what becomes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod events;
mod keycloak;
mod peers;
mod poll;
mod push;
mod reports;
mod rotation;
mod table;
mod tokens;
mod transmitter;
mod wire;
