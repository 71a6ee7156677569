//! The queue as a value: every step is given the time, nothing here waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::lanes::Lanes;
use super::{Outcome, Urgency};

/// All keys that wait, are in flight, or have a moment to come.
#[derive(Debug)]
pub(super) struct State<K> {
    items: HashMap<K, Item>,
    issue: Lanes<K>,
    renew: Lanes<K>,
    retire: Lanes<K>,
    /// Since when each ready key waits, with its ticket.
    waiting: BTreeSet<(Instant, u64)>,
    timers: BTreeMap<(Instant, u64), K>,
    next_ticket: u64,
    /// The moment that the timekeeper sleeps until, if there is one.
    kept: Option<Instant>,
}

#[derive(Debug)]
struct Item {
    lane: Arc<str>,
    place: Place,
    timer: Option<Timer>,
    /// Few have one.
    backoff: Option<Box<Backoff>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Nowhere but in the timers.
    Resting,
    /// `since` when, and its place in the order within its lane.
    Ready {
        urgency: Urgency,
        ticket: u64,
        since: Instant,
    },
    /// With a worker; what was pushed meanwhile.
    InFlight { dirty: Option<Urgency> },
}

/// Ready: becomes so urgent then. Resting: becomes ready then. In flight: asked for meanwhile.
#[derive(Debug, Clone, Copy)]
struct Timer {
    at: Instant,
    ticket: u64,
    urgency: Urgency,
}

impl<K: Clone + Eq + Hash> State<K> {
    pub(super) fn new() -> Self {
        Self {
            items: HashMap::new(),
            issue: Lanes::default(),
            renew: Lanes::default(),
            retire: Lanes::default(),
            waiting: BTreeSet::new(),
            timers: BTreeMap::new(),
            next_ticket: 0,
            kept: None,
        }
    }

    /// See [`Queue::push`](super::Queue::push); the others likewise.
    pub(super) fn push(&mut self, now: Instant, key: K, lane: Arc<str>, urgency: Urgency) {
        let item = self.item(&key, lane);
        match item.backoff.as_ref().map(|it| it.event_at(urgency)) {
            Some(at) if at > now && item.place == Place::Resting => {
                self.set_timer(&key, at, urgency);
            }
            _ => self.arrive(now, &key, urgency),
        }
    }

    pub(super) fn push_at(
        &mut self,
        now: Instant,
        key: K,
        lane: Arc<str>,
        urgency: Urgency,
        at: Instant,
    ) {
        if at <= now {
            return self.push(now, key, lane, urgency);
        }
        let item = self.item(&key, lane);
        let at = match &item.backoff {
            Some(backoff) if item.place == Place::Resting => at.max(backoff.event_at(urgency)),
            _ => at,
        };
        self.set_timer(&key, at, urgency);
    }

    /// Takes the next key that is ready or due.
    pub(super) fn take(&mut self, now: Instant) -> Option<K> {
        self.fire(now);
        let key = [&mut self.retire, &mut self.renew, &mut self.issue]
            .into_iter()
            .find_map(Lanes::pop)?;
        self.clear_timer(&key);
        if let Some(item) = self.items.get_mut(&key) {
            if let Place::Ready { ticket, since, .. } = item.place {
                self.waiting.remove(&(since, ticket));
            }
            item.place = Place::InFlight { dirty: None };
        }
        Some(key)
    }

    pub(super) fn done(&mut self, now: Instant, key: &K, outcome: Outcome, jitter: f64) {
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        let Place::InFlight { dirty } = item.place else {
            return;
        };
        item.place = Place::Resting;
        let lane = Arc::clone(&item.lane);
        let asked = item.timer;
        let again = match outcome {
            Outcome::Settled { again } => {
                item.backoff = None;
                again
            }
            Outcome::Failed { urgency } => {
                let backoff =
                    Backoff::after(item.backoff.as_deref().copied(), now, urgency, jitter);
                item.backoff = Some(Box::new(backoff));
                Some((backoff.retry_at(), backoff.urgency()))
            }
        };
        self.clear_timer(key);
        if let Some((at, urgency)) = again {
            self.rest_until(now, key, at, urgency);
        }
        if let Some(Timer { at, urgency, .. }) = asked {
            self.push_at(now, key.clone(), Arc::clone(&lane), urgency, at);
        }
        if let Some(urgency) = dirty {
            self.push(now, key.clone(), lane, urgency);
        }
        self.drop_if_idle(key);
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.clear_timer(key);
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        item.backoff = None;
        match &mut item.place {
            Place::InFlight { dirty } => *dirty = None,
            &mut Place::Ready {
                urgency,
                ticket,
                since,
            } => {
                item.place = Place::Resting;
                let lane = Arc::clone(&item.lane);
                self.waiting.remove(&(since, ticket));
                self.lanes(urgency).remove(&lane, ticket);
            }
            Place::Resting => {}
        }
        self.drop_if_idle(key);
    }

    pub(super) fn len(&mut self, now: Instant, urgency: Urgency) -> usize {
        self.fire(now); // nobody may have asked for a key since
        self.lanes(urgency).len()
    }

