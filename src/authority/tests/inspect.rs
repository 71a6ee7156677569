//! What somebody may have done to a stored leaf.

use rcgen::{CertificateParams, KeyPair, SanType};

use super::fixture::*;
use crate::pem_text::encode;
use crate::{AuthorityError, Leaf, LeafKey, LeafRequest, inspect_leaf};

fn stored_leaf() -> Leaf {
    issue(&first(&want()).signer().unwrap().unwrap(), start())
}

fn refusal(chain: &str, key: Option<&str>) -> AuthorityError {
    inspect_leaf(chain.as_bytes(), key.map(str::as_bytes)).unwrap_err()
}

#[test]
fn an_untouched_leaf_says_what_was_issued() {
    let issued = stored_leaf();
    let key = issued.key_pem.as_ref().unwrap();
    let facts = inspect_leaf(issued.chain_pem.as_bytes(), Some(key.as_bytes())).unwrap();
    assert_eq!(facts.spiffe_id, ID);
    assert_eq!(facts.serial_number, issued.serial_number);
    assert_eq!(facts.not_before, issued.not_before);
    assert_eq!(facts.not_after, issued.not_after);
    assert_eq!(facts.public_key_sha256, issued.public_key_sha256);
    assert_eq!(facts.authority_id, issued.authority_id);
    assert_eq!(
        inspect_leaf(issued.chain_pem.as_bytes(), None).unwrap(),
        facts
    );
}

#[test]
fn the_key_of_another_leaf_is_refused() {
    let issued = stored_leaf();
    let other = stored_leaf().key_pem.unwrap();
    assert_eq!(
        refusal(&issued.chain_pem, Some(&other)).reason(),
        "KeyMismatch"
    );
}

#[test]
fn a_key_that_cant_be_read_is_refused() {
    let issued = stored_leaf();
    let key = issued.key_pem.as_ref().unwrap();
    for bad in [
        "",
        "no key",
        &key.repeat(2),
        &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        &encode("PRIVATE KEY", b"junk"),
        &issued.chain_pem,
    ] {
        assert_eq!(refusal(&issued.chain_pem, Some(bad)).reason(), "BadKey");
    }
    assert!(inspect_leaf(issued.chain_pem.as_bytes(), Some(b"\xff\xfe")).is_err());
}

#[test]
fn text_around_the_blocks_is_refused() {
    let pem = stored_leaf().chain_pem;
    for bad in [
        String::new(),
        "\n".to_owned(),
        format!("{pem}x"),
        format!("# comment\n{pem}"),
        pem.replace("-----END", "-----FIN"),
        pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        pem.repeat(33),
        pem.replacen('M', "!", 1),
    ] {
        assert_eq!(refusal(&bad, None).reason(), "BadCertificate", "{bad:.60}");
    }
    assert!(inspect_leaf(b"\xff\xfe", None).is_err());
}

#[test]
fn a_block_behind_the_leaf_must_be_a_certificate() {
    let pem = stored_leaf().chain_pem;
    let bad = pem.clone() + &encode("CERTIFICATE", b"junk");
    assert_eq!(refusal(&bad, None).reason(), "BadCertificate");
    let key = stored_leaf().key_pem.unwrap();
    assert_eq!(refusal(&(pem + &key), None).reason(), "BadCertificate");
}

#[test]
fn an_authority_in_place_of_a_leaf_is_refused() {
    let set = first(&want());
    let pem = set.active().unwrap().certificate.pem();
    assert_eq!(refusal(&pem, None).reason(), "BadCertificate");
}

#[test]
fn a_certificate_of_another_profile_is_refused() {
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = SanType::DnsName("example.org".try_into().unwrap());
    for names in [
        vec![],
        vec![uri(ID), uri(ID)],
        vec![uri(ID), dns],
        vec![uri(ID)],
    ] {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        assert_eq!(refusal(&pem, None).reason(), "BadCertificate");
    }
}

#[test]
fn bytes_behind_the_end_of_a_certificate_are_refused() {
    let mut der = ders(&stored_leaf().chain_pem).swap_remove(0);
    der.push(0);
    assert_eq!(
        refusal(&encode("CERTIFICATE", &der), None).reason(),
        "BadCertificate"
    );
}

#[test]
fn every_changed_bit_is_refused_seen_in_the_facts_or_fails_to_verify() {
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let asked = LeafRequest {
        key: LeafKey::Generate(crate::KeyAlgorithm::Ed25519),
        ..request(ID)
    };
    let issued = signer.issue(&asked, start()).unwrap();
    let facts = inspect_leaf(issued.chain_pem.as_bytes(), None).unwrap();
    let der = ders(&issued.chain_pem).swap_remove(0);
    for index in 0..der.len() {
        let mut changed = der.clone();
        changed[index] ^= 0x20;
        let pem = encode("CERTIFICATE", &changed);
        if inspect_leaf(pem.as_bytes(), None).is_ok_and(|it| it == facts) {
            verifies(&pem, &set.bundle(), start()).expect_err("a forged leaf");
        }
    }
}
