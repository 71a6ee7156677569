//! Wall time, asked for in one place.

use jiff::{SignedDuration, Timestamp};

/// What tells the time of day. Whoever decides by time takes one or takes a [`Timestamp`], so that
/// a test can put a whole operator on a machine whose clock is off.
///
/// For spans and deadlines within the process use [`tokio::time::Instant`]: it never jumps.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift: SignedDuration,
}

impl Clock {
    /// This machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// This machine's clock put forward by `by`, or back if negative: a machine whose clock is off.
    pub fn shifted(by: SignedDuration) -> Self {
        Self { shift: by }
    }

    /// The time of day. It may jump, backwards too.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system"
    )]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.shift).unwrap_or_else(|_| {
            // Beyond the years that a Timestamp knows: as far as it goes.
            if self.shift.is_negative() {
                Timestamp::MIN
            } else {
                Timestamp::MAX
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_is_off_by_the_shift() {
        let hour = SignedDuration::from_hours(1);
        let ahead = Clock::shifted(hour)
            .now()
            .duration_since(Clock::system().now());
        assert!(
            (hour - ahead).abs() < SignedDuration::from_secs(5),
            "{ahead}"
        );
    }

    #[test]
    fn a_shift_beyond_all_time_stops_at_its_end() {
        assert_eq!(Clock::shifted(SignedDuration::MAX).now(), Timestamp::MAX);
        assert_eq!(Clock::shifted(SignedDuration::MIN).now(), Timestamp::MIN);
    }
}
