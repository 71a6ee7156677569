//! Answers about tokens, for a moment.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::access::Verdict;

/// A right that was taken away, or a token that was, counts for so long at most; one that was granted
/// counts no later. A scraper comes every 15 s to 60 s and is asked about each time: what this saves is a
/// burst.
pub(super) const LIFE: Duration = Duration::from_secs(10);
/// More than the pace of asking brings in [`LIFE`].
const MOST: usize = 512;

/// A token's SHA-256: no token lies about in memory.
pub(super) type Key = [u8; 32];

/// What was answered, by token.
#[derive(Debug, Default)]
pub(super) struct Remembered(HashMap<Key, (Instant, Verdict)>);

/// Of a token.
pub(super) fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

impl Remembered {
    /// As long as it counts.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Verdict> {
        let (asked, verdict) = self.0.get(key)?;
        counts(*asked, now).then(|| verdict.clone())
    }

    /// `asked` is when it was asked, since the world may have changed before the answer came.
    pub(super) fn put(&mut self, key: Key, verdict: Verdict, asked: Instant, now: Instant) {
        if self.0.len() >= MOST {
            self.0.retain(|_, (asked, _)| counts(*asked, now));
        }
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, (asked, _))| *asked);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(key, (asked, verdict));
    }
}

fn counts(asked: Instant, now: Instant) -> bool {
    now.duration_since(asked) < LIFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_its_life_from_when_it_was_asked_for() {
        let asked = Instant::now();
        let answered = asked + Duration::from_secs(4);
        let mut all = Remembered::default();
        all.put(key("a"), Verdict::Allowed, asked, answered);
        assert!(matches!(
            all.get(&key("a"), answered),
            Some(Verdict::Allowed)
        ));
        let last = asked + LIFE - Duration::from_millis(1);
        assert!(all.get(&key("a"), last).is_some());
        assert!(all.get(&key("a"), asked + LIFE).is_none());
        assert!(all.get(&key("b"), answered).is_none(), "another token");
    }

    #[test]
    fn however_many_tokens_are_shown_only_so_many_are_remembered_the_newest() {
        let start = Instant::now();
        let mut all = Remembered::default();
        for number in 0..3 * MOST {
            let now = start + Duration::from_millis(u64::try_from(number).unwrap());
            all.put(key(&number.to_string()), Verdict::Nobody, now, now);
            assert!(all.0.len() <= MOST);
        }
        let now = start + Duration::from_millis(3 * MOST as u64);
        assert!(all.get(&key(&(3 * MOST - 1).to_string()), now).is_some());
        assert!(all.get(&key(&(2 * MOST).to_string()), now).is_some());
        assert!(all.get(&key("0"), now).is_none());
    }
}
