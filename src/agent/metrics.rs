//! What the sidecar counts. A sidecar has one identity, which no label names.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Counters; cheap to clone. The default isn't shown anywhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) issued: Counter,
    pub(crate) not_issued: Family<Why, Counter>,
    pub(crate) not_after: Gauge,
    pub(crate) watching: Gauge,
    pub(crate) clock_off: Gauge,
    pub(crate) files_failed: Counter,
    pub(crate) streams: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Why {
    pub(crate) reason: String,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let it = metrics.clone();
        registry.register("agent_issued", "Certificates received", it.issued);
        registry.register(
            "agent_not_issued",
            "Requests for a certificate that brought none, by reason",
            it.not_issued,
        );
        registry.register_with_unit(
            "agent_certificate_not_after",
            "End of the certificate in hand in Unix time; 0 without one",
            Unit::Seconds,
            it.not_after,
        );
        registry.register(
            "agent_watching",
            "Whether the issuing endpoint says what is with the identity",
            it.watching,
        );
        registry.register_with_unit(
            "agent_clock_off",
            "How far this machine's clock is ahead of the issuing endpoint's, if it is too far",
            Unit::Seconds,
            it.clock_off,
        );
        registry.register(
            "agent_files_failed",
            "Times that the files could not be written",
            it.files_failed,
        );
        registry.register(
            "agent_streams",
            "Streams of the Workload API and of SDS that are open",
            it.streams,
        );
        metrics
    }
}
