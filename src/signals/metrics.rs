//! What is counted.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of all that came in and went out. Labels have few values, none from outside. The
/// default isn't registered anywhere.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    received: Family<Received, Counter>,
    shared: Family<Shared, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Received {
    /// `set`, `falco`, `report` or `peer`.
    from: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shared {
    peer: String,
    outcome: &'static str,
}

impl Metrics {
    /// Counters that `registry` shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "signals_received",
            "Signals and security event tokens that arrived, by where they came from and what became of them",
            metrics.received.clone(),
        );
        registry.register(
            "signals_shared",
            "Signals for other replicas, by what became of them",
            metrics.shared.clone(),
        );
        metrics
    }

    pub(crate) fn received(&self, from: &'static str, outcome: &'static str) {
        self.add_received(from, outcome, 1);
    }

    pub(crate) fn add_received(&self, from: &'static str, outcome: &'static str, count: u64) {
        let labels = Received { from, outcome };
        self.received.get_or_create(&labels).inc_by(count);
    }

    pub(crate) fn add_shared(&self, peer: &str, outcome: &'static str, count: u64) {
        let peer = peer.to_owned();
        let labels = Shared { peer, outcome };
        self.shared.get_or_create(&labels).inc_by(count);
    }

    /// How often what came `from` there (`set`, `falco`, `report` or `peer`) had this outcome: `accepted`,
    /// `repeated`, `stream`, `ignored`, `later`, `denied`, or the word of an error.
    pub fn count(&self, from: &'static str, outcome: &'static str) -> u64 {
        let labels = Received { from, outcome };
        self.received.get_or_create(&labels).get()
    }

    /// How many signals for `peer` had this outcome: `sent`, `dropped` or `refused`.
    pub fn shared(&self, peer: &str, outcome: &'static str) -> u64 {
        let peer = peer.to_owned();
        let labels = Shared { peer, outcome };
        self.shared.get_or_create(&labels).get()
    }
}
