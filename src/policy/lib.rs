//! Policies in Cedar.
//!
//! ```text
//!  PolicySource ──compile──▶ Compiled ─┐      or Problems, each with line and column
//!   (one object)   parse, validate,    │
//!                  tests               ▼
//!                            PolicySet::of(all) ──▶ index: namespace, then scope
//!                                      │
//!  AgentFacts, ResourceFacts, ─────────▼
//!  ContextFacts ─────────────▶ evaluate ──▶ Verdict: allowed?, which policies, obligations
//! ```
//!
//! Cedar parses and validates every policy. What it then asks of a request is read once, and evaluated
//! on the facts where they lie; what can't be read so is left to Cedar's own evaluator, by its core, at
//! one exact version. Its authorizer isn't used: it looks at every policy, copies entities and contexts
//! for each request, and skips a forbid that fails. A property test holds all of it against plain
//! Cedar, answer for answer.
//!
//! What it must not do: read a clock, do I/O, know Kubernetes; permit where a forbid errs; show a
//! policy's text to whoever asks for a decision.

mod bare;
mod checks;
mod compile;
mod context;
mod datetime;
mod depth;
mod digest;
mod direct;
mod entity;
mod facts;
mod index;
mod inquiry;
mod policy_set;
mod prepared;
mod problem;
mod request;
mod rule;
mod source;
mod trial;
mod verdict;
mod vocabulary;
mod whole;

#[cfg(test)]
mod tests;

pub use checks::{
    MAX_OBLIGATIONS, MAX_POLICIES, MAX_POLICY_BYTES, MAX_PROPERTIES_BYTES, MAX_TESTS,
};
pub use compile::{Compiled, compile};
pub use facts::{
    AgentFacts, CallFacts, CertificateFacts, ContextFacts, DelegationFacts, ResourceFacts,
    SignalFacts,
};
pub use inquiry::Inquiry;
pub use policy_set::PolicySet;
pub use prepared::PreparedAgent;
pub use problem::Problem;
pub use request::{MAX_COLLECTIONS, MAX_PATH_BYTES, Request};
pub use source::{
    Mode, Obligation, PolicySource, PolicyTest, PolicyText, Scope, TestContext, TestPrincipal,
    TestResource,
};
pub use verdict::{Kind, PolicyName, Verdict};
pub use vocabulary::SCHEMA;
