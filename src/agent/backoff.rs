//! Waits between tries, so that many sidecars that lost the same endpoint don't come back at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
const JITTER: f64 = 0.2;
/// Nobody is asked more often, however near the end.
const SHORTEST: Duration = Duration::from_secs(1);

/// Anywhere within a second first, then 1 s, doubled up to 30 s, 20 % more or less.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let wait = FIRST.saturating_mul(factor).min(LONGEST);
        // All that hold a connection lose it in the same moment.
        let jitter = if self.failures == 0 { 1.0 } else { JITTER };
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(1.0 + jitter * rand::random_range(-1.0..=1.0))
    }

    /// As [`Self::next`], for whoever holds a certificate with so much of its life left: a third of that
    /// at most, so that it doesn't run out between two tries.
    pub(crate) fn next_within(&mut self, left: Duration) -> Duration {
        let third = (left / 3).max(SHORTEST);
        // Those who began together are near the end together.
        let most = third.mul_f64(1.0 - JITTER * rand::random_range(0.0..=1.0));
        self.next().min(most)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next().as_millis()).collect();
        assert!(waits[0] <= 1_000, "{waits:?}");
        assert!((800..=1_200).contains(&waits[1]), "{waits:?}");
        assert!((24_000..=36_000).contains(&waits[39]), "{waits:?}");
        backoff.reset();
        assert!(backoff.next().as_millis() <= 1_000);
    }

    #[test]
    fn what_is_in_hand_does_not_run_out_between_two_tries() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next();
        }
        let spread = |backoff: &mut Backoff, left| {
            let waits =
                (0..100).map(|_| backoff.next_within(Duration::from_secs(left)).as_millis());
            let waits: Vec<_> = waits.collect();
            (waits.iter().min().copied(), waits.iter().max().copied())
        };
        let (least, most) = spread(&mut backoff, 30);
        assert!(least >= Some(8_000) && most <= Some(10_000) && least < most);
        let (least, most) = spread(&mut backoff, 0);
        assert!(least >= Some(800) && most <= Some(1_000));
        let (least, _) = spread(&mut backoff, 300);
        assert!(least >= Some(24_000));
    }

    #[test]
    fn first_waits_are_spread_over_a_second() {
        let waits: Vec<_> = (0..500).map(|_| Backoff::default().next()).collect();
        for tenth in 0..10 {
            let from = Duration::from_millis(tenth * 100);
            let within = waits
                .iter()
                .filter(|it| (from..from + Duration::from_millis(100)).contains(*it));
            assert!((10..=120).contains(&within.count()), "{tenth}");
        }
    }
}