    /// Since when the key waits that waits longest.
    pub(super) fn oldest(&mut self, now: Instant) -> Option<Instant> {
        self.fire(now);
        self.waiting.first().map(|(since, _)| *since)
    }

    /// The earliest timer.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether a waiter that sleeps should wake: for a key, or to keep the time.
    pub(super) fn needs_waiter(&self) -> bool {
        !self.waiting.is_empty() || (self.kept.is_none() && !self.timers.is_empty())
    }

    /// Makes the caller the timekeeper, unless there is one.
    pub(super) fn appoint(&mut self, until: Instant) -> bool {
        let vacant = self.kept.is_none();
        if vacant {
            self.kept = Some(until);
        }
        vacant
    }

    pub(super) fn resign(&mut self) {
        self.kept = None;
    }

    /// Whether the timekeeper sleeps too long.
    pub(super) fn is_earlier_than_kept(&self) -> bool {
        matches!((self.earliest(), self.kept), (Some(at), Some(kept)) if at < kept)
    }

    /// The key's item, in this lane from now on unless it waits in another.
    fn item(&mut self, key: &K, lane: Arc<str>) -> &mut Item {
        let item = self.items.entry(key.clone()).or_insert_with(|| Item {
            lane: Arc::clone(&lane),
            place: Place::Resting,
            timer: None,
            backoff: None,
        });
        if !matches!(item.place, Place::Ready { .. }) {
            item.lane = lane;
        }
        item
    }

    /// Has a resting key become ready at `at`.
    fn rest_until(&mut self, now: Instant, key: &K, at: Instant, urgency: Urgency) {
        if at <= now {
            self.arrive(now, key, urgency);
        } else {
            self.set_timer(key, at, urgency);
        }
    }

    /// Makes the key ready, or more urgent if it is already, or dirty if it is in flight.
    fn arrive(&mut self, since: Instant, key: &K, urgency: Urgency) {
        let ticket = self.ticket();
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        let lane = Arc::clone(&item.lane);
        match &mut item.place {
            Place::InFlight { dirty } => *dirty = (*dirty).max(Some(urgency)),
            Place::Resting => {
                item.place = Place::Ready {
                    urgency,
                    ticket,
                    since,
                };
                self.waiting.insert((since, ticket));
                self.lanes(urgency).insert(&lane, ticket, key.clone());
            }
            Place::Ready {
                urgency: before,
                ticket,
                ..
            } if *before < urgency => {
                let (before, ticket) = (std::mem::replace(before, urgency), *ticket);
                self.lanes(before).remove(&lane, ticket);
                self.lanes(urgency).insert(&lane, ticket, key.clone());
            }
            Place::Ready { .. } => {}
        }
    }

    /// Makes ready what is due.
    fn fire(&mut self, now: Instant) {
        while let Some(due) = self.timers.first_entry() {
            let (at, _) = *due.key();
            if at > now {
                break;
            }
            let key = due.remove();
            let timer = self.items.get_mut(&key).and_then(|item| item.timer.take());
            if let Some(Timer { urgency, .. }) = timer {
                self.arrive(at, &key, urgency);
            }
        }
    }

    /// A key has one timer: the earliest moment and the highest urgency of all that were asked for.
    fn set_timer(&mut self, key: &K, at: Instant, urgency: Urgency) {
        let before = self.clear_timer(key);
        let timer = Timer {
            at: before.map_or(at, |before| before.at.min(at)),
            urgency: before.map_or(urgency, |before| before.urgency.max(urgency)),
            ticket: self.ticket(),
        };
        if let Some(item) = self.items.get_mut(key) {
            item.timer = Some(timer);
            self.timers.insert((timer.at, timer.ticket), key.clone());
        }
    }

    fn clear_timer(&mut self, key: &K) -> Option<Timer> {
        let timer = self.items.get_mut(key)?.timer.take()?;
        self.timers.remove(&(timer.at, timer.ticket));
        Some(timer)
    }

    fn drop_if_idle(&mut self, key: &K) {
        let idle = |item: &Item| item.place == Place::Resting && item.timer.is_none();
        if self.items.get(key).is_some_and(idle) {
            self.items.remove(key);
        }
    }

    fn lanes(&mut self, urgency: Urgency) -> &mut Lanes<K> {
        match urgency {
            Urgency::Issue => &mut self.issue,
            Urgency::Renew => &mut self.renew,
            Urgency::Retire => &mut self.retire,
        }
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

#[cfg(test)]
impl<K: Clone + Eq + Hash> State<K> {
    /// How many keys are known, all indexes agreeing.
    pub(super) fn known(&self) -> usize {
        let timers = self
            .items
            .values()
            .filter(|item| item.timer.is_some())
            .count();
        assert_eq!(timers, self.timers.len());
        let is_ready = |item: &&Item| matches!(item.place, Place::Ready { .. });
        let ready = self.items.values().filter(is_ready).count();
        assert_eq!(ready, self.waiting.len());
        assert_eq!(
            ready,
            self.issue.len() + self.renew.len() + self.retire.len()
        );
        self.items.len()
    }
}
