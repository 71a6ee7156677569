//! Objects as last written by us or as seen since: what we wrote counts until the watch shows
//! something newer, so that no pass decides on a status that is already history.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_runtime::{ObjectKey, Store, version};
use parking_lot::Mutex;

/// An object in one version.
pub(crate) trait Versioned: Send + Sync {
    /// Its resourceVersion.
    fn version(&self) -> &str;
}

/// All objects of a kind.
#[derive(Debug)]
pub(crate) struct Newest<T> {
    seen: Arc<Store<T>>,
    written: Mutex<HashMap<ObjectKey, Arc<T>>>,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self {
            seen: Arc::new(Store::new()),
            written: Mutex::default(),
        }
    }
}

impl<T: Versioned> Newest<T> {
    /// The store that the watch fills.
    pub(crate) fn seen(&self) -> &Arc<Store<T>> {
        &self.seen
    }

    /// The newest that is known.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        let seen = self.seen.get(key);
        let written = self.written.lock().get(key).cloned();
        match (written, seen) {
            (Some(ours), Some(seen)) if version::newer(ours.version(), seen.version()) => {
                Some(ours)
            }
            (_, seen) => seen,
        }
    }

    /// We wrote this, or read it from the API server itself.
    pub(crate) fn wrote(&self, key: &ObjectKey, object: T) -> Arc<T> {
        let object = Arc::new(object);
        let mut written = self.written.lock();
        // Only what is ahead of the watch is kept: it may have brought this already, or the end.
        let ahead = self
            .seen
            .get(key)
            .is_some_and(|seen| version::newer(object.version(), seen.version()));
        if ahead {
            written.insert(key.clone(), Arc::clone(&object));
        }
        object
    }

    /// Everything was listed again: what we wrote before is in that listing, or it is gone, as where
    /// etcd was set back to an older copy and versions with it.
    pub(crate) fn forget_written(&self) {
        self.written.lock().clear();
    }

    /// The watch brought something. Is it news, or what we wrote ourselves?
    pub(crate) fn is_news(&self, key: &ObjectKey, seen: Option<&T>) -> bool {
        let mut written = self.written.lock();
        let Some(seen) = seen else {
            written.remove(key);
            return true;
        };
        match written.get(key) {
            Some(ours) if version::newer(ours.version(), seen.version()) => false,
            Some(ours) => {
                let own = ours.version() == seen.version();
                written.remove(key);
                !own
            }
            None => true,
        }
    }
}
