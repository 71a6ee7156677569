//! What waits in memory for a store that can't be written.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::Prepared;

/// Entries in their order. When there are too many, refusals go before all else: nothing follows
/// from them, and whoever asks again and again makes as many as they like.
#[derive(Debug, Default)]
pub(crate) struct Later {
    waiting: BTreeMap<u64, Prepared>,
    spare: BTreeSet<u64>,
    bytes: usize,
    next: u64,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

impl Later {
    /// Adds an entry, and says how many were lost for want of room: newest of those that go first, or itself.
    pub(crate) fn push(&mut self, entry: Prepared, limits: Limits) -> u64 {
        let mut lost = 0;
        while self.waiting.len() >= limits.entries || self.bytes + entry.bytes() > limits.bytes {
            let number = self.spare.last().copied().filter(|_| !entry.dropped_first);
            match number {
                Some(number) => drop(self.remove(number)),
                None => return lost + 1,
            }
            lost += 1;
        }
        let number = self.next;
        self.next += 1;
        self.insert(number, entry);
        lost
    }

    /// The oldest, at most `most`, of those that `wanted` says; each with its number.
    pub(crate) fn take(
        &mut self,
        most: usize,
        wanted: impl Fn(&Prepared) -> bool,
    ) -> Vec<(u64, Prepared)> {
        let numbers: Vec<u64> = (self.waiting.iter())
            .filter(|(_, entry)| wanted(entry))
            .map(|(number, _)| *number)
            .take(most)
            .collect();
        (numbers.into_iter())
            .filter_map(|number| Some((number, self.remove(number)?)))
            .collect()
    }

    /// Puts back what [`Later::take`] gave, whatever the limits.
    pub(crate) fn put_back(&mut self, entries: Vec<(u64, Prepared)>) {
        for (number, entry) in entries {
            self.insert(number, entry);
        }
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Prepared> {
        let entry = self.waiting.remove(&number)?;
        self.spare.remove(&number);
        self.bytes -= entry.bytes();
        Some(entry)
    }

    pub(crate) fn has(&self, wanted: impl Fn(&Prepared) -> bool) -> bool {
        self.waiting.values().any(wanted)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn insert(&mut self, number: u64, entry: Prepared) {
        self.bytes += entry.bytes();
        if entry.dropped_first {
            self.spare.insert(number);
        }
        self.waiting.insert(number, entry);
    }
}
