//! Revocation lists as rustls-webpki sees them.

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder,
};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::fixture::*;
use crate::RevocationReason::*;
use crate::{
    AuthorityError, AuthoritySet, Bundle, Crl, Leaf, Revoked, Signer, VerifiedCrl, Wanted, verify,
};

const HOUR: u64 = 3600;

fn revoked(serial_number: &str, reason: crate::RevocationReason) -> Revoked<'_> {
    Revoked {
        serial_number,
        at: start(),
        reason,
    }
}

fn list(signer: &Signer, revoked: &[Revoked<'_>]) -> Crl {
    signer
        .crl(revoked, 7, start(), plus(start(), HOUR))
        .unwrap()
}

fn refusal(signer: &Signer, revoked: &[Revoked<'_>]) -> AuthorityError {
    let until = plus(start(), HOUR);
    signer.crl(revoked, 7, start(), until).unwrap_err()
}

/// Verifies with every list enforced, its age included.
fn checked(leaf: &Leaf, bundle: &Bundle, crl: &Crl, now: Timestamp) -> Result<(), webpki::Error> {
    let crl: CertRevocationList<'_> = OwnedCertRevocationList::from_der(&crl.der).unwrap().into();
    let chain = ders(&leaf.chain_pem);
    let anchors: Vec<_> = bundle
        .roots()
        .iter()
        .map(|root| verify::anchor(root).unwrap())
        .collect();
    let above: Vec<CertificateDer<'_>> =
        chain[1..].iter().map(|der| der.as_slice().into()).collect();
    let end: CertificateDer<'_> = chain[0].as_slice().into();
    let seconds = u64::try_from(now.as_second()).unwrap();
    EndEntityCert::try_from(&end)?
        .verify_for_usage(
            verify::ALGORITHMS,
            &anchors,
            &above,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
            KeyUsage::client_auth(),
            Some(
                RevocationOptionsBuilder::new(&[&crl])
                    .unwrap()
                    .with_depth(RevocationCheckDepth::EndEntity)
                    .with_expiration_policy(ExpirationPolicy::Enforce)
                    .build(),
            ),
            None,
        )
        .map(|_| ())
}

#[test]
fn a_revoked_leaf_is_refused_and_a_good_one_passes() {
    for key_algorithm in ALGORITHMS {
        let set = first(&Wanted {
            key_algorithm,
            ..want()
        });
        let signer = set.signer().unwrap().unwrap();
        let (bad, good) = (issue(&signer, start()), issue(&signer, start()));
        let crl = list(&signer, &[revoked(&bad.serial_number, KeyCompromise)]);
        assert_eq!(&crl.authority_id, signer.id());
        let bundle = set.bundle();
        assert_eq!(
            checked(&bad, &bundle, &crl, start()),
            Err(webpki::Error::CertRevoked)
        );
        checked(&good, &bundle, &crl, start()).unwrap();
        checked(&bad, &bundle, &list(&signer, &[]), start()).unwrap();
    }
}

#[test]
fn a_list_that_is_over_is_refused() {
    let mut asked = request(ID);
    asked.ttl_seconds = HOUR;
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let good = signer.issue(&asked, start()).unwrap();
    let crl = signer.crl(&[], 1, start(), plus(start(), 60)).unwrap();
    checked(&good, &set.bundle(), &crl, plus(start(), 59)).unwrap();
    let over = checked(&good, &set.bundle(), &crl, plus(start(), 61)).unwrap_err();
    assert!(matches!(over, webpki::Error::CrlExpired { .. }), "{over:?}");
}

#[test]
fn another_authoritys_list_says_nothing_and_a_forged_one_is_refused() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let good = issue(&signer, start());
    let other = first(&want()).signer().unwrap().unwrap();
    let foreign = list(&other, &[revoked(&good.serial_number, KeyCompromise)]);
    assert_eq!(
        checked(&good, &set.bundle(), &foreign, start()),
        Err(webpki::Error::UnknownRevocationStatus)
    );
    let mut forged = list(&signer, &[]);
    *forged.der.last_mut().unwrap() ^= 1;
    checked(&good, &set.bundle(), &forged, start()).unwrap_err();
}

#[test]
fn an_issuing_authority_of_your_own_signs_lists_under_its_own_name() {
    let root = root_ca("root");
    let issuing = ca_below(&root, ca_params("issuing"));
    let key = issuing.key().serialize_pem();
    let signer = Signer::from_pem(&issuing.pem(), &key, Some(&root.pem()), DOMAIN, start());
    let signer = signer.unwrap();
    let (bad, good) = (issue(&signer, start()), issue(&signer, start()));
    let crl = list(&signer, &[revoked(&bad.serial_number, Superseded)]);
    checked(&good, &signer.bundle(1), &crl, start()).unwrap();
    assert_eq!(
        checked(&bad, &signer.bundle(1), &crl, start()),
        Err(webpki::Error::CertRevoked)
    );
}

#[test]
fn it_says_who_signed_it_its_number_its_times_and_the_reasons() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let reasons = [
        (Unspecified, None),
        (KeyCompromise, Some(1)),
        (Superseded, Some(4)),
        (CessationOfOperation, Some(5)),
        (CertificateHold, Some(6)),
        (PrivilegeWithdrawn, Some(9)),
    ];
    let serials: Vec<_> = (1..=6).map(|it| format!("{it:032x}")).collect();
    let entries: Vec<_> = serials
        .iter()
        .zip(reasons)
        .map(|(serial, (reason, _))| revoked(serial, reason))
        .collect();
    let crl = list(&signer, &entries);
    let (rest, parsed) = CertificateRevocationList::from_der(&crl.der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(parsed.version().map(|it| it.0), Some(1));
    assert_eq!(parsed.issuer().as_raw(), signer.issuer);
    assert_eq!(parsed.crl_number().unwrap().to_string(), "7");
    assert_eq!(parsed.last_update().timestamp(), start().as_second());
    let next = parsed.next_update().unwrap().timestamp();
    assert_eq!(next, plus(start(), HOUR).as_second());
    assert_eq!(parsed.extensions().len(), 2);
    let key_id = hex::decode(signer.id().as_str()).unwrap();
    assert!(parsed.extensions()[0].value.ends_with(&key_id));
    assert!(parsed.extensions().iter().all(|it| !it.critical));
    for (entry, (_, code)) in parsed.iter_revoked_certificates().zip(reasons) {
        assert_eq!(entry.revocation_date.timestamp(), start().as_second());
        assert_eq!(entry.reason_code().map(|(_, it)| it.0), code);
        assert_eq!(entry.extensions().is_empty(), code.is_none());
    }
    let empty = list(&signer, &[]);
    let (_, parsed) = CertificateRevocationList::from_der(&empty.der).unwrap();
    assert!(parsed.tbs_cert_list.revoked_certificates.is_empty());
}

#[test]
fn serial_numbers_are_sorted_and_each_is_there_once() {
    let signer = first(&want()).signer().unwrap().unwrap();
    let crl = list(
        &signer,
        &[
            revoked("ff01", KeyCompromise),
            revoked("02", Superseded),
            revoked("0002", Superseded),
            revoked("00FF01", Superseded),
            revoked("7f", Superseded),
            revoked(&"7f".repeat(20), Superseded),
        ],
    );
    let parsed = BorrowedCertRevocationList::from_der(&crl.der).unwrap();
    let serials: Vec<_> = parsed
        .into_iter()
        .map(|it| hex::encode(it.unwrap().serial_number))
        .collect();
    let longest = "7f".repeat(20);
    assert_eq!(serials, ["02", "7f", "00ff01", &longest]);
}

#[test]
fn of_two_entries_the_first_moment_stays_and_a_hold_gives_way() {
    let signer = first(&want()).signer().unwrap().unwrap();
    let held = Revoked {
        serial_number: "05",
        at: minus(start(), 60),
        reason: CertificateHold,
    };
    let ended = revoked("05", CessationOfOperation);
    let stolen = Revoked {
        at: plus(start(), 60),
        ..revoked("05", KeyCompromise)
    };
    for entries in [[held, ended, stolen], [stolen, ended, held]] {
        let crl = list(&signer, &entries);
        let parsed = BorrowedCertRevocationList::from_der(&crl.der).unwrap();
        let entries: Vec<_> = parsed.into_iter().map(Result::unwrap).collect();
        let [entry] = entries.as_slice() else {
            panic!("one entry")
        };
        assert_eq!(
            entry.revocation_date.as_secs(),
            u64::try_from(held.at.as_second()).unwrap()
        );
        assert_eq!(
            entry.reason_code,
            Some(webpki::RevocationReason::CessationOfOperation)
        );
    }
}

#[test]
fn what_is_no_serial_number_is_refused() {
    let signer = first(&want()).signer().unwrap().unwrap();
    for bad in [
        "",
        "0",
        "00",
        "abc",
        "0x01",
        "-1",
        "g0",
        " 01",
        "ä1",
        &"ff".repeat(20),
        &"01".repeat(21),
        &"f".repeat(1 << 20),
    ] {
        let refusal = refusal(
            &signer,
            &[revoked("01", Superseded), revoked(bad, Superseded)],
        );
        assert_eq!(refusal.reason(), "BadRevocation", "{bad:.60}");
        assert!(refusal.to_string().len() < 300);
    }
}

#[test]
fn times_that_make_no_list_are_refused() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let reason = |this, next| signer.crl(&[], 1, this, next).unwrap_err().reason();
    assert_eq!(reason(start(), start()), "BadRevocation");
    assert_eq!(reason(start(), minus(start(), 1)), "BadRevocation");
    let long_ago = minus(start(), DAY);
    assert_eq!(reason(long_ago, start()), "NotYetValid");
    let end = signer.not_after();
    assert_eq!(reason(end, plus(end, 1)), "Expired");
    let mut early = revoked("01", Superseded);
    early.at = Timestamp::from_second(-10_000_000_000).unwrap();
    assert_eq!(refusal(&signer, &[early]).reason(), "BadTime");
    // From 2050 on in the other format, as the RFC wants it.
    let far = "2051-01-01T00:00:00Z".parse().unwrap();
    let crl = signer.crl(&[], 1, start(), far).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(&crl.der).unwrap();
    let next = parsed.next_update().unwrap();
    assert_eq!(next.timestamp(), far.as_second());
    assert!(next.is_generalizedtime());
}

