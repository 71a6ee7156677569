//! Tests of task rules through the crate's public face.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod agreement;
mod default_kinds;
mod hostile;
mod rules;
mod timing;

use countersign_tasks::Rules;

/// Rules of which only `succeeded` is of interest.
fn succeeded(rule: &str) -> Rules {
    Rules::compile("v1", rule, "false").unwrap()
}
