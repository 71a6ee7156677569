//! A Secret from a backup, in another cluster.

use super::fixture::*;
use crate::{AuthorityError, AuthoritySet, Wanted};

#[test]
fn a_restored_secret_goes_on_with_the_same_authority() {
    let before = first(&want());
    let issued = issue(&before.signer().unwrap().unwrap(), start());
    let backup = stored(&before);
    drop(before);

    let now = plus(start(), 120);
    let restored = AuthoritySet::from_secret_data(&backup).unwrap();
    assert!(
        restored.next(&want(), now).unwrap().is_none(),
        "nothing to change"
    );
    verifies(&issued.chain_pem, &restored.bundle(), now).unwrap();
    assert!(!restored.reissue(&issued.authority_id));
    let fresh = issue(&restored.signer().unwrap().unwrap(), now);
    assert_eq!(fresh.authority_id, issued.authority_id);
    let openssl = OpenSsl::new();
    for chain in [&issued.chain_pem, &fresh.chain_pem] {
        openssl
            .verify(&restored.bundle().pem(), chain, now)
            .unwrap();
    }
}

#[test]
fn a_backup_taken_amid_a_rotation_goes_on_with_the_rotation() {
    let rotating = Wanted { epoch: 2, ..want() };
    let prepared = step(&first(&want()), &rotating, start());
    let restored = AuthoritySet::from_secret_data(&stored(&prepared)).unwrap();
    let there = step(&restored, &rotating, plus(start(), 60));
    assert_eq!(
        there.active().unwrap().id(),
        prepared.prepared().unwrap().id()
    );
}

#[test]
fn an_old_backup_brings_no_distrusted_authority_back() {
    let old = first(&want());
    let backup = stored(&old);
    let mut want = want();
    want.distrusted.insert(old.active().unwrap().id().clone());
    let restored = AuthoritySet::from_secret_data(&backup).unwrap();
    let there = step(&restored, &want, plus(start(), 5));
    assert_ne!(there.active().unwrap().id(), old.active().unwrap().id());
    assert_eq!(there.bundle().roots().len(), 1);
    assert!(there.reissue(old.active().unwrap().id()));
}

#[test]
fn a_lost_secret_means_a_new_authority_and_every_leaf_again() {
    let lost = first(&want());
    let issued = issue(&lost.signer().unwrap().unwrap(), start());
    let anew = first(&want());
    assert!(anew.reissue(&issued.authority_id));
    verifies(&issued.chain_pem, &anew.bundle(), start()).unwrap_err();
}

#[test]
fn the_secret_of_another_trust_domain_is_refused() {
    let elsewhere = first(&Wanted {
        trust_domain: "example.com".to_owned(),
        ..want()
    });
    let restored = AuthoritySet::from_secret_data(&stored(&elsewhere)).unwrap();
    assert_eq!(
        restored.next(&want(), start()).unwrap_err(),
        AuthorityError::OtherTrustDomain {
            stored: "example.com".to_owned(),
            wanted: DOMAIN.to_owned(),
        }
    );
    assert!(restored.next_change(&want()).is_none());
}
