//! Revocation lists as OpenSSL sees them.

use jiff::Timestamp;

use super::fixture::*;
use crate::RevocationReason::{self, CessationOfOperation, KeyCompromise, Unspecified};
use crate::{Bundle, Crl, Leaf, Revoked, Signer, Wanted};

/// A list that is good for a minute.
fn list(signer: &Signer, serials: &[(&str, RevocationReason)], now: Timestamp) -> Crl {
    let entries: Vec<_> = serials
        .iter()
        .map(|&(serial_number, reason)| Revoked {
            serial_number,
            at: now,
            reason,
        })
        .collect();
    signer.crl(&entries, 4096, now, plus(now, 60)).unwrap()
}

/// `openssl verify -crl_check` at `now`.
fn checked(
    openssl: &OpenSsl,
    leaf: &Leaf,
    bundle: &Bundle,
    crl: &Crl,
    now: Timestamp,
) -> Result<String, String> {
    openssl.write("roots.pem", bundle.pem());
    openssl.write("chain.pem", &leaf.chain_pem);
    openssl.write("list.pem", crl.pem());
    let time = now.as_second().to_string();
    openssl.run(&[
        "verify",
        "-x509_strict",
        "-no-CApath",
        "-no-CAstore",
        "-attime",
        &time,
        "-crl_check",
        "-CRLfile",
        "list.pem",
        "-CAfile",
        "roots.pem",
        "-untrusted",
        "chain.pem",
        "chain.pem",
    ])
}

#[test]
fn openssl_refuses_what_is_listed_passes_what_is_not_and_wants_a_current_list() {
    let openssl = OpenSsl::new();
    for key_algorithm in ALGORITHMS {
        let set = first(&Wanted {
            key_algorithm,
            ..want()
        });
        let signer = set.signer().unwrap().unwrap();
        let (bad, good) = (issue(&signer, start()), issue(&signer, start()));
        let crl = list(&signer, &[(&bad.serial_number, KeyCompromise)], start());
        let (bundle, now) = (set.bundle(), plus(start(), 30));
        checked(&openssl, &good, &bundle, &crl, now).unwrap();
        let refusal = checked(&openssl, &bad, &bundle, &crl, now).unwrap_err();
        assert!(refusal.contains("certificate revoked"), "{refusal}");
        let late = checked(&openssl, &good, &bundle, &crl, plus(start(), 61)).unwrap_err();
        assert!(late.contains("CRL has expired"), "{late}");
        let other = list(&first(&want()).signer().unwrap().unwrap(), &[], start());
        let unknown = checked(&openssl, &good, &bundle, &other, now).unwrap_err();
        assert!(
            unknown.contains("unable to get certificate CRL"),
            "{unknown}"
        );
        checked(&openssl, &good, &bundle, &list(&signer, &[], start()), now).unwrap();
    }
}

#[test]
fn openssl_verifies_a_lists_signature_and_prints_its_profile() {
    let openssl = OpenSsl::new();
    let set = first(&want());
    let signer = set.signer().unwrap().unwrap();
    let crl = list(
        &signer,
        &[("0a0b", CessationOfOperation), ("0c", Unspecified)],
        start(),
    );
    openssl.write("list.pem", crl.pem());
    openssl.write("root.pem", set.bundle().pem());
    let verify = ["crl", "-in", "list.pem", "-noout", "-verify", "-CAfile"];
    openssl.run(&[&verify[..], &["root.pem"]].concat()).unwrap();
    openssl.write("other.pem", first(&want()).bundle().pem());
    let other = openssl.run(&[&verify[..], &["other.pem"]].concat());
    assert!(other.is_err() || !other.unwrap().contains("verify OK"));

    let text = openssl
        .run(&["crl", "-in", "list.pem", "-noout", "-text"])
        .unwrap();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "Version 2 (0x1)",
        "Last Update: Nov 24 12:00:00 2026 GMT Next Update: Nov 24 12:01:00 2026 GMT",
        "X509v3 Authority Key Identifier:",
        "X509v3 CRL Number: 4096",
        "Serial Number: 0C Revocation Date: Nov 24 12:00:00 2026 GMT Serial Number: 0A0B Revocation Date: Nov 24 12:00:00 2026 GMT CRL entry extensions: X509v3 CRL Reason Code: Cessation Of Operation",
    ] {
        assert!(words.contains(expected), "{expected}\n{words}");
    }
}

#[test]
fn a_name_with_repeated_parts_is_the_same_in_the_list_byte_for_byte() {
    let openssl = OpenSsl::new();
    let subject = "/DC=org/DC=example/O=One/O=Two/CN=root";
    openssl
        .run(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "root.pem",
            "-subj",
            subject,
            "-days",
            "30",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ])
        .unwrap();
    // It is valid from the moment of this test on.
    let (root, key) = (openssl.read("root.pem"), openssl.read("key.pem"));
    let der = ders(&root).swap_remove(0);
    let parsed = crate::certificate::parse(&der).unwrap();
    let now = plus(crate::certificate::validity_start(&parsed), 60);
    let signer = Signer::from_pem(&root, &key, None, DOMAIN, now).unwrap();
    let (bad, good) = (issue(&signer, now), issue(&signer, now));
    let crl = list(&signer, &[(&bad.serial_number, KeyCompromise)], now);
    let bundle = signer.bundle(1);
    checked(&openssl, &good, &bundle, &crl, now).unwrap();
    let refusal = checked(&openssl, &bad, &bundle, &crl, now).unwrap_err();
    assert!(refusal.contains("certificate revoked"), "{refusal}");
}
