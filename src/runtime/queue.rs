//! What to look at next.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// What goes first. A higher one goes strictly ahead of a lower: `Retire > Renew > Issue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Something new is wanted.
    Issue,
    /// Something that exists must be kept up.
    Renew,
    /// Something must end.
    Retire,
}

/// How a look at a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it should be until `again`, if the world doesn't change.
    Settled {
        /// When to look again.
        again: Option<(Instant, Urgency)>,
    },
    /// It couldn't be done now.
    Failed {
        /// How urgent the next try is.
        urgency: Urgency,
    },
}

/// Keys to look at.
#[derive(Debug)]
pub struct Queue<K> {
    keys: std::marker::PhantomData<K>,
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for Queue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Queue<K> {
    /// An empty queue.
    pub fn new() -> Self {
        unimplemented!()
    }

    /// Asks for a look at `key` as soon as possible.
    pub fn push(&self, key: K, lane: Arc<str>, urgency: Urgency) {
        let _ = (key, lane, urgency);
        unimplemented!()
    }

    /// Asks for a look at `key` at a moment.
    pub fn push_at(&self, key: K, lane: Arc<str>, urgency: Urgency, at: Instant) {
        let _ = (key, lane, urgency, at);
        unimplemented!()
    }

    /// The next key to look at; it is in flight until [`Queue::done`].
    pub async fn next(&self) -> K {
        unimplemented!()
    }

    /// Ends a look at `key`.
    pub fn done(&self, key: &K, outcome: Outcome) {
        let _ = (key, outcome);
        unimplemented!()
    }

    /// Voids all that was asked for `key` before.
    pub fn forget(&self, key: &K) {
        let _ = key;
        unimplemented!()
    }

    /// How many keys of this urgency wait for a worker.
    pub fn len(&self, urgency: Urgency) -> usize {
        let _ = urgency;
        unimplemented!()
    }

    /// How long the key has waited that waits longest for a worker; `None` if none waits.
    pub fn oldest_age(&self) -> Option<Duration> {
        unimplemented!()
    }
}
