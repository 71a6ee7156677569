//! Leaves that a trusted root signed and that are no X.509-SVIDs all the same.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::fixture::*;
use crate::{AuthorityError, Svid, verify_svid};

fn verified(change: impl FnOnce(&mut CertificateParams)) -> Result<Svid, AuthorityError> {
    let root = root_ca("root");
    verify_svid(&[leaf_below(&root, change)], &bundle_of(&root), start())
}

fn reason(change: impl FnOnce(&mut CertificateParams)) -> &'static str {
    verified(change).unwrap_err().reason()
}

#[test]
fn a_leaf_of_somebody_elses_issuer_is_read() {
    let svid = verified(|params| params.serial_number = Some(vec![0xab, 0x01].into())).unwrap();
    assert_eq!(svid.serial_number, "ab01");
    assert!(svid.authority_id.is_some());
    let without = verified(|params| params.use_authority_key_identifier_extension = false);
    assert_eq!(without.unwrap().authority_id, None);
    // CA:FALSE may be left out (X.509-SVID, 4.1).
    verified(|params| params.is_ca = IsCa::NoCa).unwrap();
}

#[test]
fn it_has_one_name_and_that_is_a_spiffe_id() {
    let dns = SanType::DnsName("reader.example.org".try_into().unwrap());
    let mail = SanType::Rfc822Name("reader@example.org".try_into().unwrap());
    let other = uri("spiffe://example.org/ns/finance/agent/other/task/1/2");
    for names in [
        vec![],
        vec![dns.clone()],
        vec![uri(ID), uri(ID)],
        vec![uri(ID), other.clone()],
        vec![other, uri(ID)],
        vec![uri(ID), dns.clone()],
        vec![dns, uri(ID)],
        vec![uri(ID), mail],
    ] {
        let shown = format!("{names:?}");
        let refusal = reason(|params| params.subject_alt_names = names);
        assert_eq!(refusal, "BadCertificate", "{shown}");
    }
    for name in [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org/../a",
        "spiffe://Example.org/a",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a%2fb",
        "https://example.org/a",
        "SPIFFE://example.org/a",
        "",
        &format!("spiffe://example.org/{}", "a".repeat(2048)),
    ] {
        let refusal = reason(|params| params.subject_alt_names = vec![uri(name)]);
        assert_eq!(refusal, "BadSPIFFEID", "{name:.60}");
    }
}

#[test]
fn it_is_no_authority() {
    let ca = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    assert_eq!(reason(ca), "BadCertificate");
}

#[test]
fn its_key_signs_handshakes_and_neither_certificates_nor_lists() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    for usages in [
        vec![],
        vec![KeyEncipherment],
        vec![DigitalSignature, KeyCertSign],
        vec![DigitalSignature, CrlSign],
    ] {
        let shown = format!("{usages:?}");
        let refusal = reason(|params| params.key_usages = usages);
        assert_eq!(refusal, "BadCertificate", "{shown}");
    }
    verified(|params| params.key_usages = vec![DigitalSignature, KeyEncipherment]).unwrap();
}

#[test]
fn it_is_for_clients_and_servers() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    for usages in [
        vec![],
        vec![Any],
        vec![ServerAuth],
        vec![ClientAuth],
        vec![CodeSigning],
    ] {
        let shown = format!("{usages:?}");
        let refusal = reason(|params| params.extended_key_usages = usages);
        assert_eq!(refusal, "BadCertificate", "{shown}");
    }
}

#[test]
fn its_key_is_of_a_kind_that_is_accepted() {
    let root = root_ca("root");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(ID)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let leaf = params.signed_by(&key, &root).unwrap().der().to_vec();
    let refusal = verify_svid(&[leaf], &bundle_of(&root), start()).unwrap_err();
    assert_eq!(refusal.reason(), "WeakKey");
}