#[test]
fn an_authority_without_crl_sign_says_so_instead_of_signing() {
    let mut params = ca_params("root");
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let root = Ca::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = root.key().serialize_pem();
    let signer = Signer::from_pem(&root.pem(), &key, None, DOMAIN, start()).unwrap();
    issue(&signer, start());
    let refusal = refusal(&signer, &[]);
    assert_eq!(refusal.reason(), "NoCRLSign");
    assert!(refusal.to_string().contains(signer.id().as_str()));
    assert!(refusal.to_string().contains("cRLSign"));
}

#[test]
fn the_prepared_authority_has_an_empty_list_before_its_first_leaf() {
    let mut want = want();
    let set = first(&want);
    let until = plus(start(), HOUR);
    assert_eq!(set.prepared_crl(1, start(), until).unwrap(), None);
    want.epoch = 2;
    let set = step(&set, &want, start());
    let crl = set.prepared_crl(1, start(), until).unwrap().unwrap();
    assert_eq!(&crl.authority_id, set.prepared().unwrap().id());
    let now = plus(start(), 61);
    let set = step(&set, &want, now);
    let leaf = issue(&set.signer().unwrap().unwrap(), now);
    checked(&leaf, &set.bundle(), &crl, now).unwrap();
}

#[test]
fn authorities_that_cant_sign_lists_are_named() {
    let mut want = want();
    let set = first(&want);
    assert!(set.without_crl().is_empty());
    let old = set.active().unwrap().id().clone();
    want.epoch = 2;
    let set = step(&set, &want, start());
    assert!(set.without_crl().is_empty());
    let set = step(&set, &want, plus(start(), 61));
    assert_eq!(set.without_crl(), std::slice::from_ref(&old));
    want.distrusted.insert(old);
    let set = step(&set, &want, plus(start(), 62));
    assert!(set.without_crl().is_empty(), "not in the bundle any more");

    let early = early_set();
    let id = early.active().unwrap().id().clone();
    assert_eq!(early.without_crl(), [id]);
    let signer = early.signer().unwrap().unwrap();
    issue(&signer, start());
    assert_eq!(refusal(&signer, &[]).reason(), "NoCRLSign");
}

