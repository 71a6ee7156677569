//! When a certificate is renewed.

use jiff::{SignedDuration, Timestamp};

/// Certificates shorter than this are renewed at half of their life, others at two thirds: what is
/// left must be enough for some failed tries and for a kubelet that shows a new Secret late (90 s).
const SHORT_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// Renewals come up to a tenth of the waiting time earlier, so that what was issued together is not
/// renewed together. Never later.
const JITTER_PER_MILLE: i64 = 100;

/// When to renew a certificate that was issued at `issued` and ends at `not_after`. `seed` spreads
/// renewals (the identity's UID and the serial number); equal seeds give equal moments.
pub fn renewal_time(issued: Timestamp, not_after: Timestamp, seed: &[&str]) -> Timestamp {
    let life = not_after.duration_since(issued).max(SignedDuration::ZERO);
    let wait = if life < SHORT_LIFE {
        life / 2
    } else {
        life * 2 / 3
    };
    // Thousandths are fine enough: a wait of a minute is spread over six seconds.
    let per_mille = i64::try_from(hash(seed) % 1000).unwrap_or(0) * JITTER_PER_MILLE / 1000;
    let earlier_ms = wait.as_millis() * i128::from(per_mille) / 1000;
    let earlier = SignedDuration::from_millis(i64::try_from(earlier_ms).unwrap_or(0));
    issued.checked_add(wait - earlier).unwrap_or(not_after)
}

/// FNV-1a: the same in every version of the program, so that a restart computes the same moment.
fn hash(seed: &[&str]) -> u64 {
    let bytes = seed.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #[test]
        fn a_renewal_lies_between_the_fraction_less_a_tenth_and_the_fraction(
            life in 1_i64..200_000,
            serial in "[0-9a-f]{8}",
        ) {
            let wait = if life < 900 { life * 1000 / 2 } else { life * 2000 / 3 };
            let renewal = renewal_time(at(1000), at(1000 + life), &["uid", &serial]);
            let waited = renewal.as_millisecond() - 1_000_000;
            prop_assert!(waited <= wait + 1, "{waited} {wait}");
            prop_assert!(waited >= wait * 9 / 10 - 1, "{waited} {wait}");
        }
    }

    #[test]
    fn renewals_of_what_was_issued_together_are_spread() {
        let moments: std::collections::BTreeSet<_> = (0..100)
            .map(|n| renewal_time(at(0), at(600), &["uid", &n.to_string()]))
            .collect();
        assert!(moments.len() > 30, "{}", moments.len());
    }

    #[test]
    fn a_certificate_without_life_is_renewed_at_once() {
        assert_eq!(renewal_time(at(10), at(5), &[]), at(10));
    }
}
