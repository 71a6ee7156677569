//! How old the lists are that are held.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// A gauge for each list; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ages(Family<List, Gauge<f64, AtomicU64>>);

/// A revocation list: there are few for each trust domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct List {
    pub(crate) trust_domain: String,
    pub(crate) list: String,
}

impl Ages {
    /// Those of one process.
    pub fn register(registry: &mut Registry) -> Self {
        let ages = Self::default();
        registry.register_with_unit(
            "revocation_list_age",
            "Since the operator made the list of what was revoked that is held",
            Unit::Seconds,
            ages.0.clone(),
        );
        ages
    }

    pub(crate) fn set(&self, list: &List, seconds: f64) {
        self.0.get_or_create(list).set(seconds);
    }

    pub(crate) fn remove(&self, list: &List) {
        self.0.remove(list);
    }
}
