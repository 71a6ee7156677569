//! What verifiers get.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::fixture::*;
use crate::{Bundle, Wanted};

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
