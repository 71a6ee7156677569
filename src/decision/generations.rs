//! A bounded memory for what can be found again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;

/// As many parts as there are threads that may ask at once, and some more: each has its own lock.
const SHARDS: usize = 16;

/// Two generations: when the young one is full it replaces the old one, so that what is asked for
/// stays, what isn't goes, and nothing needs an order.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    most: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

/// Generations in parts, each with a lock of its own.
#[derive(Debug)]
pub(crate) struct Sharded<K, V> {
    hasher: RandomState,
    shards: Vec<Mutex<Generations<K, V>>>,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// Holds at most `capacity` values, and at least half as many of those that were asked for last.
    fn new(capacity: usize) -> Self {
        Self {
            most: (capacity / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

impl<K: Eq + Hash, V> Sharded<K, V> {
    /// Holds at most about `capacity` values.
    pub(crate) fn new(capacity: usize) -> Self {
        let shard = || Mutex::new(Generations::new(capacity / SHARDS));
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }
    }

    /// What `look` finds in the part that has `key`.
    pub(crate) fn with<Q: Hash + ?Sized, R>(
        &self,
        key: &Q,
        look: impl FnOnce(&mut Generations<K, V>) -> R,
    ) -> Option<R> {
        let count = u64::try_from(self.shards.len()).ok()?;
        let place = self.hasher.hash_one(key).checked_rem(count)?;
        let shard = self.shards.get(usize::try_from(place).ok()?)?;
        Some(look(&mut shard.lock()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|it| it.lock().len()).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut memory = Generations::new(8);
        memory.insert(0, 0);
        for key in 1..100 {
            assert_eq!(memory.get(&0), Some(&mut 0), "before {key}");
            memory.insert(key, key);
            assert!(memory.len() <= 8, "{}", memory.len());
        }
        assert_eq!(memory.get(&1), None);
        assert_eq!(memory.get(&99), Some(&mut 99));
    }

    #[test]
    fn a_value_that_is_replaced_never_comes_back() {
        let mut memory = Generations::new(4);
        memory.insert("a", 1);
        for key in ["b", "c", "d"] {
            memory.insert(key, 1);
        }
        memory.insert("a", 2);
        for key in ["e", "f", "g", "h", "i"] {
            assert_eq!(memory.get("a"), Some(&mut 2), "before {key}");
            memory.insert(key, 1);
        }
    }

    #[test]
    fn the_parts_together_are_bounded() {
        let memory = Sharded::new(160);
        for key in 0..10_000 {
            memory.with(&key, |part| part.insert(key, ())).unwrap();
        }
        assert!(memory.len() <= 160, "{}", memory.len());
    }
}
