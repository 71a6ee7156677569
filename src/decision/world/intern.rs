//! Equal values once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// The fewest values at which it is worth looking for those that nobody holds any more.
const FIRST_SWEEP: usize = 1024;

/// Keeps one copy of equal values, as long as somebody else holds it.
#[derive(Debug)]
pub(crate) struct Interner<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// Swept when it has so many: each time twice as many as were left, so that sweeping costs what
    /// adding does.
    sweep_at: usize,
}

impl<T: Eq + Hash + ?Sized> Interner<T> {
    pub(crate) fn new() -> Self {
        Self {
            known: HashSet::new(),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// The one copy of `value`.
    pub(crate) fn share<O: Borrow<T> + Into<Arc<T>>>(&mut self, value: O) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|it| Arc::strong_count(it) > 1);
            self.sweep_at = (self.known.len() * 2).max(FIRST_SWEEP);
        }
        let shared: Arc<T> = value.into();
        self.known.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_what_nobody_holds_goes() {
        let mut texts: Interner<str> = Interner::new();
        let one = texts.share("finance".to_owned());
        assert!(Arc::ptr_eq(&one, &texts.share("finance".to_owned())));
        for number in 0..100_000 {
            texts.share(number.to_string());
        }
        assert!(texts.known.len() <= FIRST_SWEEP, "{}", texts.known.len());
        assert!(Arc::ptr_eq(&one, &texts.share("finance".to_owned())));
    }
}
