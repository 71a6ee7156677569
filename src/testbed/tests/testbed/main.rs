//! The test bed itself, tried for real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should panic"
)]

mod binaries;
mod control_plane;
mod node;
mod processes;
mod proxy;

const TESTBED: &str = env!("CARGO_BIN_EXE_countersign-testbed");
