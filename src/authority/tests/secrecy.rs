//! Private keys stay private.

use std::fmt::Debug;

use super::fixture::*;
use crate::{AuthoritySet, KeyAlgorithm, PrivateKey, Signer};

/// No line of the key's PEM, none of its bytes in hex or as a list, is in the Debug text.
fn assert_hidden(shown: &dyn Debug, key_pem: &str) {
    let der = ders(key_pem).swap_remove(0);
    // A key's own bytes are in the middle; the head is the same for all.
    let middle = &der[der.len() / 3..der.len() / 3 + 8];
    let list: Vec<String> = middle.iter().map(u8::to_string).collect();
    for text in [format!("{shown:?}"), format!("{shown:#?}")] {
        let flat: String = text.split_whitespace().collect();
        for line in key_pem.lines() {
            assert!(!text.contains(line), "{text}");
        }
        assert!(!flat.contains(&hex::encode(middle)), "{text}");
        assert!(!flat.contains(&list.join(",")), "{text}");
    }
}

#[test]
fn no_debug_output_shows_a_private_key() {
    let set = first(&want());
    let slot = set.active().unwrap();
    let key = slot.key.to_pem();
    let signer: &Signer = &set.signer().unwrap().unwrap();
    for shown in [&set as &dyn Debug, slot, &slot.key, signer, &signer.key] {
        assert_hidden(shown, &key);
    }
    let issued = issue(signer, start());
    assert_hidden(&issued, issued.key_pem.as_ref().unwrap());
    assert_hidden(&request(ID), &key);
}

#[test]
fn no_error_carries_key_material() {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let pem = key.to_pem();
    for broken in [
        pem.replace("PRIVATE KEY", "OTHER KEY"),
        pem.replacen("M", "N", 1),
        format!("{}{}", *pem, *pem),
        pem.replace("-----END", "----END"),
    ] {
        if let Err(why) = PrivateKey::from_pem(&broken) {
            let text = format!("{why:?} {why}");
            assert!(
                pem.lines()
                    .all(|line| line.starts_with("---") || !text.contains(line))
            );
        }
    }
}

#[test]
fn a_retired_authority_has_no_key_any_more() {
    let mut want = want();
    let set = first(&want);
    let key = set.active().unwrap().key.to_pem();
    want.epoch = 2;
    let set = step(&set, &want, start());
    let set = step(&set, &want, plus(start(), 60));
    assert_eq!(set.retired().len(), 1);
    let secret: &str = key.lines().nth(1).unwrap();
    for content in stored(&set).values() {
        assert!(!String::from_utf8_lossy(content).contains(secret));
    }
}

#[test]
fn the_empty_set_has_no_secret_data() {
    assert!(AuthoritySet::default().to_secret_data().is_empty());
}
