//! The life of authorities, step by step.

use super::fixture::*;
use crate::{AuthorityError, AuthorityId, AuthoritySet, KeyAlgorithm, Slot, SlotState, Wanted};

const LIFE: u64 = 30 * DAY;
const HALF: u64 = LIFE / 2;
const SIXTH_LEFT: u64 = LIFE - LIFE / 6;

fn id(slot: Option<&Slot>) -> AuthorityId {
    slot.expect("an authority").id().clone()
}

fn unchanged(set: &AuthoritySet, want: &Wanted, seconds: u64) {
    assert_eq!(
        set.next(want, plus(start(), seconds)).unwrap(),
        None,
        "after {seconds} s"
    );
}

fn raised(epoch: u64) -> Wanted {
    Wanted { epoch, ..want() }
}

#[test]
fn the_first_authority_is_active_at_once() {
    let set = first(&Wanted {
        bundle_propagated: false,
        ..want()
    });
    let slot = set.active().unwrap();
    assert_eq!(slot.certificate.not_before(), minus(start(), 10));
    assert_eq!(slot.certificate.not_after(), plus(start(), LIFE));
    assert_eq!(set.bundle_sequence(), 1);
    assert_eq!(set.bundle().roots().len(), 1);
    assert_eq!(set.trust_domain(), DOMAIN);
    unchanged(&set, &want(), 0);
}

#[test]
fn the_next_is_prepared_at_half_of_the_life() {
    let set = first(&want());
    assert_eq!(set.next_change(&want()), Some(plus(start(), HALF)));
    unchanged(&set, &want(), HALF - 1);
    let prepared = step(&set, &want(), plus(start(), HALF));
    assert_eq!(id(prepared.active()), id(set.active()));
    assert!(prepared.prepared().is_some());
    assert_eq!(prepared.bundle().roots().len(), 2);
    assert_eq!(prepared.bundle_sequence(), 2);
}

#[test]
fn the_next_is_activated_with_a_sixth_left_and_the_old_one_has_no_key_then() {
    let set = first(&want());
    let prepared = step(&set, &want(), plus(start(), HALF));
    assert_eq!(
        prepared.next_change(&want()),
        Some(plus(start(), SIXTH_LEFT))
    );
    unchanged(&prepared, &want(), SIXTH_LEFT - 1);
    let activated = step(&prepared, &want(), plus(start(), SIXTH_LEFT));
    assert_eq!(id(activated.active()), id(prepared.prepared()));
    assert!(activated.prepared().is_none());
    let [old] = activated.retired() else {
        panic!("one retired")
    };
    assert_eq!(*old.id(), id(set.active()));
    assert!(!old.early && !activated.reissue(old.id()));
    assert_eq!(old.leaves_over, plus(start(), SIXTH_LEFT + 3600 + 60));
    assert_eq!(
        activated.bundle(),
        prepared.bundle(),
        "the same content and sequence"
    );
}

#[test]
fn a_retired_one_leaves_the_bundle_when_its_last_leaf_is_over() {
    let set = step(&first(&want()), &want(), plus(start(), HALF));
    let set = step(&set, &want(), plus(start(), SIXTH_LEFT));
    let over = SIXTH_LEFT + 3600 + 60;
    assert_eq!(set.next_change(&want()), Some(plus(start(), over)));
    unchanged(&set, &want(), over - 1);
    let done = step(&set, &want(), plus(start(), over));
    assert!(done.retired().is_empty());
    assert_eq!(done.bundle().roots().len(), 1);
    assert_eq!(done.bundle_sequence(), 3);
}

#[test]
fn a_prepared_one_waits_until_everybody_has_the_bundle() {
    let waiting = Wanted {
        bundle_propagated: false,
        ..want()
    };
    let set = step(&first(&waiting), &waiting, plus(start(), HALF));
    unchanged(&set, &waiting, SIXTH_LEFT);
    unchanged(&set, &waiting, LIFE - 1);
    let late = step(&set, &want(), plus(start(), LIFE - 1));
    assert_eq!(id(late.active()), id(set.prepared()));
}

