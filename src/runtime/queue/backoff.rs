//! How long a key waits after failures.

use std::time::Duration;

use tokio::time::Instant;

use super::Urgency;

/// The wait after a first failure.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, before jitter: something mended by hand is noticed within a minute or so.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait of a retirement: what should be gone within a second isn't left for a minute
/// because the API server was busy.
const LONGEST_RETIRE: Duration = Duration::from_secs(5);
/// Waits differ by up to this part, so that what failed together isn't tried together.
const JITTER: f64 = 0.2;
/// An event shortens a wait to this part at the least.
const EVENT_PART: u32 = 4;
/// A retirement that fails and is pushed again and again is tried ten times a second at most: well
/// within the second that it should take, and no hot loop.
const RETIRE_WAIT: Duration = Duration::from_millis(100);

/// A key that failed at its last look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Backoff {
    failures: u32,
    failed_at: Instant,
    wait: Duration,
    urgency: Urgency,
}

impl Backoff {
    /// After one more failure. `jitter` is between -1 and 1.
    pub(super) fn after(before: Option<Self>, now: Instant, urgency: Urgency, jitter: f64) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let factor = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
        let longest = match urgency {
            Urgency::Retire => LONGEST_RETIRE,
            Urgency::Renew | Urgency::Issue => LONGEST,
        };
        let wait = FIRST.saturating_mul(factor).min(longest);
        Self {
            failures,
            failed_at: now,
            wait: wait.mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0)),
            urgency,
        }
    }

    /// When the next try comes by itself.
    pub(super) fn retry_at(&self) -> Instant {
        self.failed_at + self.wait
    }

    pub(super) fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// The earliest moment for a try because of an event of this urgency.
    pub(super) fn event_at(&self, urgency: Urgency) -> Instant {
        let part = self.wait / EVENT_PART;
        let wait = match (urgency, self.urgency) {
            (Urgency::Retire, Urgency::Retire) => part.min(RETIRE_WAIT),
            (Urgency::Retire, _) => Duration::ZERO, // news: what failed was another matter
            _ => part,
        };
        self.failed_at + wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let now = Instant::now();
        let mut backoff = None;
        let waits: Vec<_> = (0..40)
            .map(|_| {
                let next = Backoff::after(backoff, now, Urgency::Issue, 0.0);
                backoff = Some(next);
                next.wait.as_millis()
            })
            .collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[9], 51_200);
        assert!(waits[10..].iter().all(|wait| *wait == 60_000));
    }

    #[test]
    fn jitter_is_a_fifth_at_most() {
        let wait = |jitter| Backoff::after(None, Instant::now(), Urgency::Issue, jitter).wait;
        assert_eq!(wait(-1.0), Duration::from_millis(80));
        assert_eq!(wait(1.0), Duration::from_millis(120));
    }

    #[test]
    fn only_news_of_an_end_cuts_a_backoff_at_once() {
        let now = Instant::now();
        let issue = Backoff::after(None, now, Urgency::Issue, 0.0);
        assert_eq!(issue.event_at(Urgency::Retire), now);
        assert_eq!(issue.event_at(Urgency::Renew), now + FIRST / 4);
        let mut retire = Backoff::after(None, now, Urgency::Retire, 0.0);
        assert_eq!(retire.event_at(Urgency::Retire), now + FIRST / 4);
        for _ in 0..9 {
            retire = Backoff::after(Some(retire), now, Urgency::Retire, 0.0);
        }
        assert_eq!(retire.event_at(Urgency::Retire), now + RETIRE_WAIT);
    }
}
