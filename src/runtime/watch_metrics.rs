//! What watches count.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of all watches, labelled with the watch's name: as many series as there are watches in
/// the program. The default isn't registered anywhere.
#[derive(Debug, Clone, Default)]
pub struct WatchMetrics {
    pub(crate) events: Family<WatchName, Counter>,
    pub(crate) listings: Family<WatchName, Counter>,
    pub(crate) restarts: Family<WatchName, Counter>,
    pub(crate) failures: Family<WatchName, Counter>,
}

/// The label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct WatchName {
    pub(crate) watch: String,
}

impl WatchMetrics {
    /// Counters that `registry` shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let events = metrics.events.clone();
        registry.register("watch_events", "Changes that watches brought", events);
        let listings = metrics.listings.clone();
        registry.register(
            "watch_listings",
            "Complete listings that were begun",
            listings,
        );
        let restarts = metrics.restarts.clone();
        registry.register("watch_restarts", "Watches that were opened", restarts);
        let failures = metrics.failures.clone();
        registry.register("watch_failures", "Errors of listings and watches", failures);
        metrics
    }
}
