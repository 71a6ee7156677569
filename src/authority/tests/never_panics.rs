//! Whatever bytes come from outside: an answer, never a panic.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::fixture::*;
use crate::pem_text::{self, encode};
use crate::{
    AuthorityCertificate, AuthorityId, AuthoritySet, Bundle, KeyAlgorithm, PrivateKey,
    RequestedKey, RevocationReason, Revoked, Signer, inspect_leaf, verify_svid, verify_svid_pem,
};

/// Some bytes of a good input replaced, removed, doubled or cut off.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Remove(Index),
    Double(Index, Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let index = any::<Index>;
    vec(
        prop_oneof![
            4 => (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
            1 => index().prop_map(Damage::Remove),
            1 => (index(), index()).prop_map(|(from, to)| Damage::Double(from, to)),
            1 => index().prop_map(Damage::Cut),
        ],
        1..6,
    )
}

fn damaged(good: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for one in damage {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match one {
            Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Remove(at) => {
                bytes.remove(at.index(length));
            }
            Damage::Double(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from..from, piece);
            }
            Damage::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

/// Everything that reads text.
fn read_text(text: &str) {
    drop(pem_text::blocks(text, 1 << 16));
    drop(RequestedKey::from_pkcs10_pem(text));
    drop(PrivateKey::from_pem(text));
    drop(AuthorityId::parse(text));
    drop(KeyAlgorithm::parse(text));
    drop(Signer::from_pem(text, text, Some(text), DOMAIN, start()));
    drop(verify_svid_pem(text, &Bundle::new(1, []), start()));
    drop(Bundle::from_spiffe_json(text));
}

/// Everything that reads DER, in its armour.
fn read_der(der: &[u8]) {
    drop(AuthorityCertificate::from_der(der));
    for label in [
        "CERTIFICATE",
        "CERTIFICATE REQUEST",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
    ] {
        let pem = encode(label, der);
        read_text(&pem);
        drop(inspect_leaf(pem.as_bytes(), Some(pem.as_bytes())));
    }
}

fn good_request() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key);
    request.unwrap().der().to_vec()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        read_der(&bytes);
        read_text(&String::from_utf8_lossy(&bytes));
        drop(inspect_leaf(&bytes, Some(&bytes)));
    }

    #[test]
    fn text_that_looks_like_pem(text in "(-----BEGIN [A-Z ]{0,12}-----\r?\n|[A-Za-z0-9+/=]{0,70}\n|[a-z]{1,4}: x\n|-----END [A-Z ]{0,12}-----\n| |\u{feff}|ä){0,12}") {
        read_text(&text);
        drop(inspect_leaf(text.as_bytes(), None));
    }

    #[test]
    fn what_was_encoded_is_decoded(der in vec(any::<u8>(), 0..5000)) {
        let block = pem_text::one_block(&encode("X Y", &der), 1 << 16).unwrap();
        prop_assert_eq!(block.label, "X Y");
        prop_assert_eq!(&*block.der, &der);
    }

    #[test]
    fn a_damaged_leaf(damage in damage()) {
        let set = first(&want());
        let issued = issue(&set.signer().unwrap().unwrap(), start());
        let der = ders(&issued.chain_pem).swap_remove(0);
        let changed = damaged(&der, &damage);
        read_der(&changed);
        // Whoever gets through says the same as the good one.
        if let Ok(svid) = verify_svid(&[changed], &set.bundle(), start()) {
            prop_assert_eq!(svid.serial_number, issued.serial_number.clone());
            prop_assert_eq!(svid.spiffe_id, ID);
        }
        let pem = damaged(issued.chain_pem.as_bytes(), &damage);
        drop(inspect_leaf(&pem, issued.key_pem.as_ref().map(|key| key.as_bytes())));
    }

    #[test]
    fn a_damaged_request(damage in damage()) {
        read_der(&damaged(&good_request(), &damage));
    }

    #[test]
    fn a_damaged_key(damage in damage()) {
        for algorithm in ALGORITHMS {
            let key = PrivateKey::generate(algorithm).unwrap().to_pem();
            read_der(&damaged(&ders(&key).swap_remove(0), &damage));
            read_text(&String::from_utf8_lossy(&damaged(key.as_bytes(), &damage)));
        }
    }

    #[test]
    fn a_damaged_authority(damage in damage()) {
        let root = root_ca("root");
        let der = damaged(root.der(), &damage);
        read_der(&der);
        let pem = encode("CERTIFICATE", &der);
        let key = root.key().serialize_pem();
        drop(Signer::from_pem(&pem, &key, None, DOMAIN, start()));
    }

    #[test]
    fn a_damaged_state_is_refused_or_usable(damage in damage(), which in any::<Index>()) {
        let mut data = stored(&first(&want()));
        let name = data.keys().nth(which.index(data.len())).unwrap().clone();
        let content = damaged(&data[&name], &damage);
        data.insert(name, content);
        if let Ok(set) = AuthoritySet::from_secret_data(&data) {
            drop(set.next(&want(), start()));
            set.next_change(&want());
            drop(set.bundle().spiffe_json(1));
            if let Ok(Some(signer)) = set.signer() {
                drop(signer.issue(&request(ID), start()));
            }
        }
    }

    #[test]
    fn a_damaged_bundle_document_is_refused_or_usable(damage in damage()) {
        let document = first(&want()).bundle().spiffe_json(300);
        let document = damaged(document.as_bytes(), &damage);
        if let Ok(bundle) = Bundle::from_spiffe_json(&String::from_utf8_lossy(&document)) {
            drop(bundle.spiffe_json(1));
            drop(verify_svid(&[vec![0x30]], &bundle, start()));
        }
    }

    #[test]
    fn any_list_of_revoked_certificates(
        serials in vec("[0-9a-fA-Fx]{0,44}", 0..5),
        at in -377_705_023_201_i64..253_402_207_200,
        length in -10_i64..1_000_000_000_000,
        number in any::<u64>(),
    ) {
        let signer = first(&want()).signer().unwrap().unwrap();
        let at = jiff::Timestamp::from_second(at).unwrap();
        let reason = RevocationReason::Superseded;
        let revoked: Vec<_> = serials
            .iter()
            .map(|serial_number| Revoked { serial_number, at, reason })
            .collect();
        let until = start().as_second() + length;
        let until = jiff::Timestamp::from_second(until).unwrap_or(jiff::Timestamp::MAX);
        drop(signer.crl(&revoked, number, start(), until));
        drop(signer.crl(&[], number, at, until));
    }

    #[test]
    fn any_secret_data(data in btree_map("(a|b)\\.(crt|key)|state\\.json|x", vec(any::<u8>(), 0..50), 1..6)) {
        let data: BTreeMap<String, Vec<u8>> = data;
        prop_assert!(AuthoritySet::from_secret_data(&data).is_err());
    }

    #[test]
    fn any_spiffe_id(id in "(spiffe://)?[a-zA-Z0-9./_%?#@:ä -]{0,60}") {
        let set = first(&want());
        drop(set.signer().unwrap().unwrap().issue(&request(&id), start()));
    }

    #[test]
    fn any_time(seconds in -377_705_023_201_i64..253_402_207_200, ttl in any::<u64>(), cap in any::<Option<i64>>()) {
        let now = jiff::Timestamp::from_second(seconds).unwrap();
        if let Ok(Some(set)) = AuthoritySet::default().next(&want(), now) {
            let mut asked = request(ID);
            asked.ttl_seconds = ttl;
            asked.not_after_cap = cap.and_then(|it| jiff::Timestamp::from_second(it).ok());
            drop(set.signer().unwrap().unwrap().issue(&asked, now));
            set.next_change(&want());
        }
    }
}
