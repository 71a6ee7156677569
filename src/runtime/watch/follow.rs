//! What the API server says, put into the store.

use std::marker::PhantomData;
use std::sync::Arc;

use kube::Resource;
use prometheus_client::metrics::counter::Counter;

use super::session::Failure;
use crate::names::Names;
use crate::store::{ObjectKey, Store};
use crate::watch_metrics::{WatchMetrics, WatchName};

/// The receiving end of one watch.
pub(super) struct Follow<'a, K, V, R, C> {
    name: &'a str,
    store: &'a Store<V>,
    reduce: R,
    changed: C,
    /// The number of the present or last listing.
    listing: u64,
    namespaces: Names,
    counters: Counters,
    objects: PhantomData<fn(K)>,
}

struct Counters {
    events: Counter,
    listings: Counter,
    restarts: Counter,
    failures: Counter,
}

impl<'a, K, V, R, C> Follow<'a, K, V, R, C>
where
    K: Resource,
    V: PartialEq,
    R: Fn(K) -> Option<V>,
    C: Fn(&ObjectKey, Option<&Arc<V>>, Option<&Arc<V>>),
{
    pub(super) fn new(
        name: &'a str,
        store: &'a Store<V>,
        reduce: R,
        changed: C,
        metrics: &WatchMetrics,
    ) -> Self {
        let label = WatchName {
            watch: name.to_owned(),
        };
        Self {
            name,
            store,
            reduce,
            changed,
            listing: 0,
            namespaces: Names::default(),
            counters: Counters {
                events: metrics.events.get_or_create_owned(&label),
                listings: metrics.listings.get_or_create_owned(&label),
                restarts: metrics.restarts.get_or_create_owned(&label),
                failures: metrics.failures.get_or_create_owned(&label),
            },
            objects: PhantomData,
        }
    }

    /// Everything is to be listed, as soon as that can be.
    pub(super) fn outdated(&self) {
        self.store.begin(self.listing + 1);
    }

    /// A listing begins; one that didn't end is void.
    pub(super) fn list_begins(&mut self) {
        self.listing += 1;
        self.store.begin(self.listing);
        self.counters.listings.inc();
    }

    /// An object of the listing.
    pub(super) fn listed(&mut self, object: K) {
        self.apply(object);
    }

    /// The listing is complete.
    pub(super) fn list_ends(&mut self) {
        for (key, old) in self.store.sweep(self.listing) {
            (self.changed)(&key, Some(&old), None);
        }
        self.succeeded();
    }

    pub(super) fn watch_opened(&mut self) {
        self.counters.restarts.inc();
        self.succeeded();
    }

    /// An object was made or changed.
    pub(super) fn applied(&mut self, object: K) {
        self.counters.events.inc();
        self.apply(object);
    }

    pub(super) fn deleted(&mut self, object: &K) {
        self.counters.events.inc();
        if let Some(key) = ObjectKey::of(object.meta()) {
            self.set(&key, None);
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.store.succeed();
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.counters.failures.inc();
        let Failure { code, message } = failure;
        tracing::warn!(watch = self.name, code, error = message, "a watch failed");
        self.store.fail(*code, message.clone());
    }

    fn apply(&mut self, mut object: K) {
        let Some(mut key) = ObjectKey::of(object.meta()) else {
            return;
        };
        key.namespace = key.namespace.map(|it| self.namespaces.shared(&it));
        object.meta_mut().managed_fields = None; // half of an object's size, and no use to us
        let value = (self.reduce)(object);
        self.set(&key, value);
    }

    fn set(&self, key: &ObjectKey, value: Option<V>) {
        let (key, old) = match self.store.entry(key) {
            Some((key, old)) => (key, Some(old)),
            None => (key.clone(), None),
        };
        if old.as_deref() == value.as_ref() {
            self.store.mark(&key, self.listing);
            return;
        }
        let new = value.map(Arc::new);
        self.store.set(&key, new.clone(), self.listing);
        (self.changed)(&key, old.as_ref(), new.as_ref());
    }
}
