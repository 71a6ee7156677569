//! How signing keys rotate.

use countersign_authority::{Es256Key, SlotState};
use proptest::prelude::*;
use serde_json::json;

use super::fixture::*;
use crate::{KeyPurpose, KeyRing, Purpose, TrustedKeys, WantedKeys};

fn states(ring: &KeyRing, purpose: impl Into<KeyPurpose>) -> Vec<SlotState> {
    let purpose = purpose.into();
    let lines = ring.statuses().into_iter();
    lines
        .filter(|it| it.purpose == purpose)
        .map(|it| it.state)
        .collect()
}

fn kid(ring: &KeyRing, purpose: Purpose) -> String {
    ring.signer(purpose).unwrap().kid().to_owned()
}

#[test]
fn the_first_keys_are_active_at_once_one_for_each_purpose() {
    let ring = ring();
    assert_eq!(ring.sequence(), 1);
    assert_eq!(ring.jwks().len(), 4);
    for purpose in KeyPurpose::ALL {
        assert_eq!(states(&ring, purpose), [SlotState::Active]);
    }
    let kids: std::collections::BTreeSet<_> =
        Purpose::ALL.iter().map(|&it| kid(&ring, it)).collect();
    assert_eq!(kids.len(), 3);
    KeyRing::default().trusted().unwrap_err();
    assert_eq!(
        KeyRing::default().next_change(&want()).unwrap().as_second(),
        0
    );
}

#[test]
fn the_next_key_is_prepared_at_half_of_a_life_and_signs_with_a_sixth_left() {
    let first = ring();
    assert_eq!(first.next_change(&want()), Some(plus(start(), 15 * DAY)));
    assert_eq!(
        first.next(&want(), plus(start(), 15 * DAY - 1)).unwrap(),
        None
    );
    let prepared = step(&first, &want(), plus(start(), 15 * DAY));
    assert_eq!(prepared.sequence(), 2);
    assert_eq!(prepared.jwks().len(), 8);
    let statements = Purpose::Statements;
    assert_eq!(
        states(&prepared, statements),
        [SlotState::Active, SlotState::Prepared]
    );
    assert_eq!(kid(&prepared, statements), kid(&first, statements));
    assert_eq!(prepared.next_change(&want()), Some(plus(start(), 25 * DAY)));
    let active = step(&prepared, &want(), plus(start(), 25 * DAY));
    assert_ne!(kid(&active, statements), kid(&first, statements));
    assert_eq!(
        states(&active, statements),
        [SlotState::Active, SlotState::Retired]
    );
    // Published for as long as anything that it signed may count, a checkpoints' key for good.
    let over = plus(start(), 25 * DAY + DAY + 60);
    let jwt_over = plus(start(), 25 * DAY + 3600 + 60);
    assert_eq!(active.next_change(&want()), Some(jwt_over));
    let without = step(&active, &want(), jwt_over);
    assert_eq!(states(&without, KeyPurpose::JwtSvids), [SlotState::Active]);
    assert_eq!(without.next_change(&want()), Some(over));
    assert_eq!(without.next(&want(), plus(over, -1)).unwrap(), None);
    let dropped = step(&without, &want(), over);
    assert_eq!(states(&dropped, statements), [SlotState::Active]);
    assert_eq!(
        states(&dropped, Purpose::Checkpoints),
        [SlotState::Active, SlotState::Retired]
    );
}

#[test]
fn nothing_is_activated_that_has_not_arrived_everywhere_unless_there_is_no_other() {
    let waiting = WantedKeys {
        propagated: false,
        ..want()
    };
    let prepared = step(&ring(), &waiting, plus(start(), 15 * DAY));
    assert_eq!(
        prepared.next(&waiting, plus(start(), 29 * DAY)).unwrap(),
        None
    );
    let forced = step(&prepared, &waiting, plus(start(), 30 * DAY));
    let new = kid(&forced, Purpose::Statements);
    assert_ne!(new, kid(&prepared, Purpose::Statements));
    assert!(prepared.statuses().iter().any(|it| it.kid == new));
}

#[test]
fn a_raised_epoch_rotates_as_soon_as_the_keys_have_arrived() {
    let first = ring();
    let raised = WantedKeys { epoch: 2, ..want() };
    let prepared = step(&first, &raised, plus(start(), 10));
    assert_eq!(kid(&prepared, Purpose::Lists), kid(&first, Purpose::Lists));
    assert_eq!(prepared.next_change(&raised), Some(plus(start(), 70)));
    let active = step(&prepared, &raised, plus(start(), 70));
    assert_ne!(kid(&active, Purpose::Lists), kid(&first, Purpose::Lists));
    assert_eq!(active.next(&raised, plus(start(), 71)).unwrap(), None);
}

