//! Waits between the tries of something that runs for ever.

use std::time::Duration;

/// Waits differ by up to this part, so that replicas that failed together don't ask together.
const JITTER: f64 = 0.2;

/// A first wait, doubled up to a longest one, 20 % more or less.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = self.first.saturating_mul(factor).min(self.longest);
        wait.mul_f64(1.0 + JITTER * rand::random_range(-1.0..=1.0))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
