//! The time of day, asked for in one place.

use jiff::Timestamp;

/// Now, by this machine's clock.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the program's one place that asks the system"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
