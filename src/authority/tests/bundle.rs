//! What verifiers get.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::fixture::*;
use crate::{Bundle, Wanted, verify_svid};

#[test]
fn equal_content_has_an_equal_digest_in_any_order() {
    let one = first(&want()).bundle().roots()[0].clone();
    let two = first(&want()).bundle().roots()[0].clone();
    let forth = Bundle::new(1, [one.clone(), two.clone()]);
    let back = Bundle::new(7, [two.clone(), one.clone(), two]);
    assert_eq!(forth.digest(), back.digest());
    assert_eq!(forth.pem(), back.pem());
    assert_eq!(back.roots().len(), 2);
    assert_ne!(forth.digest(), Bundle::new(1, [one]).digest());
}

#[test]
fn the_spiffe_document_has_a_key_for_each_root() {
    for (key_algorithm, kty, crv) in [
        (ALGORITHMS[0], "EC", "P-256"),
        (ALGORITHMS[1], "EC", "P-384"),
        (ALGORITHMS[2], "OKP", "Ed25519"),
    ] {
        let set = first(&Wanted {
            key_algorithm,
            ..want()
        });
        let document: Value = serde_json::from_str(&set.bundle().spiffe_json(300)).unwrap();
        assert_eq!(document["spiffe_sequence"], 1);
        assert_eq!(document["spiffe_refresh_hint"], 300);
        let [key] = document["keys"].as_array().unwrap().as_slice() else {
            panic!("one key")
        };
        assert_eq!(key["use"], "x509-svid");
        assert_eq!(key["kty"], kty);
        assert_eq!(key["crv"], crv);
        assert!(key.get("kid").is_none(), "not for X.509 (standard, 4.2.2)");
        let der = STANDARD.decode(key["x5c"][0].as_str().unwrap()).unwrap();
        assert_eq!(der, set.active().unwrap().certificate.der());
        assert_eq!(key["x5c"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn an_rsa_root_has_its_modulus_and_exponent() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let root = Ca::self_signed(ca_params("rsa"), key).unwrap();
    let root = crate::AuthorityCertificate::from_der(root.der()).unwrap();
    let document: Value = serde_json::from_str(&Bundle::new(1, [root]).spiffe_json(1)).unwrap();
    assert_eq!(document["keys"][0]["kty"], "RSA");
    assert_eq!(document["keys"][0]["e"], "AQAB");
    // 256 bytes without padding.
    assert_eq!(document["keys"][0]["n"].as_str().unwrap().len(), 342);
}

#[test]
fn the_pem_is_what_openssl_reads() {
    let openssl = OpenSsl::new();
    let mut want = want();
    want.epoch = 2;
    let set = step(&first(&super::fixture::want()), &want, start());
    openssl.write("bundle.pem", set.bundle().pem());
    let text = openssl
        .run(&["crl2pkcs7", "-nocrl", "-certfile", "bundle.pem"])
        .unwrap();
    openssl.write("bundle.p7", text);
    let listed = openssl
        .run(&["pkcs7", "-in", "bundle.p7", "-print_certs", "-noout"])
        .unwrap();
    assert_eq!(listed.matches("subject=").count(), 2);
}

#[test]
fn a_leaf_alone_is_led_to_its_root_by_what_the_bundle_has_in_between() {
    let root = root_ca("root");
    let middle = ca_below(&root, ca_params("middle"));
    let issuing = ca_below(&middle, ca_params("issuing"));
    let leaf = [leaf_below(&issuing, |_| {})];
    let roots = bundle_of(&root);
    verify_svid(&leaf, &roots, start()).unwrap_err();
    // In any order, and with roots and strangers among them.
    let stranger = ca_below(&root_ca("other"), ca_params("stranger"));
    let ders: Vec<&[u8]> = vec![issuing.der(), stranger.der(), root.der(), middle.der()];
    let whole = roots.clone().with_intermediates(ders);
    assert_eq!(whole.intermediates().count(), 2);
    assert_eq!(whole.digest(), roots.digest());
    verify_svid(&leaf, &whole, start()).unwrap();
    let read = roots
        .clone()
        .with_intermediates_pem(&whole.intermediates_pem());
    assert_eq!(read.unwrap(), whole);
    // One that is missing leaves nothing of those below it.
    let half = roots.clone().with_intermediates([issuing.der().as_ref()]);
    assert_eq!(half, roots);
    roots.with_intermediates_pem("x").unwrap_err();
}

#[test]
fn an_authority_below_no_root_of_the_bundle_is_no_anchor() {
    let (root, other) = (root_ca("root"), root_ca("other"));
    let issuing = ca_below(&other, ca_params("issuing"));
    let leaf = [leaf_below(&issuing, |_| {})];
    let ders: [&[u8]; 2] = [issuing.der(), other.der()];
    let bundle = bundle_of(&root).with_intermediates(ders);
    assert_eq!(bundle, bundle_of(&root));
    verify_svid(&leaf, &bundle, start()).unwrap_err();
    let none = Bundle::new(1, []).with_intermediates(ders);
    verify_svid(&leaf, &none, start()).unwrap_err();
    // Nor is a workload's certificate an authority.
    let alone = leaf_below(&root, |_| {});
    let bundle = bundle_of(&root).with_intermediates([alone.as_slice()]);
    assert_eq!(bundle.intermediates().count(), 0);
}

#[test]
fn authorities_are_found_by_their_ids_and_the_first_end_counts() {
    let root = root_ca("root");
    let issuing = ca_below(&root, ca_params("issuing"));
    let bundle = bundle_of(&root).with_intermediates([issuing.der().as_ref()]);
    let read = |der: &[u8]| crate::AuthorityCertificate::from_der(der).unwrap();
    for it in [read(root.der()), read(issuing.der())] {
        assert_eq!(bundle.authority(it.id()), Some(it.clone()));
        assert!(bundle.next_end(start()).unwrap() <= it.not_after());
    }
    let other = first(&want()).bundle().roots()[0].clone();
    assert_eq!(bundle.authority(other.id()), None);
}
