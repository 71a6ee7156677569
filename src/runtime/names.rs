//! Texts that very many objects share.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// So many names are kept at least before any is looked at for its users.
const FEW: usize = 64;

/// One copy of each text, such as the namespace of ten thousand objects.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashSet<Arc<str>>,
    /// With so many, those that nobody uses are dropped.
    tidy_at: usize,
}

impl Names {
    /// The one copy of this text.
    pub fn shared(&self, text: &str) -> Arc<str> {
        let mut known = self.known.lock();
        if let Some(name) = known.names.get(text) {
            return Arc::clone(name);
        }
        if known.names.len() >= known.tidy_at {
            known.names.retain(|name| Arc::strong_count(name) > 1);
            known.tidy_at = (2 * known.names.len()).max(FEW);
        }
        let name = Arc::from(text);
        known.names.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        let names = Names::default();
        let (a, again) = (names.shared("a"), names.shared("a"));
        assert!(Arc::ptr_eq(&a, &again));
        assert_eq!(&*names.shared("b"), "b");
    }

    #[test]
    fn what_nobody_uses_is_not_kept_for_ever() {
        let names = Names::default();
        let kept = names.shared("kept");
        for number in 0..10 * FEW {
            names.shared(&number.to_string());
        }
        assert!(names.known.lock().names.len() <= FEW + 1);
        assert!(Arc::ptr_eq(&kept, &names.shared("kept")));
    }
}
