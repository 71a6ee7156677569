//! SPIFFE documents: what is written is read, what was tampered with is not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fixture::*;
use crate::{AuthorityCertificate, Bundle, Wanted, verify_svid_pem};

fn document() -> Value {
    serde_json::from_str(&first(&want()).bundle().spiffe_json(300)).unwrap()
}

fn reason(document: &Value) -> &'static str {
    Bundle::from_spiffe_json(&document.to_string())
        .unwrap_err()
        .reason()
}

#[test]
fn what_is_written_is_read() {
    for key_algorithm in ALGORITHMS {
        let mut want = Wanted {
            key_algorithm,
            ..want()
        };
        let set = first(&want);
        want.epoch = 2;
        let set = step(&set, &want, start());
        let read = Bundle::from_spiffe_json(&set.bundle().spiffe_json(300)).unwrap();
        assert_eq!(read, set.bundle());
        assert_eq!((read.sequence, read.roots().len()), (2, 2));
        let issued = issue(&set.signer().unwrap().unwrap(), start());
        verify_svid_pem(&issued.chain_pem, &read, start()).unwrap();
    }
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let root = Ca::self_signed(ca_params("rsa"), key.unwrap()).unwrap();
    let bundle = bundle_of(&root);
    let read = Bundle::from_spiffe_json(&bundle.spiffe_json(1)).unwrap();
    assert_eq!(read, bundle);
}

#[test]
fn keys_of_other_uses_stand_beside_the_roots_and_are_ignored() {
    let bundle = first(&want()).bundle();
    let extra = [
        json!({"use": "countersign-statement", "kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "s1"}),
        json!({"use": "jwt-svid", "kty": "EC", "kid": "j1"}),
        json!({"kty": "EC"}),
    ];
    let text = bundle.spiffe_json_with(60, &extra, 42);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["spiffe_sequence"], 42);
    assert_eq!(document["spiffe_refresh_hint"], 60);
    let keys = document["keys"].as_array().unwrap();
    assert_eq!(keys[0]["use"], "x509-svid");
    assert_eq!(keys[1..], extra);
    let read = Bundle::from_spiffe_json(&text).unwrap();
    assert_eq!(read.roots(), bundle.roots());
    assert_eq!(read.sequence, 42);
    assert_eq!(
        bundle.spiffe_json_with(60, &[], bundle.sequence),
        bundle.spiffe_json(60)
    );
}

#[test]
fn an_extra_key_that_claims_to_be_a_root_is_left_out() {
    let bundle = first(&want()).bundle();
    let foreign = document()["keys"][0].clone();
    let text = bundle.spiffe_json_with(60, &[foreign], 1);
    assert_eq!(text, bundle.spiffe_json_with(60, &[], 1));
}

#[test]
fn a_document_without_roots_or_numbers_trusts_nobody() {
    for text in [
        r#"{"keys": []}"#,
        r#"{"keys": [{}, {"use": "x509"}, {"use": 5}, {"use": "X509-SVID", "x5c": 1}], "more": {}}"#,
        r#"{"keys": [7, null, "x509-svid", []], "spiffe_sequence": 0}"#,
    ] {
        let bundle = Bundle::from_spiffe_json(text).unwrap();
        assert_eq!((bundle.roots().len(), bundle.sequence), (0, 0));
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let nested = "[".repeat(200_000);
    for text in [
        "",
        " ",
        "null",
        "7",
        "[]",
        "{}",
        "{\"keys\"",
        r#"{"keys": {}}"#,
        r#"{"keys": null}"#,
        r#"{"keys": [], "keys": []}"#,
        r#"{"keys": []} {}"#,
        r#"{"keys": [], "spiffe_sequence": -1}"#,
        r#"{"keys": [], "spiffe_sequence": 1.5}"#,
        r#"{"keys": [], "spiffe_sequence": 99999999999999999999}"#,
        r#"{"keys": [], "spiffe_sequence": "1"}"#,
        &nested,
        &format!("{{\"keys\": {nested}"),
        &format!("{{\"keys\": []{}}}", " ".repeat(1 << 20)),
    ] {
        let refusal = Bundle::from_spiffe_json(text).unwrap_err();
        assert_eq!(refusal.reason(), "BadBundle", "{text:.60}");
    }
}

#[test]
fn a_root_must_be_one_certificate_and_nothing_else() {
    let good = document();
    let x5c = good["keys"][0]["x5c"][0].clone();
    for bad in [
        json!(null),
        json!([]),
        json!(x5c),
        json!([x5c, x5c]),
        json!([7]),
        json!([""]),
        json!(["!"]),
        json!([format!("{}\n", x5c.as_str().unwrap())]),
        json!([x5c.as_str().unwrap().replace('/', "_").replace('+', "-") + "="]),
        json!([STANDARD.encode("no certificate")]),
    ] {
        let mut document = good.clone();
        document["keys"][0]["x5c"] = bad.clone();
        let refusal = reason(&document);
        assert!(
            ["BadBundle", "BadCertificate"].contains(&refusal),
            "{bad:.60}"
        );
    }
}

#[test]
fn a_key_that_is_not_that_of_its_certificate_is_refused() {
    let (good, other) = (document(), document());
    for member in ["kty", "crv", "x", "y"] {
        let mut missing = good.clone();
        missing["keys"][0].as_object_mut().unwrap().remove(member);
        assert_eq!(reason(&missing), "BadBundle", "{member}");
    }
    let mut swapped = good.clone();
    swapped["keys"][0]["x5c"] = other["keys"][0]["x5c"].clone();
    assert_eq!(reason(&swapped), "BadBundle");
}

#[test]
fn a_leaf_in_place_of_a_root_is_refused() {
    let root = root_ca("root");
    let leaf = leaf_below(&root, |_| {});
    let leaf = Bundle::new(1, [AuthorityCertificate::from_der(&leaf).unwrap()]);
    let refusal = Bundle::from_spiffe_json(&leaf.spiffe_json(1)).unwrap_err();
    assert_eq!(refusal.reason(), "NotAnAuthority");
}

#[test]
fn one_bad_root_among_good_ones_makes_the_document_refused() {
    let mut good = document();
    let mut bad = document()["keys"][0].clone();
    bad["x"] = json!("AA");
    good["keys"].as_array_mut().unwrap().push(bad);
    assert_eq!(reason(&good), "BadBundle");
}

#[test]
fn a_root_that_comes_twice_is_there_once_and_too_many_are_refused() {
    let mut good = document();
    let root = good["keys"][0].clone();
    let keys = good["keys"].as_array_mut().unwrap();
    keys.resize(64, root.clone());
    let read = Bundle::from_spiffe_json(&good.to_string()).unwrap();
    assert_eq!(read.roots().len(), 1);
    good["keys"].as_array_mut().unwrap().push(root);
    assert_eq!(reason(&good), "BadBundle");
}
