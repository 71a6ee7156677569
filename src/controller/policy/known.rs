//! The objects of one kind, and what came of those that were judged.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_runtime::{ObjectKey, Store};
use kube::ResourceExt as _;
use parking_lot::Mutex;

use super::Kind;
use super::judge::Verdict;

/// The objects of one kind. The compiled policies are not kept: they would take ten times the
/// memory of their texts.
#[derive(Debug)]
pub(crate) struct Policies<K> {
    store: Arc<Store<K>>,
    judged: Mutex<HashMap<ObjectKey, Judged<K>>>,
}

/// What came of one object.
#[derive(Debug)]
struct Judged<K> {
    uid: String,
    generation: i64,
    verdict: Arc<Verdict>,
    /// The last spec that counts, and its digest, until it was written that it does.
    unwritten: Option<(Arc<K>, String)>,
}

impl<K> Default for Policies<K> {
    fn default() -> Self {
        Self {
            store: Arc::new(Store::new()),
            judged: Mutex::default(),
        }
    }
}

impl<K: Kind> Policies<K> {
    /// What the watch fills.
    pub(crate) fn store(&self) -> &Arc<Store<K>> {
        &self.store
    }

    /// What came of this very spec.
    pub(super) fn verdict(&self, key: &ObjectKey, object: &K) -> Option<Arc<Verdict>> {
        let judged = self.judged.lock();
        let known = judged.get(key)?;
        let same = known.is(object) && Some(known.generation) == object.meta().generation;
        same.then(|| Arc::clone(&known.verdict))
    }

    /// Keeps what came of a spec.
    pub(super) fn judge(&self, key: &ObjectKey, object: &Arc<K>, verdict: &Arc<Verdict>) {
        let mut judged = self.judged.lock();
        let before = judged.remove(key).filter(|known| known.is(object));
        let unwritten = match &**verdict {
            Verdict::Counts { digest } => Some((Arc::clone(object), digest.clone())),
            Verdict::Refused(_) => before.and_then(|known| known.unwritten),
        };
        let known = Judged {
            uid: object.uid().unwrap_or_default(),
            generation: object.meta().generation.unwrap_or_default(),
            verdict: Arc::clone(verdict),
            unwritten,
        };
        judged.insert(key.clone(), known);
    }

    /// The last spec that counts, and its digest, if that wasn't written yet.
    pub(super) fn unwritten(&self, key: &ObjectKey) -> Option<(Arc<K>, String)> {
        self.judged.lock().get(key)?.unwritten.clone()
    }

    /// The status says what counts.
    pub(super) fn written(&self, key: &ObjectKey) {
        if let Some(known) = self.judged.lock().get_mut(key) {
            known.unwritten = None;
        }
    }

    /// The object is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.judged.lock().remove(key);
    }
}

impl<K: Kind> Judged<K> {
    fn is(&self, object: &K) -> bool {
        object.uid().as_deref() == Some(&self.uid)
    }
}
