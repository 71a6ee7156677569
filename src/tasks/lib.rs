//! Decides from a task's object whether the task is over.
//!
//! ```text
//! TaskKind spec ──▶ Rules::compile ──▶ Rules ─┐
//! (or defaults())     once a kind             ├─▶ judge ──▶ Verdict
//! task object (JSON of the API server) ───────┘
//! ```
//!
//! This crate must not do I/O, ask for the time, or know a Kubernetes client: it sees an object's
//! JSON and two expressions, nothing else.

mod defaults;
mod error;
mod evaluate;
mod expression;
mod lower;
mod operate;
mod parse;
mod rule;
mod rules;
mod value;

pub use defaults::{KindDefault, defaults};
pub use error::{Rule, RuleError};
pub use rules::{Rules, Verdict};
