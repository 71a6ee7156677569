//! A sidecar as a whole, between an issuing endpoint that does what a test says and clients that nobody
//! here wrote.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod crls;
mod ends;
mod envoy;
mod fake_issuer;
mod pod;
mod replicas;
mod rotation;
mod workload;
