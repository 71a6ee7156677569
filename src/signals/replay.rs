//! A bounded memory of the tokens that were taken.

use std::collections::{BTreeSet, HashMap};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;

use crate::token::{MAX_AGE, MAX_SKEW};

/// Tokens of one transmitter that are known again: 10 MB, and a busy day of one.
pub(crate) const REMEMBERED: usize = 100_000;

type Id = [u8; 16];

/// Remembers each token until it would be refused for its age. Where there are more than it holds,
/// those that were issued first are forgotten: to take one of them again does no harm, since a
/// signal keeps its name and its times and the table of signals knows both; to refuse a new one would
/// lose a signal.
#[derive(Debug)]
pub(crate) struct Replay {
    issued: HashMap<Id, Timestamp>,
    by_time: BTreeSet<(Timestamp, Id)>,
    most: usize,
}

impl Replay {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            issued: HashMap::new(),
            by_time: BTreeSet::new(),
            most,
        }
    }

    /// Was a token of this name taken?
    pub(crate) fn knows(&self, issuer: &str, id: &str) -> bool {
        self.issued.contains_key(&key(issuer, id))
    }

    /// Remembers one that was taken.
    pub(crate) fn remember(&mut self, issuer: &str, id: &str, issued: Timestamp, now: Timestamp) {
        let key = key(issuer, id);
        if self.issued.insert(key, issued).is_none() {
            self.by_time.insert((issued, key));
        }
        while let Some((oldest, key)) = self.by_time.first().copied() {
            let over = now.duration_since(oldest) > MAX_AGE + MAX_SKEW;
            if !over && self.by_time.len() <= self.most {
                break;
            }
            self.by_time.remove(&(oldest, key));
            self.issued.remove(&key);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        assert_eq!(self.issued.len(), self.by_time.len());
        self.issued.len()
    }
}

/// Half of a SHA-256, so that a long `jti` takes no more room than a short one.
fn key(issuer: &str, id: &str) -> Id {
    let mut context = Context::new(&SHA256);
    context.update(&(issuer.len() as u64).to_be_bytes());
    context.update(issuer.as_bytes());
    context.update(id.as_bytes());
    let digest = context.finish();
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    key
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_token_is_known_for_its_issuer_only() {
        let mut replay = Replay::new(10);
        replay.remember("https://a", "b1", at(0), at(0));
        assert!(replay.knows("https://a", "b1"));
        assert!(!replay.knows("https://a", "b2"));
        assert!(!replay.knows("https://ab", "1"));
    }

    #[test]
    fn the_memory_is_bounded_by_number_and_by_age() {
        let mut replay = Replay::new(10);
        for it in 0..100 {
            replay.remember("i", &it.to_string(), at(it), at(it));
            replay.remember("i", &it.to_string(), at(it), at(it));
        }
        assert_eq!(replay.len(), 10);
        assert!(replay.knows("i", "99") && !replay.knows("i", "89"));
        let later = at(99) + MAX_AGE + MAX_SKEW + SignedDuration::from_secs(1);
        replay.remember("i", "new", later, later);
        assert_eq!(replay.len(), 1);
    }
}
