//! What an issuing endpoint counts. Labels are bounded: no pod, no identity.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From 200 µs (a signature) to the time limit of an answer.
const SECONDS: [f64; 12] = [
    0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0,
];

/// All metrics; cheap to clone. The default isn't registered anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    issued: Family<Issued, Counter>,
    refused: Family<Refused, Counter>,
    seconds: Histogram,
    streams: Gauge,
    connections: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Issued {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    call: &'static str,
    reason: &'static str,
}

/// One more, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self {
            issued,
            refused,
            seconds,
            streams,
            connections,
        } = metrics.clone();
        registry.register(
            "credentials_issued",
            "What was issued to pods, by kind",
            issued,
        );
        registry.register(
            "credentials_refused",
            "Calls that were refused, by reason",
            refused,
        );
        registry.register_with_unit(
            "issuing",
            "From a request to its answer, recording included",
            Unit::Seconds,
            seconds,
        );
        registry.register("issuing_streams", "Watches that are open", streams);
        registry.register(
            "issuing_connections",
            "Connections that are open",
            connections,
        );
        metrics
    }

    /// `kind`: `X509` or `JWT`.
    pub(crate) fn issued(&self, kind: &'static str, took: Duration) {
        self.issued.get_or_create(&Issued { kind }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn refused(&self, call: &'static str, reason: &'static str) {
        self.refused.get_or_create(&Refused { call, reason }).inc();
    }

    pub(crate) fn stream(&self) -> Counted {
        Counted::new(&self.streams)
    }

    pub(crate) fn connection(&self) -> Counted {
        Counted::new(&self.connections)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            issued: Family::default(),
            refused: Family::default(),
            seconds: Histogram::new(SECONDS),
            streams: Gauge::default(),
            connections: Gauge::default(),
        }
    }
}

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
