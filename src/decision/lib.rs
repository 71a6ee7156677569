//! Decides requests of agents, one at a time, on the spot.
//!
//! ```text
//!  Feed: identities, owners, hops, keys, policies ──▶ World ─┐
//!  SignalSink: signals ──▶ Signals ─────────────────────────▶├─▶ Engine::decide(caller, Question, now)
//!  Behaviour: rate, denials, novelty ◀──────────────────────▶│            │
//!                                                            │            ▼
//!   fresh? → readable? → caller → deny table → identity → certificate → its grants → chain, each hop
//!   alive → each hop's grants → risk → policies, for each agent in the chain ──▶ Answer
//! ```
//!
//! Default deny: what is unknown, unreadable, stale, or failing is denied, with a reason.
//!
//! What it must not do: do I/O, read a clock, know Kubernetes, wait.

mod answer;
mod behaviour;
mod engine;
mod generations;
mod question;
mod signal;
mod signals;
mod world;

#[cfg(test)]
mod tests;

pub use answer::{Agent, Answer, Changes, DecisionId, DecisionPoint, Reason, Risk, RiskPart};
pub use behaviour::Behaviour;
pub use countersign_policy::Obligation;
pub use engine::{Engine, Peer};
pub use question::{
    Authority, Call, Caller, Found, PresentedCertificate, Question, ResourceRef, Search,
};
pub use signal::{Effect, Signal, SignalRefused, SignalSink, SignalSubject};
pub use signals::{SignalInlet, Signals};
pub use world::{
    CurrentCertificate, Feed, Freshness, HopFacts, HopState, IdentityFacts, IdentityState, InPods,
    OwnerFacts, ResourceRule, Rules, TrustDomainFacts, World,
};
