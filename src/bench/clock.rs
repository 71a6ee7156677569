//! The time of day, asked for in one place.

use jiff::Timestamp;

/// Now, by this machine's clock.
#[allow(
    clippy::disallowed_methods,
    reason = "a benchmark runs in real time, and this is where it asks"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
