//! What to look at next: an ordered, fair queue of keys with deadlines and backoff.
//!
//! ```text
//!  push ─────▶ ready: Retire ▶ Renew ▶ Issue, lanes in turn within each ──▶ next ─▶ in flight
//!                ▲                                                                     │
//!  push_at ──▶ timers (at most one a key) ◀──────── again, or backoff ◀────────── done ┘
//! ```
//!
//! A key is in one place only and is never told what changed: whoever gets it looks at everything.
//! So a delivery answers all that was asked before it; what is asked during it brings the key back
//! once it is done.

mod backoff;
mod lanes;
mod state;
#[cfg(test)]
mod tests;

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use state::State;

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
    /// All is as it should be, until `again` if the world doesn't change. Ends a backoff.
    Settled {
        /// When to look again, and how urgent that will be.
        again: Option<(Instant, Urgency)>,
    },
    /// It couldn't be done now. The key comes again after a backoff of its own: 100 ms, doubled at
    /// each failure in a row up to 60 s, 20 % more or less.
    Failed {
        /// How urgent the next try is.
        urgency: Urgency,
    },
}

/// Keys to look at, shared by those who push and by workers. Every operation costs O(log n) of the
/// number of keys, and there is no task or timer for a key.
///
/// **Order.** Strictly by [`Urgency`]. Within an urgency, lanes (namespaces) take turns, so that
/// one with 10,000 keys doesn't starve another; within a lane, whoever waits longest goes first.
///
/// **No loss, no double delivery.** A key that was pushed is delivered after the push; a key in
/// flight isn't delivered again before [`Queue::done`]. A worker that dies without it keeps its
/// key for ever: end the process then.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    /// Wakes one of those that wait in `next`.
    work: Notify,
    /// Wakes the one that waits for the earliest timer, since an earlier one was set.
    earlier: Notify,
}

/// The one waiter that sleeps until the earliest timer: if all did, each timer would wake all of
/// them. Dropped when `next` is cancelled: then another takes over.
struct Timekeeper<'a, K: Clone + Eq + Hash> {
    queue: &'a Queue<K>,
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for Queue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Queue<K> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::new()),
            work: Notify::new(),
            earlier: Notify::new(),
        }
    }

    /// Asks for a look at `key` as soon as possible, since the world has changed.
    ///
    /// A key that waits already only becomes more urgent, if `urgency` is higher. A key in flight
    /// comes again once it is done. A key in backoff comes at once if a quarter of its backoff is
    /// over, else then: events speed retries up, but a failure that causes events of its own
    /// can't turn into a hot loop. `Retire` cuts the backoff of a look that wasn't a `Retire` at
    /// once, and of one that was after 100 ms at most.
    pub fn push(&self, key: K, lane: Arc<str>, urgency: Urgency) {
        self.state.lock().push(Instant::now(), key, lane, urgency);
        self.wake();
    }

    /// Asks for a look at `key` at `at`. Of several moments the earliest counts, with the highest
    /// of their urgencies. A delivery before that voids it: its [`Outcome`] says when to come again.
    /// It doesn't shorten a backoff more than an event at `at` would.
    pub fn push_at(&self, key: K, lane: Arc<str>, urgency: Urgency, at: Instant) {
        let now = Instant::now();
        self.state.lock().push_at(now, key, lane, urgency, at);
        self.wake();
    }

    /// The next key to look at, as soon as there is one; it is in flight until [`Queue::done`].
    /// Dropping the future loses nothing.
    pub async fn next(&self) -> K {
        loop {
            match self.take_or_keep_time() {
                Found::Key(key) => return key,
                Found::Nothing => self.work.notified().await,
                Found::Timer(at) => {
                    let role = Timekeeper { queue: self };
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = self.earlier.notified() => {}
                        () = self.work.notified() => {}
                    }
                    role.resign();
                }
            }
        }
    }

    /// Ends a look at `key`. What was pushed during it is served as if pushed now. Ignored for a
    /// key that isn't in flight.
    pub fn done(&self, key: &K, outcome: Outcome) {
        let jitter = rand::random_range(-1.0..=1.0);
        let now = Instant::now();
        self.state.lock().done(now, key, outcome, jitter);
        self.wake();
    }

    /// Voids all that was asked for `key` before, and its backoff: there is nothing left to look
    /// at. If it is in flight, only its outcome counts.
    pub fn forget(&self, key: &K) {
        self.state.lock().forget(key);
    }

    /// How many keys of this urgency wait for a worker. Keys in flight or with a moment to come
    /// don't count.
    pub fn len(&self, urgency: Urgency) -> usize {
        self.state.lock().len(Instant::now(), urgency)
    }

    /// Whether no key waits for a worker.
    pub fn is_empty(&self) -> bool {
        self.oldest_age().is_none()
    }

    /// How long the key has waited that waits longest for a worker; `None` if none waits.
    pub fn oldest_age(&self) -> Option<Duration> {
        let now = Instant::now();
        let oldest = self.state.lock().oldest(now)?;
        Some(now.saturating_duration_since(oldest))
    }

    fn take_or_keep_time(&self) -> Found<K> {
        let mut state = self.state.lock();
        if let Some(key) = state.take(Instant::now()) {
            let more = state.needs_waiter();
            drop(state);
            if more {
                self.work.notify_one();
            }
            return Found::Key(key);
        }
        match state.earliest() {
            Some(at) if state.appoint(at) => Found::Timer(at),
            _ => Found::Nothing,
        }
    }

    /// Wakes who must act on a change: one for a ready key, the timekeeper for an earlier timer.
    fn wake(&self) {
        let (ready, earlier) = {
            let state = self.state.lock();
            (state.needs_waiter(), state.is_earlier_than_kept())
        };
        if earlier {
            self.earlier.notify_one();
        }
        if ready {
            self.work.notify_one();
        }
    }
}

enum Found<K> {
    Key(K),
    /// Nothing is ready; the caller is the timekeeper until this moment.
    Timer(Instant),
    Nothing,
}

impl<K: Clone + Eq + Hash> Timekeeper<'_, K> {
    /// Gives the role up without waking another: whoever resigns looks at the queue next, and
    /// wakes another if that is needed. Two that woke each other would never rest.
    fn resign(self) {
        self.queue.state.lock().resign();
        std::mem::forget(self); // holds nothing but a reference
    }
}

impl<K: Clone + Eq + Hash> Drop for Timekeeper<'_, K> {
    fn drop(&mut self) {
        self.queue.state.lock().resign();
        self.queue.work.notify_one();
    }
}
