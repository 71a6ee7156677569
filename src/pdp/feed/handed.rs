//! Values that are handed on once, and known again without being kept.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use parking_lot::Mutex;

/// Nobody outside can make two values that look alike.
static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A value on its way from a watch to the engine. The watch's store keeps this to notice changes; the
/// value itself is kept by the engine alone, which is half the memory.
#[derive(Debug)]
pub(crate) struct Handed<T> {
    digest: u64,
    value: Mutex<Option<T>>,
}

impl<T: Hash> Handed<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            digest: STATE.hash_one(&value),
            value: Mutex::new(Some(value)),
        }
    }

    /// The value, the first time.
    pub(crate) fn take(&self) -> Option<T> {
        self.value.lock().take()
    }
}

impl<T> PartialEq for Handed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