#[test]
fn a_prepared_one_is_activated_unseen_when_there_is_no_other() {
    let waiting = Wanted {
        bundle_propagated: false,
        ..want()
    };
    let set = step(&first(&waiting), &waiting, plus(start(), HALF));
    assert_eq!(set.next_change(&waiting), Some(plus(start(), LIFE)));
    let expired = step(&set, &waiting, plus(start(), LIFE));
    assert_eq!(id(expired.active()), id(set.prepared()));
    assert!(
        expired.retired().is_empty(),
        "what has expired has no leaves"
    );
}

#[test]
fn a_prepared_one_is_as_old_as_a_bundle_takes_to_arrive() {
    let slow = Wanted {
        propagation_seconds: LIFE / 2,
        ..want()
    };
    let set = step(&first(&slow), &slow, plus(start(), HALF + 100));
    unchanged(&set, &slow, SIXTH_LEFT);
    unchanged(&set, &slow, LIFE - 1);
}

#[test]
fn one_call_never_prepares_and_activates_even_when_bundles_take_no_time() {
    let fast = |epoch| Wanted {
        propagation_seconds: 0,
        ..raised(epoch)
    };
    let set = step(&first(&fast(1)), &fast(2), start());
    assert!(set.prepared().is_some());
    unchanged(&set, &fast(2), 0);
    let set = step(&set, &fast(2), plus(start(), 1));
    assert_eq!(set.active().unwrap().epoch, 2);
}

#[test]
fn an_expired_authority_is_replaced_at_once() {
    let set = first(&want());
    let replaced = step(&set, &want(), plus(start(), LIFE));
    assert_ne!(id(replaced.active()), id(set.active()));
    assert_eq!(replaced.bundle().roots().len(), 1);
    assert_eq!(replaced.bundle_sequence(), 2);
    assert!(replaced.reissue(&id(set.active())));
    let much_later = step(&set, &want(), plus(start(), 100 * LIFE));
    issue(
        &much_later.signer().unwrap().unwrap(),
        plus(start(), 100 * LIFE),
    );
}

#[test]
fn a_raised_epoch_rotates_and_has_leaves_issued_again() {
    let set = first(&want());
    let prepared = step(&set, &raised(2), plus(start(), 100));
    assert_eq!(id(prepared.active()), id(set.active()));
    assert_eq!(prepared.next_change(&raised(2)), Some(plus(start(), 160)));
    unchanged(&prepared, &raised(2), 159);
    let rotated = step(&prepared, &raised(2), plus(start(), 160));
    assert_eq!(id(rotated.active()), id(prepared.prepared()));
    assert_eq!(rotated.active().unwrap().epoch, 2);
    assert!(rotated.reissue(&id(set.active())));
    assert!(rotated.retired()[0].early);
    assert!(!rotated.reissue(&id(rotated.active())));
    unchanged(&rotated, &raised(2), 160);
}

#[test]
fn a_lowered_epoch_rotates_nothing() {
    let set = first(&raised(5));
    unchanged(&set, &raised(1), 100);
}

#[test]
fn an_epoch_that_is_lowered_again_leaves_the_prepared_one_for_later() {
    let prepared = step(&first(&want()), &raised(2), start());
    unchanged(&prepared, &want(), 1000);
    assert_eq!(
        prepared.next_change(&want()),
        Some(plus(start(), SIXTH_LEFT))
    );
}

#[test]
fn an_epoch_raised_with_one_prepared_before_makes_another_key() {
    let set = step(&first(&want()), &want(), plus(start(), HALF));
    let anew = step(&set, &raised(2), plus(start(), HALF + 1000));
    assert_ne!(id(anew.prepared()), id(set.prepared()));
    assert_eq!(anew.bundle().roots().len(), 2);
    assert_eq!(anew.bundle_sequence(), set.bundle_sequence() + 1);
    let rotated = step(&anew, &raised(2), plus(start(), HALF + 1060));
    assert_eq!(id(rotated.active()), id(anew.prepared()));
    unchanged(&rotated, &raised(2), HALF + 1060);
}

#[test]
fn a_rotation_on_demand_has_leaves_of_all_older_ones_issued_again() {
    let set = step(&first(&want()), &want(), plus(start(), HALF));
    let set = step(&set, &want(), plus(start(), SIXTH_LEFT));
    let by_time = set.retired()[0].id().clone();
    assert!(!set.reissue(&by_time));
    let set = step(&set, &raised(2), plus(start(), SIXTH_LEFT + 10));
    let set = step(&set, &raised(2), plus(start(), SIXTH_LEFT + 70));
    assert_eq!(set.retired().len(), 2);
    assert!(set.reissue(&by_time));
}

