//! What a decision point counts. Labels are bounded: no agent, no resource, no policy.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use countersign_decision::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From 10 µs (a chain that is known) to the time limit of Envoy's filter and beyond.
const SECONDS: [f64; 12] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.005, 0.02, 0.1, 0.2, 2.0,
];

/// All metrics; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    decisions: Family<Decided, Counter>,
    seconds: Histogram,
    shed: Counter,
    age: Gauge<f64, AtomicU64>,
    policies: Family<State, Gauge>,
    dropped: Gauge,
    refused: Family<Refused, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    decision: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            decisions: Family::default(),
            seconds: Histogram::new(SECONDS),
            shed: Counter::default(),
            age: Gauge::default(),
            policies: Family::default(),
            dropped: Gauge::default(),
            refused: Family::default(),
        };
        let Self {
            decisions,
            seconds,
            shed,
            age,
            policies,
            dropped,
            refused,
        } = metrics.clone();
        registry.register("decisions", "Decisions, by outcome and reason", decisions);
        registry.register_with_unit(
            "decision",
            "From a question to its answer, recording included",
            Unit::Seconds,
            seconds,
        );
        registry.register(
            "decisions_shed",
            "Questions denied for there were too many",
            shed,
        );
        registry.register_with_unit(
            "facts_age",
            "Since the facts were last known to be complete",
            Unit::Seconds,
            age,
        );
        registry.register(
            "policies",
            "Objects with policies, by what they do",
            policies,
        );
        registry.register(
            "audit_dropped",
            "Decisions that could not be recorded since the start",
            dropped,
        );
        registry.register(
            "callers_refused",
            "Requests of callers whose certificate was issued to an agent and doesn't count any more",
            refused,
        );
        metrics
    }

    pub(crate) fn decided(&self, allowed: bool, reason: Reason, took: Duration) {
        let decision = if allowed { "allow" } else { "deny" };
        let reason = reason.as_str();
        self.decisions
            .get_or_create(&Decided { decision, reason })
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    pub(crate) fn age(&self, age: Duration) {
        self.age.set(age.as_secs_f64());
    }

    pub(crate) fn policies(&self, state: &'static str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.policies.get_or_create(&State { state }).set(count);
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    pub(crate) fn dropped(&self, count: u64) {
        self.dropped.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
