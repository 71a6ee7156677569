//! OpenSSL as a verifier of its own.

use super::fixture::*;
use crate::{LeafKey, LeafRequest, Wanted};

#[test]
fn openssl_verifies_what_is_issued_with_every_algorithm() {
    let openssl = OpenSsl::new();
    for authority in ALGORITHMS {
        let want = Wanted {
            key_algorithm: authority,
            ..want()
        };
        let set = first(&want);
        let signer = set.signer().unwrap().unwrap();
        for own in ALGORITHMS {
            let asked = LeafRequest {
                key: LeafKey::Generate(own),
                ..request(ID)
            };
            let issued = signer.issue(&asked, start()).unwrap();
            openssl
                .verify(&set.bundle().pem(), &issued.chain_pem, start())
                .unwrap_or_else(|why| panic!("{own} by {authority}: {why}"));
        }
    }
}

#[test]
fn openssl_refuses_it_after_its_end_and_against_another_bundle() {
    let openssl = OpenSsl::new();
    let set = first(&want());
    let issued = issue(&set.signer().unwrap().unwrap(), start());
    let late = openssl.verify(
        &set.bundle().pem(),
        &issued.chain_pem,
        plus(start(), TTL + 1),
    );
    assert!(late.unwrap_err().contains("expired"));
    let other = first(&want());
    let foreign = openssl.verify(&other.bundle().pem(), &issued.chain_pem, start());
    assert!(foreign.unwrap_err().contains("unable to get local issuer"));
}

#[test]
fn openssl_prints_the_profile() {
    let openssl = OpenSsl::new();
    let set = first(&want());
    let issued = issue(&set.signer().unwrap().unwrap(), start());
    openssl.write("leaf.pem", &issued.chain_pem);
    let text = openssl
        .run(&["x509", "-in", "leaf.pem", "-noout", "-text"])
        .unwrap();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "Version: 3 (0x2)",
        "Not Before: Nov 24 11:59:50 2026 GMT Not After : Nov 24 12:10:00 2026 GMT",
        "Subject: Subject Public Key Info",
        "X509v3 Key Usage: critical Digital Signature X509v3",
        "X509v3 Extended Key Usage: TLS Web Server Authentication, TLS Web Client Authentication X509v3",
        "X509v3 Basic Constraints: critical CA:FALSE X509v3",
        &format!("X509v3 Subject Alternative Name: critical URI:{ID} Signature Algorithm"),
    ] {
        assert!(words.contains(expected), "{expected}\n{words}");
    }
    let serial = openssl
        .run(&["x509", "-in", "leaf.pem", "-noout", "-serial"])
        .unwrap();
    let expected = format!("serial={}", issued.serial_number.to_uppercase());
    assert_eq!(serial.trim(), expected);
}

#[test]
fn openssl_finds_that_the_key_is_that_of_the_leaf() {
    let openssl = OpenSsl::new();
    let set = first(&want());
    for own in ALGORITHMS {
        let asked = LeafRequest {
            key: LeafKey::Generate(own),
            ..request(ID)
        };
        let issued = set
            .signer()
            .unwrap()
            .unwrap()
            .issue(&asked, start())
            .unwrap();
        openssl.write("leaf.pem", &issued.chain_pem);
        openssl.write("key.pem", issued.key_pem.unwrap().as_bytes());
        let certified = openssl
            .run(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"])
            .unwrap();
        let held = openssl.run(&["pkey", "-in", "key.pem", "-pubout"]).unwrap();
        assert_eq!(certified, held);
    }
}