/// A set whose authority was made without cRLSign, as it comes back from its Secret.
fn early_set() -> AuthoritySet {
    let mut set = first(&want());
    let slot = set.a.as_mut().unwrap();
    let mut params = ca_params("early");
    params.subject_alt_names = vec![uri("spiffe://example.org")];
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.not_before = crate::encode::date_time(slot.certificate.not_before()).unwrap();
    params.not_after = crate::encode::date_time(slot.certificate.not_after()).unwrap();
    let key = crate::key::SigningKey::load(&slot.key).unwrap();
    let key_id = key.public().key_identifier();
    params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(key_id);
    let certificate = params.self_signed(&key).unwrap();
    slot.certificate = crate::AuthorityCertificate::from_der(certificate.der()).unwrap();
    AuthoritySet::from_secret_data(&stored(&set)).unwrap()
}

#[test]
fn a_hundred_thousand_entries_are_one_list() {
    let signer = first(&want()).signer().unwrap().unwrap();
    let serials: Vec<String> = (0..100_000_u128)
        .map(|it| format!("{:032x}", (it * 0x9e37_79b9_7f4a_7c15) | 1 << 126))
        .collect();
    let entries: Vec<_> = serials
        .iter()
        .chain(serials.iter().take(1000))
        .map(|serial| revoked(serial, CessationOfOperation))
        .collect();
    let crl = list(&signer, &entries);
    let parsed = BorrowedCertRevocationList::from_der(&crl.der).unwrap();
    assert_eq!(parsed.into_iter().count(), 100_000);
    assert!(crl.der.len() < 5_000_000, "{}", crl.der.len());
}

