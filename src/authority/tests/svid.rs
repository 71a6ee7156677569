//! Chains that somebody shows: whose they are, and when they are nobody's.

use rcgen::CertificateParams;

use super::fixture::*;
use crate::{
    AuthorityCertificate, Bundle, LeafKey, LeafRequest, Wanted, verify_svid, verify_svid_pem,
};

fn reason(chain: &[Vec<u8>], bundle: &Bundle) -> &'static str {
    verify_svid(chain, bundle, start()).unwrap_err().reason()
}

#[test]
fn an_issued_certificate_says_who_it_is() {
    for key_algorithm in ALGORITHMS {
        let set = first(&Wanted {
            key_algorithm,
            ..want()
        });
        for own in ALGORITHMS {
            let asked = LeafRequest {
                key: LeafKey::Generate(own),
                ..request(ID)
            };
            let signer = set.signer().unwrap().unwrap();
            let issued = signer.issue(&asked, start()).unwrap();
            let svid = verify_svid_pem(&issued.chain_pem, &set.bundle(), start()).unwrap();
            assert_eq!(svid.spiffe_id, ID);
            assert_eq!(svid.trust_domain(), DOMAIN);
            assert_eq!(svid.serial_number, issued.serial_number);
            assert_eq!(svid.not_before, issued.not_before);
            assert_eq!(svid.not_after, issued.not_after);
            assert_eq!(svid.public_key_sha256, issued.public_key_sha256);
            assert_eq!(svid.authority_id.as_ref(), Some(signer.id()));
            let same = verify_svid(&ders(&issued.chain_pem), &set.bundle(), start());
            assert_eq!(same.unwrap(), svid);
        }
    }
}

#[test]
fn it_is_verified_over_intermediates_in_any_order() {
    let root = root_ca("root");
    let middle = ca_below(&root, ca_params("middle"));
    let issuing = ca_below(&middle, ca_params("issuing"));
    let leaf = leaf_below(&issuing, |_| {});
    let (middle, issuing) = (middle.der().to_vec(), issuing.der().to_vec());
    let bundle = bundle_of(&root);
    for above in [[&issuing, &middle], [&middle, &issuing]] {
        let chain = [&leaf, above[0], above[1]].map(Clone::clone);
        assert_eq!(verify_svid(&chain, &bundle, start()).unwrap().spiffe_id, ID);
    }
    assert_eq!(reason(&[leaf.clone(), issuing], &bundle), "ChainBroken");
    assert_eq!(reason(&[leaf], &bundle), "ChainBroken");
}

#[test]
fn it_is_good_from_its_first_second_to_its_last() {
    let set = first(&want());
    let issued = issue(&set.signer().unwrap().unwrap(), start());
    let at = |now| verify_svid_pem(&issued.chain_pem, &set.bundle(), now);
    at(issued.not_before).unwrap();
    at(minus(issued.not_after, 1)).unwrap();
    let early = at(minus(issued.not_before, 1)).unwrap_err();
    assert_eq!(early.reason(), "NotYetValid");
    for late in [0, 1, DAY] {
        let over = at(plus(issued.not_after, late)).unwrap_err();
        assert_eq!(over.reason(), "Expired");
        assert!(over.to_string().contains(ID), "{over}");
    }
    at(jiff::Timestamp::MIN).unwrap_err();
    at(jiff::Timestamp::MAX).unwrap_err();
}

#[test]
fn another_trust_domains_bundle_and_an_empty_one_trust_nobody_of_us() {
    let set = first(&want());
    let chain = ders(&issue(&set.signer().unwrap().unwrap(), start()).chain_pem);
    let other = first(&Wanted {
        trust_domain: "other.example".to_owned(),
        ..want()
    });
    assert_eq!(reason(&chain, &other.bundle()), "ChainBroken");
    assert_eq!(reason(&chain, &first(&want()).bundle()), "ChainBroken");
    assert_eq!(reason(&chain, &Bundle::new(1, [])), "ChainBroken");
}

#[test]
fn an_authority_that_names_its_trust_domain_certifies_nobody_of_another() {
    let named = |name: &str, domain: &str| {
        let mut params = ca_params(name);
        params.subject_alt_names = vec![uri(domain)];
        params
    };
    for (domain, good) in [
        ("spiffe://example.org", true),
        ("spiffe://other.example", false),
        ("spiffe://example.org.other.example", false),
        ("spiffe://", false),
        ("https://ca.other.example", true),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let root = Ca::self_signed(named("root", domain), key).unwrap();
        let leaf = leaf_below(&root, |_| {});
        let verified = verify_svid(&[leaf], &bundle_of(&root), start());
        assert_eq!(verified.is_ok(), good, "root of {domain}");

        let root = root_ca("root");
        let middle = ca_below(&root, named("middle", domain));
        let chain = [leaf_below(&middle, |_| {}), middle.der().to_vec()];
        let verified = verify_svid(&chain, &bundle_of(&root), start());
        assert_eq!(verified.is_ok(), good, "intermediate of {domain}");
    }
}