#[test]
fn rotations_in_a_row_stop_at_sixteen_retired_ones_and_go_on_later() {
    let mut set = first(&want());
    let mut now = start();
    let mut epoch = 1;
    for _ in 0..20 {
        epoch += 1;
        set = set.next(&raised(epoch), now).unwrap().unwrap_or(set);
        now = plus(now, 60);
        set = set.next(&raised(epoch), now).unwrap().unwrap_or(set);
    }
    assert_eq!(set.retired().len(), 16);
    assert!(set.active().unwrap().epoch < epoch);
    let change = set.next_change(&raised(epoch)).unwrap();
    let set = step(&set, &raised(epoch), change);
    assert_eq!(set.active().unwrap().epoch, epoch);
}

#[test]
fn a_distrusted_active_one_is_replaced_at_once() {
    let set = first(&want());
    let bad = id(set.active());
    let mut want = want();
    want.distrusted.insert(bad.clone());
    let now = plus(start(), 100);
    let replaced = step(&set, &want, now);
    assert_ne!(id(replaced.active()), bad);
    assert!(
        replaced
            .bundle()
            .roots()
            .iter()
            .all(|root| *root.id() != bad)
    );
    assert_eq!(replaced.bundle_sequence(), 2);
    assert!(replaced.reissue(&bad));
    let states: Vec<_> = replaced.statuses().iter().map(|line| line.slot).collect();
    assert_eq!(states, [SlotState::Active, SlotState::Distrusted]);
    let old = issue(&set.signer().unwrap().unwrap(), start());
    verifies(&old.chain_pem, &replaced.bundle(), now).unwrap_err();
    unchanged(&replaced, &want, 100);
}

#[test]
fn a_distrusted_active_one_gives_way_to_the_prepared_one() {
    let set = step(&first(&want()), &raised(2), start());
    let mut want = raised(2);
    want.distrusted.insert(id(set.active()));
    want.bundle_propagated = false;
    let there = step(&set, &want, plus(start(), 1));
    assert_eq!(id(there.active()), id(set.prepared()));
}

#[test]
fn a_distrusted_prepared_one_is_made_again_when_it_is_needed() {
    let set = step(&first(&want()), &want(), plus(start(), HALF));
    let mut want = want();
    want.distrusted.insert(id(set.prepared()));
    let there = step(&set, &want, plus(start(), HALF + 1));
    assert_eq!(id(there.active()), id(set.active()));
    assert_ne!(id(there.prepared()), id(set.prepared()));
    assert_eq!(there.bundle().roots().len(), 2);
}

#[test]
fn a_distrusted_retired_one_leaves_the_bundle() {
    let set = step(&first(&want()), &want(), plus(start(), HALF));
    let set = step(&set, &want(), plus(start(), SIXTH_LEFT));
    let old = set.retired()[0].id().clone();
    let mut want = want();
    want.distrusted.insert(old.clone());
    let there = step(&set, &want, plus(start(), SIXTH_LEFT + 1));
    assert_eq!(there.bundle().roots().len(), 1);
    assert!(there.reissue(&old));
}

#[test]
fn all_may_be_distrusted_together() {
    let set = step(&first(&want()), &want(), plus(start(), HALF));
    let mut want = want();
    want.distrusted
        .extend([id(set.active()), id(set.prepared())]);
    let there = step(&set, &want, plus(start(), HALF + 1));
    assert_eq!(there.bundle().roots().len(), 1);
    assert_eq!(there.retired().len(), 2);
}

#[test]
fn a_distrusted_one_is_listed_while_it_is_named_or_valid_and_never_trusted_again() {
    let set = first(&want());
    let bad = id(set.active());
    let mut naming = want();
    naming.distrusted.insert(bad.clone());
    let set = step(&set, &naming, start());
    let listed = |set: &AuthoritySet| set.statuses().iter().any(|line| line.id == bad);
    assert!(listed(&set));
    unchanged(&set, &want(), 1);
    assert!(set.reissue(&bad), "still, though it is not named any more");

    let late = step(&set, &naming, plus(start(), LIFE + 1));
    assert!(listed(&late), "it is over, but named");
    let gone = step(&late, &want(), plus(start(), LIFE + 2));
    assert!(!listed(&gone));
}

