//! What a worker holds.

use std::hash::Hash;

use countersign_runtime::{Outcome, Queue};

/// A key in hand: given back also when the pass is dropped in the middle, at the loss of the lease.
pub(crate) struct Hand<'a, K: Clone + Eq + Hash + Send + 'static> {
    pub(crate) queue: &'a Queue<K>,
    pub(crate) key: &'a K,
    pub(crate) outcome: Outcome,
}

impl<K: Clone + Eq + Hash + Send + 'static> Drop for Hand<'_, K> {
    fn drop(&mut self) {
        self.queue.done(self.key, self.outcome);
    }
}
