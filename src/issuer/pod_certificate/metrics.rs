//! What the signer counts. Labels are bounded: no pod, no identity.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Around the goal of 50 ms, up to a write's time limit.
const SECONDS: [f64; 9] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];

/// Counters of the signer; cheap to clone. The default isn't shown anywhere.
#[derive(Debug, Clone)]
pub struct PodCertificateMetrics {
    answers: Family<Answer, Counter>,
    later: Family<Why, Counter>,
    failures: Counter,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    answer: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

impl Default for PodCertificateMetrics {
    fn default() -> Self {
        Self {
            answers: Family::default(),
            later: Family::default(),
            failures: Counter::default(),
            seconds: Histogram::new(SECONDS),
        }
    }
}

impl PodCertificateMetrics {
    /// Counters that `registry` shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let it = metrics.clone();
        registry.register(
            "pod_certificate_answers",
            "PodCertificateRequests answered, by answer and reason",
            it.answers,
        );
        registry.register(
            "pod_certificate_postponed",
            "Looks at a PodCertificateRequest that left it open, by reason",
            it.later,
        );
        registry.register(
            "pod_certificate_failures",
            "Answers to PodCertificateRequests that could not be written, and pods that could not be read",
            it.failures,
        );
        registry.register_with_unit(
            "pod_certificate",
            "From the look at a PodCertificateRequest that answers it to the API server's yes",
            Unit::Seconds,
            it.seconds,
        );
        metrics
    }

    pub(super) fn answered(&self, answer: &'static str, reason: &'static str, took: Duration) {
        self.answers.get_or_create(&Answer { answer, reason }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn later(&self, reason: &'static str) {
        self.later.get_or_create(&Why { reason }).inc();
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }
}
