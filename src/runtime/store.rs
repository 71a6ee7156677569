//! What a watch has seen, for many readers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kube::api::ObjectMeta;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;

/// Names an object of one kind. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace; `None` for cluster-scoped objects.
    pub namespace: Option<Arc<str>>,
    /// The name.
    pub name: Arc<str>,
}

/// The last error of a watch, while it lasts. What the store holds meanwhile is as old as `since`
/// or older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The HTTP status, if the API server answered: 403 is a missing permission, 404 a kind that
    /// isn't installed.
    pub code: Option<u16>,
    /// For a person.
    pub message: String,
    /// When the first error of this row was seen.
    pub since: Instant,
    /// Whether the store was ever complete; if not, that it lacks an object says nothing.
    pub ever_synced: bool,
}

/// Objects of one kind, reduced to `V`, as one watch has last seen them. Filled by
/// [`watch_into`](crate::watch_into), by one watch only; reads never wait for the network.
#[derive(Debug)]
pub struct Store<V> {
    entries: RwLock<HashMap<ObjectKey, Entry<V>>>,
    trouble: RwLock<Option<Trouble>>,
    synced: watch::Sender<bool>,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    /// The listing that last had it.
    listing: u64,
}

impl ObjectKey {
    /// A key from its parts; an empty namespace is none.
    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        Self {
            namespace: namespace
                .filter(|namespace| !namespace.is_empty())
                .map(Arc::from),
            name: Arc::from(name),
        }
    }

    /// The key of an object with this metadata; `None` for one without a name, which the API
    /// server never sends.
    pub fn of(meta: &ObjectMeta) -> Option<Self> {
        Some(Self::new(meta.namespace.as_deref(), meta.name.as_deref()?))
    }

    /// The namespace as text, empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            entries: RwLock::default(),
            trouble: RwLock::default(),
            synced: watch::Sender::new(false),
        }
    }
}

impl<V> Store<V> {
    /// An empty store that isn't synced.
    pub fn new() -> Self {
        Self::default()
    }

    /// The object's last seen form.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<V>> {
        let entries = self.entries.read();
        entries.get(key).map(|entry| Arc::clone(&entry.value))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.entries.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of all objects, in no order.
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.entries.read().keys().cloned().collect()
    }

    /// Calls `visit` for each object, in no order. The watch waits meanwhile: be quick, and don't
    /// call this store from within.
    pub fn for_each(&self, mut visit: impl FnMut(&ObjectKey, &Arc<V>)) {
        for (key, entry) in self.entries.read().iter() {
            visit(key, &entry.value);
        }
    }

    /// Whether the store was complete at least once: all objects were listed. It stays so during
    /// later listings and troubles.
    pub fn synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until [`Store::synced`].
    pub async fn wait_synced(&self) {
        // Fails only without a sender, and that is in `self`.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// The watch's last error, unless something succeeded since.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.read().clone()
    }
}
