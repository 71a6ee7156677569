//! A certificate in hand, with its key.

use std::fmt;
use std::time::Duration;

use countersign_authority::{AuthorityError, Bundle, PrivateKey, Svid, verify_svid};
use countersign_issuing::IssueX509Response;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::trust::Trust;

/// By so much lies a certificate's begin before the moment of its issue.
const BACKDATED: SignedDuration = SignedDuration::from_secs(10);

/// However near its end: nobody is asked more often for what they think is due.
const AT_LEAST: Duration = Duration::from_secs(1);

/// The wire has whole seconds: those who are due in the same one don't ask in its first moment.
const A_SECOND: Duration = Duration::from_secs(1);

/// A certificate that verifies, its key, and when what is due: by a clock that never jumps, because
/// this machine's time of day may be off.
pub(crate) struct Held {
    pub(crate) spiffe_id: String,
    pub(crate) serial_number: String,
    /// DER, leaf first, without the root.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: PrivateKey,
    pub(crate) not_after: Timestamp,
    /// When to ask for the next one.
    pub(crate) renew: Instant,
    /// When this one is over.
    pub(crate) end: Instant,
    /// How far this machine's clock is off, if it is so far that it doesn't count: positive if it is
    /// ahead.
    pub(crate) clock_off: Option<SignedDuration>,
}

impl Held {
    /// Of what was issued for `key`, which must be for that key, below `trust`'s roots and of its
    /// trust domain. `now` and `instant` are the same moment.
    pub(crate) fn read(
        issued: IssueX509Response,
        key: PrivateKey,
        trust: &Trust,
        now: Timestamp,
        instant: Instant,
    ) -> Result<Self, String> {
        let svid = verify(&issued.chain, &trust.bundle, now).map_err(|why| why.to_string())?;
        let ours = key.public_key_sha256().map_err(|why| why.to_string())?;
        if svid.public_key_sha256 != ours {
            return Err("the certificate is for another key".to_owned());
        }
        if svid.trust_domain() != trust.trust_domain {
            let id = &svid.spiffe_id;
            return Err(format!("{id} is of another trust domain"));
        }
        let due = Due::new(&svid, issued.renew_at, now);
        Ok(Self {
            chain: issued.chain,
            key,
            not_after: svid.not_after,
            renew: instant + earlier(due.renew_in, rand::random()),
            end: instant + due.end_in,
            clock_off: due.clock_off,
            spiffe_id: svid.spiffe_id,
            serial_number: svid.serial_number,
        })
    }

    /// Does it still verify against other roots?
    pub(crate) fn is_trusted(&self, bundle: &Bundle, now: Timestamp) -> bool {
        verify(&self.chain, bundle, now).is_ok()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("spiffe_id", &self.spiffe_id)
            .field("serial_number", &self.serial_number)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// However far this machine's clock is off: who has just issued something knows the time.
fn verify(chain: &[Vec<u8>], bundle: &Bundle, now: Timestamp) -> Result<Svid, AuthorityError> {
    verify_near(chain, bundle, now, SignedDuration::MAX)
}

/// At `now`, or at the next moment that lies in the leaf's validity, if that is no farther away than so.
pub(crate) fn verify_near(
    chain: &[Vec<u8>],
    bundle: &Bundle,
    now: Timestamp,
    off: SignedDuration,
) -> Result<Svid, AuthorityError> {
    match verify_svid(chain, bundle, now) {
        Err(AuthorityError::Expired { not_after, .. }) if now.duration_since(not_after) < off => {
            let before = not_after - SignedDuration::from_secs(1);
            verify_svid(chain, bundle, before)
        }
        Err(AuthorityError::NotYetValid { not_before, .. })
            if not_before.duration_since(now) < off =>
        {
            verify_svid(chain, bundle, not_before)
        }
        verified => verified,
    }
}

/// By up to a second; `random` is from 0 to 1.
fn earlier(renew_in: Duration, random: f64) -> Duration {
    let by = A_SECOND.mul_f64(random);
    renew_in.saturating_sub(by).max(AT_LEAST)
}

#[derive(Debug, PartialEq, Eq)]
struct Due {
    renew_in: Duration,
    end_in: Duration,
    clock_off: Option<SignedDuration>,
}

impl Due {
    fn new(svid: &Svid, renew_at: i64, now: Timestamp) -> Self {
        Self::within(svid.not_before, svid.not_after, renew_at, now)
    }

    /// `renew_at` in Unix seconds; one that lies outside of the certificate's life is its middle.
    fn within(not_before: Timestamp, not_after: Timestamp, renew_at: i64, now: Timestamp) -> Self {
        let life = not_after.duration_since(not_before);
        let renew_at = Timestamp::from_second(renew_at)
            .ok()
            .filter(|it| not_before < *it && *it < not_after)
            .unwrap_or_else(|| not_before + life / 2);
        // A clock that makes sense of the certificate counts.
        let plausible = not_before <= now && now < renew_at;
        let issued = not_before + BACKDATED.min(life / 2);
        let from = if plausible { now } else { issued };
        let until = |end: Timestamp| {
            let span = Duration::try_from(end.duration_since(from));
            span.unwrap_or_default().max(AT_LEAST)
        };
        Self {
            renew_in: until(renew_at),
            end_in: until(not_after),
            clock_off: (!plausible).then(|| now.duration_since(issued)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Issued at 1,010 for five minutes, to be renewed at 1,150.
    fn due(now: i64) -> (u64, u64, Option<i64>) {
        let due = Due::within(at(1_000), at(1_310), 1_150, at(now));
        let off = due.clock_off.map(|it| it.as_secs());
        (due.renew_in.as_secs(), due.end_in.as_secs(), off)
    }

    #[test]
    fn a_certificate_is_renewed_when_the_issuer_says() {
        assert_eq!(due(1_010), (140, 300, None));
        assert_eq!(due(1_015), (135, 295, None));
    }

    #[test]
    fn a_clock_that_is_off_changes_nothing() {
        assert_eq!(due(1_010 + 600), (140, 300, Some(600)));
        assert_eq!(due(1_010 - 600), (140, 300, Some(-600)));
    }

    #[test]
    fn a_renewal_outside_of_the_certificates_life_is_in_its_middle() {
        for renew_at in [0, 1_000, 1_310, i64::MAX] {
            let due = Due::within(at(1_000), at(1_300), renew_at, at(1_010));
            assert_eq!(due.renew_in.as_secs(), 140, "{renew_at}");
        }
    }

    #[test]
    fn those_who_are_due_in_the_same_second_ask_all_over_it() {
        let due = Duration::from_secs(140);
        assert_eq!(earlier(due, 0.0), due);
        assert_eq!(earlier(due, 0.25), Duration::from_millis(139_750));
        assert_eq!(earlier(due, 1.0), Duration::from_secs(139));
        assert_eq!(earlier(AT_LEAST, 1.0), AT_LEAST);
    }

    #[test]
    fn nobody_is_asked_again_at_once() {
        let due = Due::within(at(1_000), at(1_010), 1_001, at(1_000));
        assert!(due.renew_in >= AT_LEAST);
        let due = Due::within(at(1_000), at(1_000), 1_000, at(5_000));
        assert!(due.renew_in >= AT_LEAST);
    }
}
