//! What a signal from outside must keep to.

use countersign_core::SpiffeId;
use countersign_decision::{Signal, SignalSubject};
use countersign_statement::Digest;
use jiff::{SignedDuration, Timestamp};

use crate::token::MAX_SKEW;

/// A signal counts for at most this long: after that, whoever still knows it says it again.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
const MIN_LIFETIME: SignedDuration = SignedDuration::from_secs(1);

/// `id`, `source` and `kind`.
const MAX_NAME_BYTES: usize = 256;
const MAX_SUBJECT_BYTES: usize = 2048;
const MAX_WHY_BYTES: usize = 1024;

/// What is wrong with a signal; `None`: nothing. One that is over, or all but, is not wrong.
pub(crate) fn wrong(signal: &Signal, now: Timestamp) -> Option<&'static str> {
    let names = [&signal.id, &signal.source, &signal.kind];
    if !names.into_iter().all(|it| is_name(it, MAX_NAME_BYTES)) {
        return Some("id, source and kind must have 1 to 256 bytes without control characters");
    }
    if signal.why.len() > MAX_WHY_BYTES || signal.why.chars().any(char::is_control) {
        return Some("why must not exceed 1024 bytes, without control characters");
    }
    if signal.severity > 100 {
        return Some("severity must be 0 to 100");
    }
    if !(MIN_LIFETIME..=MAX_LIFETIME).contains(&signal.lifetime) {
        return Some("lifetime must be a second to 30 days");
    }
    if signal.observed.duration_since(now) > MAX_SKEW {
        return Some("observed is in the future");
    }
    let subject = match &signal.subject {
        SignalSubject::Agent(id) => SpiffeId::parse(id).is_ok(),
        SignalSubject::Pod { namespace, name } => is_object(namespace) && is_object(name),
        SignalSubject::Owner(name) => is_name(name, MAX_SUBJECT_BYTES),
        SignalSubject::Certificate(serial) => is_serial(serial),
        SignalSubject::Delegation(digest) => Digest::parse(digest).is_ok(),
    };
    (!subject).then_some("the subject can't be one of its kind")
}

/// Is there nothing left of it? Whoever sent it late did nothing wrong, and the table takes none that
/// is over.
pub(crate) fn over(signal: &Signal, now: Timestamp) -> bool {
    now.duration_since(signal.observed) >= signal.lifetime
}

/// A name of an object of Kubernetes (RFC 1123).
pub(crate) fn is_object(name: &str) -> bool {
    let good = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it);
    (1..=253).contains(&name.len()) && name.bytes().all(good)
}

pub(crate) fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Lower-case hex of 1 to 20 bytes.
fn is_serial(text: &str) -> bool {
    let good = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    (2..=40).contains(&text.len()) && text.len().is_multiple_of(2) && text.bytes().all(good)
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
    use countersign_decision::Effect;

    use super::*;

    fn good() -> Signal {
        Signal {
            id: "1".to_owned(),
            source: "sensor".to_owned(),
            subject: SignalSubject::Owner("alice".to_owned()),
            kind: "sensor/odd".to_owned(),
            severity: 100,
            observed: now(),
            lifetime: MAX_LIFETIME,
            effect: Effect::Risk,
            why: String::new(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_good_signal_passes_up_to_every_bound() {
        assert_eq!(wrong(&good(), now()), None);
        let mut ahead = good();
        ahead.observed = now() + MAX_SKEW;
        ahead.subject = SignalSubject::Certificate("0a".to_owned());
        assert_eq!(wrong(&ahead, now()), None);
    }

    #[test]
    fn each_part_is_held_to_its_bound() {
        let changes: [fn(&mut Signal); 15] = [
            |it| it.id.clear(),
            |it| it.source = "a\nb".to_owned(),
            |it| it.kind = "x".repeat(257),
            |it| it.why = "x".repeat(1025),
            |it| it.why = "a\u{1b}[2J".to_owned(),
            |it| it.severity = 101,
            |it| it.lifetime = SignedDuration::ZERO,
            |it| it.lifetime = SignedDuration::from_millis(999),
            |it| it.lifetime = MAX_LIFETIME + SignedDuration::from_nanos(1),
            |it| it.observed += MAX_SKEW + SignedDuration::from_nanos(1),
            |it| it.subject = SignalSubject::Agent("planner".to_owned()),
            |it| it.subject = SignalSubject::Owner(String::new()),
            |it| it.subject = SignalSubject::Certificate("0A".to_owned()),
            |it| it.subject = SignalSubject::Delegation("abc".to_owned()),
            |it| {
                it.subject = SignalSubject::Pod {
                    namespace: "Finance".to_owned(),
                    name: "x".to_owned(),
                }
            },
        ];
        for (place, change) in changes.iter().enumerate() {
            let mut signal = good();
            change(&mut signal);
            assert!(wrong(&signal, now()).is_some(), "{place}: {signal:?}");
        }
    }
}