#[test]
fn an_unknown_id_is_no_reason_to_change_anything() {
    let mut want = want();
    let set = first(&want);
    want.distrusted.insert(AuthorityId::parse("00ff").unwrap());
    unchanged(&set, &want, 1);
}

#[test]
fn lifetimes_that_dont_fit_are_refused_and_nothing_changes() {
    let set = first(&want());
    for (ca, leaf) in [
        (6 * 3600 - 1, 3600),
        (0, 0),
        (5, 0),
        (u64::MAX, 3600),
        (36_525 * DAY + 1, 3600),
        (30 * DAY, u64::MAX),
    ] {
        let bad = Wanted {
            ca_lifetime_seconds: ca,
            max_leaf_ttl_seconds: leaf,
            ..want()
        };
        for set in [&set, &AuthoritySet::default()] {
            assert_eq!(
                set.next(&bad, start()).unwrap_err(),
                AuthorityError::BadAuthorityLifetime {
                    authority_seconds: ca,
                    leaf_seconds: leaf,
                }
            );
            assert_eq!(set.next_change(&bad), None);
        }
    }
    for (ca, leaf) in [(6 * 3600, 3600), (36_525 * DAY, 3600), (6, 1)] {
        first(&Wanted {
            ca_lifetime_seconds: ca,
            max_leaf_ttl_seconds: leaf,
            ..want()
        });
    }
}

#[test]
fn an_authority_ends_with_the_calendar_and_has_to_begin_within_it() {
    let long = Wanted {
        ca_lifetime_seconds: 36_525 * DAY,
        ..want()
    };
    let late = "9990-01-01T00:00:00Z".parse().unwrap();
    let set = step(&AuthoritySet::default(), &long, late);
    let end = set.active().unwrap().certificate.not_after();
    assert!(end.to_string().starts_with("9999-12-30"));
    let early = "1940-01-01T00:00:00Z".parse().unwrap();
    let refusal = AuthoritySet::default().next(&long, early).unwrap_err();
    assert_eq!(refusal.reason(), "BadTime");
}

#[test]
fn the_longest_leaf_is_raised_but_never_lowered() {
    let longer = Wanted {
        max_leaf_ttl_seconds: 7200,
        ..want()
    };
    let set = step(&first(&want()), &longer, plus(start(), 1));
    assert_eq!(set.active().unwrap().max_leaf_ttl_seconds, 7200);
    assert_eq!(set.bundle_sequence(), 1);
    unchanged(&set, &want(), 2);
    let mut asked = request(ID);
    asked.ttl_seconds = 7200;
    let leaf = set
        .signer()
        .unwrap()
        .unwrap()
        .issue(&asked, start())
        .unwrap();
    assert_eq!(leaf.not_after, plus(start(), 7200));
}

#[test]
fn another_algorithm_or_lifetime_is_for_the_next_authority() {
    let set = first(&want());
    let changed = Wanted {
        key_algorithm: KeyAlgorithm::Ed25519,
        ca_lifetime_seconds: 60 * DAY,
        ..want()
    };
    unchanged(&set, &changed, 100);
    let now = plus(start(), HALF);
    let set = step(&set, &changed, now);
    let prepared = &set.prepared().unwrap().certificate;
    assert_eq!(prepared.not_after(), plus(now, 60 * DAY));
    let parsed = crate::certificate::parse(prepared.der()).unwrap();
    let oid = parsed.public_key().algorithm.algorithm.to_id_string();
    assert_eq!(oid, "1.3.101.112");
}

#[test]
fn a_much_shorter_next_life_is_not_prepared_to_be_over_before_its_turn() {
    let set = first(&want());
    let shorter = Wanted {
        ca_lifetime_seconds: DAY,
        ..want()
    };
    let prepare = SIXTH_LEFT - DAY / 3;
    assert_eq!(set.next_change(&shorter), Some(plus(start(), prepare)));
    let set = step(&set, &shorter, plus(start(), prepare));
    let set = step(&set, &shorter, plus(start(), SIXTH_LEFT));
    assert_eq!(
        set.active().unwrap().certificate.not_after(),
        plus(start(), prepare + DAY)
    );
}

