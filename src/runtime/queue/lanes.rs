//! The ready keys of one urgency.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Keys in lanes that take turns. A key is known by its ticket, a number that grows with time:
/// within a lane the smallest goes first.
#[derive(Debug)]
pub(super) struct Lanes<K> {
    lanes: HashMap<Arc<str>, Lane<K>>,
    /// The lanes with keys, by the order of their turns.
    turns: BTreeMap<u64, Arc<str>>,
    next_turn: u64,
    len: usize,
}

#[derive(Debug)]
struct Lane<K> {
    turn: u64,
    keys: BTreeMap<u64, K>,
}

impl<K> Default for Lanes<K> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            len: 0,
        }
    }
}

impl<K> Lanes<K> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, lane: &Arc<str>, ticket: u64, key: K) {
        if let Some(known) = self.lanes.get_mut(lane) {
            known.keys.insert(ticket, key);
        } else {
            let turn = self.next_turn();
            self.turns.insert(turn, Arc::clone(lane));
            let keys = BTreeMap::from([(ticket, key)]);
            self.lanes.insert(Arc::clone(lane), Lane { turn, keys });
        }
        self.len += 1;
    }

    /// Takes out one that is there.
    pub(super) fn remove(&mut self, lane: &Arc<str>, ticket: u64) {
        let Some(known) = self.lanes.get_mut(lane) else {
            return;
        };
        if known.keys.remove(&ticket).is_some() {
            self.len -= 1;
        }
        if known.keys.is_empty() {
            self.turns.remove(&known.turn);
            self.lanes.remove(lane);
        }
    }

    /// Takes the next one: the oldest of the lane whose turn it is, which then waits for all others.
    pub(super) fn pop(&mut self) -> Option<K> {
        let (_, name) = self.turns.pop_first()?;
        let turn = self.next_turn();
        let lane = self.lanes.get_mut(&name)?;
        let first = lane.keys.pop_first();
        if lane.keys.is_empty() {
            self.lanes.remove(&name);
        } else {
            lane.turn = turn;
            self.turns.insert(turn, name);
        }
        self.len -= usize::from(first.is_some());
        first.map(|(_, key)| key)
    }

    fn next_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(lanes: &mut Lanes<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| lanes.pop()).collect()
    }

    #[test]
    fn lanes_take_turns_and_within_one_the_oldest_goes_first() {
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let mut lanes = Lanes::default();
        for (ticket, key) in [(3, "a3"), (1, "a1"), (2, "a2")] {
            lanes.insert(&a, ticket, key);
        }
        lanes.insert(&b, 4, "b4");
        assert_eq!(lanes.len(), 4);
        assert_eq!(order(&mut lanes), ["a1", "b4", "a2", "a3"]);
        assert_eq!(lanes.len(), 0);
    }

    #[test]
    fn a_lane_that_was_served_waits_for_a_new_one() {
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let mut lanes = Lanes::default();
        lanes.insert(&a, 1, "a1");
        lanes.insert(&a, 2, "a2");
        assert_eq!(lanes.pop(), Some("a1"));
        lanes.insert(&b, 3, "b3");
        lanes.remove(&a, 2);
        lanes.insert(&a, 4, "a4");
        assert_eq!(order(&mut lanes), ["b3", "a4"]);
    }
}
