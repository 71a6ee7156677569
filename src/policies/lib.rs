//! AgentPolicies and ClusterAgentPolicies as what counts of them.
//!
//! ```text
//!  spec ───────────────▶ source() ──compile──▶ Good          it compiles: it counts
//!  status.inEffect ────▶ before() ──compile──▶ Good, and Problems     it doesn't: this does
//!  a Good from before ──────────────────────▶ Good, and Problems     or this, where it is later
//!                                               │
//!                                               ├─▶ compiled: into the PolicySet
//!                                               └─▶ rules: Rules of all together
//! ```
//!
//! The operator tells of it in the object's status, the decision point decides by it: both by the
//! same functions.
//!
//! What it must not do: talk to an API server, wait, or know what is decided.

mod good;
mod object;
mod rules;
mod source;
#[cfg(test)]
mod tests;

pub use good::{Good, InForce, in_force};
pub use object::PolicyObject;
pub use rules::{ObjectRules, rules_of};
