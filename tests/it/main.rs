//! The operator on a real control plane.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should panic"
)]

mod agent;
mod attackers;
mod credential;
mod decision;
mod delegation;
mod domains;
mod harness;
mod issuer;
mod jwt;
mod kstatus;
mod kubectl;
mod least_rights;
mod life;
mod pki;
mod pod_certificate;
mod policies;
mod policies_kinds;
mod print;
mod refusals;
mod renewal;
mod request;
mod scrape;
mod scraper;
mod states;
mod support;
mod survival;
mod tasks;