fn its_own(signer: &Signer, der: &[u8], now: Timestamp) -> Result<VerifiedCrl, AuthorityError> {
    VerifiedCrl::read(der, signer.certificate(), now)
}

#[test]
fn a_list_is_read_as_it_was_signed() {
    for key_algorithm in ALGORITHMS {
        let set = first(&Wanted {
            key_algorithm,
            ..want()
        });
        let signer = set.signer().unwrap().unwrap();
        let serials = ["80".repeat(16), "01".to_owned() + &"ab".repeat(15)];
        let lines = serials.each_ref().map(|it| revoked(it, Superseded));
        let crl = list(&signer, &lines);
        let read = its_own(&signer, &crl.der, start()).unwrap();
        assert_eq!((read.number, read.this_update), (7, start()));
        assert_eq!(read.next_update, plus(start(), HOUR));
        let mut found = read.serial_numbers;
        found.sort();
        assert_eq!(found, ["01".to_owned() + &"ab".repeat(15), "80".repeat(16)]);
    }
}

#[test]
fn an_issued_certificate_has_the_serial_number_that_its_list_has() {
    let signer = first(&want()).signer().unwrap().unwrap();
    let leaf = issue(&signer, start());
    let crl = list(&signer, &[revoked(&leaf.serial_number, Superseded)]);
    let read = its_own(&signer, &crl.der, start()).unwrap();
    let svid = crate::verify_svid_pem(&leaf.chain_pem, &signer.bundle(1), start()).unwrap();
    assert_eq!(read.serial_numbers, [svid.serial_number]);
}

#[test]
fn a_list_that_is_forged_old_or_somebody_elses_counts_for_nothing() {
    let signer = first(&want()).signer().unwrap().unwrap();
    let other = first(&want()).signer().unwrap().unwrap();
    let crl = list(&signer, &[revoked("0a", Superseded)]).der;
    its_own(&signer, &crl, plus(start(), HOUR - 1)).unwrap();
    its_own(&signer, &crl, plus(start(), HOUR)).unwrap_err();
    its_own(&other, &crl, start()).unwrap_err();
    for at in 0..crl.len() {
        let mut changed = crl.clone();
        changed[at] ^= 1;
        let read = its_own(&signer, &changed, start());
        // The algorithm's name is beside the signature, and isn't gone by.
        if let Ok(read) = read {
            assert_eq!(read, its_own(&signer, &crl, start()).unwrap());
        }
    }
    for junk in [&[][..], &[0x30], &crl[..crl.len() - 1], &[0x30; 10_000]] {
        its_own(&signer, junk, start()).unwrap_err();
    }
    let longer = [&crl[..], &[0]].concat();
    its_own(&signer, &longer, start()).unwrap_err();
}