#[test]
fn a_distrusted_authority_vouches_for_nobody() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let chain = ders(&issue(&signer, start()).chain_pem);
    verify_svid(&chain, &set.bundle(), start()).unwrap();
    let mut want = want();
    want.distrusted.insert(signer.id().clone());
    let set = step(&set, &want, start());
    assert_eq!(reason(&chain, &set.bundle()), "ChainBroken");
}

#[test]
fn a_root_that_is_over_or_not_valid_yet_vouches_for_nobody() {
    for (from, to) in [(2020, 2025), (2027, 2030), (2020, 2030)] {
        let mut params = ca_params("root");
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let root = Ca::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let leaf = leaf_below(&root, |_| {});
        let verified = verify_svid(&[leaf], &bundle_of(&root), start());
        assert_eq!(verified.is_ok(), (from, to) == (2020, 2030));
    }
}

#[test]
fn a_chain_that_is_empty_or_too_long_or_too_large_is_refused() {
    let root = root_ca("root");
    let bundle = bundle_of(&root);
    let leaf = leaf_below(&root, |_| {});
    assert_eq!(reason(&[], &bundle), "ChainBroken");
    let padded = |count| [vec![leaf.clone()], vec![root.der().to_vec(); count]].concat();
    verify_svid(&padded(7), &bundle, start()).unwrap();
    assert_eq!(reason(&padded(8), &bundle), "ChainBroken");
    assert_eq!(reason(&padded(100_000), &bundle), "ChainBroken");
    assert_eq!(reason(&[leaf, vec![0x30; 1 << 16]], &bundle), "ChainBroken");
    let pem = verify_svid_pem(&"-".repeat(1 << 20), &bundle, start()).unwrap_err();
    assert_eq!(pem.reason(), "BadCertificate");
}

#[test]
fn a_ladder_of_authorities_that_sign_each_other_is_given_up_on() {
    // All of one name and one key: each could be above each.
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let same = || rcgen::KeyPair::from_pem(&key).unwrap();
    let root = root_ca("root");
    let params = ca_params("loop");
    let authority = Ca::self_signed(params.clone(), same()).unwrap();
    let copies = (0..7_u8).map(|serial| {
        let mut params: CertificateParams = params.clone();
        params.serial_number = Some(vec![serial + 1].into());
        params
            .signed_by(&same(), &authority)
            .unwrap()
            .der()
            .to_vec()
    });
    let chain: Vec<_> = [leaf_below(&authority, |_| {})]
        .into_iter()
        .chain(copies)
        .collect();
    assert_eq!(reason(&chain, &bundle_of(&root)), "ChainBroken");
}

#[test]
fn every_truncation_and_every_changed_bit_is_refused() {
    let set = first(&want());
    let asked = LeafRequest {
        key: LeafKey::Generate(crate::KeyAlgorithm::Ed25519),
        ..request(ID)
    };
    let signer = set.signer().unwrap().unwrap();
    let issued = signer.issue(&asked, start()).unwrap();
    let leaf = ders(&issued.chain_pem).swap_remove(0);
    for length in 0..leaf.len() {
        reason(&[leaf[..length].to_vec()], &set.bundle());
    }
    reason(&[[leaf.as_slice(), &[0]].concat()], &set.bundle());
    let good = verify_svid(std::slice::from_ref(&leaf), &set.bundle(), start()).unwrap();
    for index in 0..leaf.len() {
        let mut changed = leaf.clone();
        changed[index] ^= 0x20;
        if let Ok(svid) = verify_svid(&[changed], &set.bundle(), start()) {
            panic!("byte {index} is not covered: {svid:?} for {good:?}");
        }
    }
}

#[test]
fn other_blocks_in_pem_are_refused() {
    let set = first(&want());
    let issued = issue(&set.signer().unwrap().unwrap(), start());
    let key = issued.key_pem.as_ref().unwrap();
    for pem in [
        String::new(),
        format!("{}{}", issued.chain_pem, **key),
        format!("# mine\n{}", issued.chain_pem),
        issued.chain_pem.replace("CERTIFICATE", "X509 CRL"),
    ] {
        let refusal = verify_svid_pem(&pem, &set.bundle(), start()).unwrap_err();
        assert_eq!(refusal.reason(), "BadCertificate");
    }
}

#[test]
fn an_authoritys_own_certificate_is_nobodys_identity() {
    let set = first(&want());
    let root: &AuthorityCertificate = &set.active().unwrap().certificate;
    let refused = reason(&[root.der().to_vec()], &set.bundle());
    assert_eq!(refused, "BadCertificate");
}