#[test]
fn an_unused_prepared_one_that_is_over_is_dropped_and_made_again() {
    let waiting = Wanted {
        ca_lifetime_seconds: DAY,
        bundle_propagated: false,
        ..want()
    };
    let set = first(&want());
    let set = step(&set, &waiting, plus(start(), SIXTH_LEFT));
    let later = plus(start(), SIXTH_LEFT + DAY);
    assert_eq!(set.next_change(&waiting), Some(later));
    let again = step(&set, &waiting, later);
    assert_ne!(id(again.prepared()), id(set.prepared()));
    assert_eq!(again.bundle().roots().len(), 2);
}

#[test]
fn a_clock_that_went_back_changes_nothing() {
    let set = first(&want());
    assert_eq!(set.next(&want(), minus(start(), 3600)).unwrap(), None);
    assert_eq!(
        set.next(&want(), minus(start(), 20 * 365 * DAY)).unwrap(),
        None
    );
    let prepared = step(&set, &want(), plus(start(), HALF));
    assert_eq!(prepared.next(&want(), start()).unwrap(), None);
    let there = step(&prepared, &want(), plus(start(), SIXTH_LEFT));
    assert_eq!(there.next(&want(), plus(start(), HALF)).unwrap(), None);
}

#[test]
fn a_raised_epoch_mends_an_authority_from_the_future() {
    let future = plus(start(), 10 * 365 * DAY);
    let set = step(&AuthoritySet::default(), &want(), future);
    assert_eq!(set.next(&want(), start()).unwrap(), None);
    let signer = set.signer().unwrap().unwrap();
    assert_eq!(
        signer.issue(&request(ID), start()).unwrap_err().reason(),
        "NotYetValid"
    );

    let set = step(&set, &raised(2), start());
    let set = set
        .next(&raised(2), plus(start(), 1))
        .unwrap()
        .unwrap_or(set);
    issue(&set.signer().unwrap().unwrap(), plus(start(), 1));
    assert!(set.retired()[0].early);
}

#[test]
fn leaves_of_a_later_clock_are_waited_for_when_it_went_back() {
    let set = step(&first(&want()), &raised(2), start());
    let ahead = plus(start(), 1000);
    let set = step(&set, &raised(2), ahead);
    let set = step(&set, &raised(3), start());
    let set = step(&set, &raised(3), plus(start(), 60));
    let last = set.retired().last().unwrap();
    assert_eq!(last.leaves_over, plus(ahead, 3600 + 60));
}

#[test]
fn a_bad_trust_domain_is_refused() {
    for name in [
        "",
        "Example.org",
        "example.org/",
        "a b",
        "spiffe://example.org",
        &"a".repeat(256),
    ] {
        let bad = Wanted {
            trust_domain: name.to_owned(),
            ..want()
        };
        let refusal = AuthoritySet::default().next(&bad, start()).unwrap_err();
        assert_eq!(refusal.reason(), "BadTrustDomain", "{name:?}");
    }
}

#[test]
fn no_handshake_fails_over_ten_lives() {
    // Verifiers have the bundle of one step ago: an hour, as long as a bundle takes to arrive.
    let want = Wanted {
        ca_lifetime_seconds: DAY,
        max_leaf_ttl_seconds: 3600,
        propagation_seconds: 1800,
        ..want()
    };
    let mut set = first(&want);
    let mut known = set.bundle();
    let mut leaves = Vec::new();
    for half_hours in 0..480 {
        let now = plus(start(), half_hours * 1800);
        if let Some(next) = set.next(&want, now).unwrap() {
            set = next;
        }
        let mut asked = request(ID);
        asked.ttl_seconds = 3600;
        leaves.push(set.signer().unwrap().unwrap().issue(&asked, now).unwrap());
        leaves.retain(|leaf| now < leaf.not_after);
        for leaf in &leaves {
            assert!(leaf.not_after.duration_since(leaf.not_before).as_secs() == 3610);
            verifies(&leaf.chain_pem, &known, now).unwrap();
            verifies(&leaf.chain_pem, &set.bundle(), now).unwrap();
        }
        known = set.bundle();
    }
    assert!(set.bundle_sequence() > 20);
}