#[test]
fn a_distrusted_key_leaves_at_once_and_another_signs() {
    let first = ring();
    let bad = kid(&first, Purpose::Statements);
    let mut distrusting = want();
    distrusting.distrusted.insert(bad.clone());
    let next = step(&first, &distrusting, plus(start(), 10));
    assert!(next.sequence() > first.sequence());
    assert!(next.jwks().iter().all(|jwk| jwk["kid"] != bad.as_str()));
    assert_ne!(kid(&next, Purpose::Statements), bad);
    assert_eq!(kid(&next, Purpose::Lists), kid(&first, Purpose::Lists));
    assert_eq!(
        states(&next, Purpose::Statements),
        [SlotState::Active, SlotState::Distrusted]
    );
    // Named no more, it doesn't come back.
    let later = step(&next, &want(), plus(start(), 20));
    assert!(later.jwks().iter().all(|jwk| jwk["kid"] != bad.as_str()));
}

#[test]
fn the_newest_sixty_four_keys_of_checkpoints_stay() {
    let mut ring = ring();
    let mut now = start();
    for _ in 0..70 {
        now = plus(now, 31 * DAY);
        ring = step(&ring, &want(), now);
    }
    let retired = states(&ring, Purpose::Checkpoints)
        .iter()
        .filter(|&&it| it == SlotState::Retired)
        .count();
    assert_eq!(retired, 64);
    assert_eq!(states(&ring, Purpose::Lists).len(), 2);
}

#[test]
fn the_key_for_jwt_svids_is_on_p256_and_verifies_no_statement() {
    let ring = ring();
    let key = Es256Key::of(ring.jwt_svid_key().unwrap()).unwrap();
    let kid = key.thumbprint();
    let published = ring.jwks();
    let jwk = published
        .iter()
        .find(|it| it["kid"] == kid.as_str())
        .unwrap();
    assert_eq!(
        (&jwk["use"], &jwk["alg"]),
        (&json!("jwt-svid"), &json!("ES256"))
    );
    assert_eq!((&jwk["x"], &jwk["y"]), (&json!(key.x()), &json!(key.y())));
    let bundle = json!({"keys": published}).to_string();
    let read = TrustedKeys::from_bundle_json(DOMAIN, &bundle).unwrap();
    for trusted in [read, ring.trusted().unwrap()] {
        assert_eq!(trusted.keys().len(), 3);
        assert!(trusted.keys().iter().all(|it| it.kid != kid));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |want: WantedKeys| ring().next(&want, start()).unwrap_err().category();
    let domain = |name: &str| WantedKeys {
        trust_domain: name.to_owned(),
        ..want()
    };
    assert_eq!(refused(domain("example.com")), "other-trust-domain");
    assert_eq!(refused(domain("Example")), "bad-trust-domain");
    assert_eq!(
        refused(WantedKeys {
            lifetime_seconds: 59,
            ..want()
        }),
        "bad-lifetime"
    );
    assert_eq!(
        refused(WantedKeys {
            lifetime_seconds: u64::MAX,
            ..want()
        }),
        "bad-lifetime"
    );
    let extreme = WantedKeys {
        longest_statement_seconds: u64::MAX,
        propagation_seconds: u64::MAX,
        ..want()
    };
    let prepared = step(&ring(), &extreme, plus(start(), 15 * DAY));
    step(&prepared, &extreme, plus(start(), 100 * DAY));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_there_is_one_active_key_and_the_next_change_is_told(
        steps in prop::collection::vec((0i64..40, any::<bool>(), 0u64..3, prop::option::of(0usize..3)), 1..12),
    ) {
        let mut want = want();
        let mut ring = ring();
        let mut now = start();
        for (days, propagated, epochs, distrusted) in steps {
            now = plus(now, days * DAY / 2);
            want.propagated = propagated;
            want.epoch += epochs / 2;
            if let Some(place) = distrusted {
                want.distrusted.insert(kid(&ring, Purpose::ALL[place]));
            }
            let sequence = ring.sequence();
            let published = ring.published();
            ring = step(&ring, &want, now);
            prop_assert_eq!(ring.sequence() > sequence, ring.published() != published);
            for purpose in Purpose::ALL {
                ring.signer(purpose).unwrap();
            }
            ring.jwt_svid_key().unwrap();
            let at = ring.next_change(&want).unwrap();
            prop_assert!(at > now);
            prop_assert_eq!(ring.next(&want, plus(at, -1)).unwrap(), None);
            prop_assert!(ring.next(&want, at).unwrap().is_some());
            let data = ring.to_secret_data();
            let data = data.into_iter().map(|(name, it)| (name, it.to_vec())).collect();
            prop_assert_eq!(&KeyRing::from_secret_data(&data).unwrap(), &ring);
        }
    }
}
