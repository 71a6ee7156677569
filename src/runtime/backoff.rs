//! Waits between the tries of something that runs for ever.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// Waits differ by up to this part: all watches break at once when an API server ends.
const JITTER: f64 = 0.2;

/// 200 ms, doubled up to 5 s, 20 % more or less: a watch that is back late is an end that is seen
/// late, and a dozen watches ask a server that is down twice a second at the most; each loop has its own, since a shared one makes
/// those that work wait for those that don't.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST.saturating_mul(factor).min(LONGEST);
        wait.mul_f64(1.0 + JITTER * rand::random_range(-1.0..=1.0))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_a_fifth_of_a_second_to_five() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..50).map(|_| backoff.next().as_millis()).collect();
        assert!((160..=240).contains(&waits[0]), "{waits:?}");
        assert!((320..=480).contains(&waits[1]), "{waits:?}");
        assert!((4_000..=6_000).contains(&waits[49]), "{waits:?}");
        backoff.reset();
        assert!(backoff.next().as_millis() <= 240);
    }
}
