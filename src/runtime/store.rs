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
    listings: watch::Sender<Listings>,
}

/// The numbers of the last listing that began, and of the last that ended; 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Listings {
    begun: u64,
    ended: u64,
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
            listings: watch::Sender::default(),
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

    /// The object's key, as it is kept here, and its last seen form: whoever keeps that very key
    /// keeps no copy.
    pub(crate) fn entry(&self, key: &ObjectKey) -> Option<(ObjectKey, Arc<V>)> {
        let entries = self.entries.read();
        let (key, entry) = entries.get_key_value(key)?;
        Some((key.clone(), Arc::clone(&entry.value)))
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
        self.listings.borrow().ended > 0
    }

    /// Waits until [`Store::synced`].
    pub async fn wait_synced(&self) {
        self.wait_listed(None).await;
    }

    /// The number of the listing that this store goes back to; `None` while objects are listed or are
    /// to be, for the first time or again. What a listing brings may be of another time than what was known
    /// before, an earlier one where etcd was restored; what the watch brings after it is newer.
    pub fn listing(&self) -> Option<u64> {
        self.listings.borrow().complete()
    }

    /// Waits for a complete [listing](Store::listing) that isn't `known`.
    pub async fn wait_listed(&self, known: Option<u64>) -> Option<u64> {
        let mut listings = self.listings.subscribe();
        let other = |it: &Listings| it.complete().is_some_and(|it| Some(it) != known);
        let listed = listings.wait_for(other).await;
        listed.ok()?.complete() // the sender is in `self`
    }

    /// The watch's last error, unless something succeeded since.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.read().clone()
    }

    /// The listing with this number begins, or will.
    pub(crate) fn begin(&self, listing: u64) {
        self.listings.send_modify(|it| it.begun = listing);
    }

    /// Sets or removes an object, which the listing with this number has, and returns what was
    /// there.
    pub(crate) fn set(
        &self,
        key: &ObjectKey,
        value: Option<Arc<V>>,
        listing: u64,
    ) -> Option<Arc<V>> {
        let mut entries = self.entries.write();
        let before = match value {
            Some(value) => entries.insert(key.clone(), Entry { value, listing }),
            None => entries.remove(key),
        };
        before.map(|entry| entry.value)
    }

    /// Notes that an object is as it was.
    pub(crate) fn mark(&self, key: &ObjectKey, listing: u64) {
        if let Some(entry) = self.entries.write().get_mut(key) {
            entry.listing = listing;
        }
    }

    /// Ends the listing with this number: removes and returns all objects that it didn't have.
    pub(crate) fn sweep(&self, listing: u64) -> Vec<(ObjectKey, Arc<V>)> {
        let mut entries = self.entries.write();
        let gone = entries.extract_if(|_, entry| entry.listing != listing);
        let gone = gone.map(|(key, entry)| (key, entry.value)).collect();
        drop(entries);
        self.listings.send_modify(|it| it.ended = listing);
        gone
    }

    pub(crate) fn fail(&self, code: Option<u16>, message: String) {
        let mut trouble = self.trouble.write();
        let since = trouble
            .as_ref()
            .map_or_else(Instant::now, |trouble| trouble.since);
        let ever_synced = self.synced();
        *trouble = Some(Trouble {
            code,
            message,
            since,
            ever_synced,
        });
    }

    /// Ends the trouble, if there is any.
    pub(crate) fn succeed(&self) {
        if self.trouble.read().is_some() {
            *self.trouble.write() = None;
        }
    }
}

impl Listings {
    fn complete(self) -> Option<u64> {
        (self.begun == self.ended && self.ended > 0).then_some(self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Some("ns"), name)
    }

    #[test]
    fn keys_read_as_people_write_them() {
        assert_eq!(key("a").to_string(), "ns/a");
        assert_eq!(ObjectKey::new(None, "a").to_string(), "a");
        assert_eq!(ObjectKey::new(Some(""), "a"), ObjectKey::new(None, "a"));
    }

    #[test]
    fn what_was_known_stays_until_a_listing_ends_without_it() {
        let store = Store::new();
        for name in ["a", "b"] {
            store.set(&key(name), Some(Arc::new(1)), 1);
        }
        store.begin(1);
        assert_eq!((store.synced(), store.listing()), (false, None));
        assert_eq!(store.sweep(1), []);
        assert_eq!((store.synced(), store.listing()), (true, Some(1)));
        store.begin(2);
        assert_eq!((store.synced(), store.listing()), (true, None));
        store.mark(&key("b"), 2);
        store.set(&key("c"), Some(Arc::new(2)), 2);
        assert_eq!(store.len(), 3);
        assert_eq!(store.sweep(2), [(key("a"), Arc::new(1))]);
        assert_eq!((store.len(), store.listing()), (2, Some(2)));
        assert_eq!(store.get(&key("a")), None);
        assert_eq!(store.get(&key("c")).as_deref(), Some(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_counts_from_its_first_error() {
        let store = Store::<()>::new();
        store.fail(Some(403), "first".to_owned());
        let since = store.trouble().unwrap().since;
        tokio::time::advance(std::time::Duration::from_secs(9)).await;
        store.sweep(1);
        store.fail(None, "second".to_owned());
        let expected = Trouble {
            code: None,
            message: "second".to_owned(),
            since,
            ever_synced: true,
        };
        assert_eq!(store.trouble(), Some(expected));
        store.succeed();
        assert_eq!(store.trouble(), None);
    }
}
