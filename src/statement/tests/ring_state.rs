//! The stored ring: believed in no part, and never shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixture::*;
use crate::{KeyRing, Purpose};

type Data = BTreeMap<String, Vec<u8>>;

fn data(ring: &KeyRing) -> Data {
    let data = ring.to_secret_data().into_iter();
    data.map(|(name, bytes)| (name, bytes.to_vec())).collect()
}

fn with_state(ring: &KeyRing, alter: impl Fn(&mut Value)) -> Data {
    let mut data = data(ring);
    let mut state: Value = serde_json::from_slice(&data["state.json"]).unwrap();
    alter(&mut state);
    data.insert("state.json".to_owned(), state.to_string().into_bytes());
    data
}

fn rotated() -> KeyRing {
    let prepared = step(&ring(), &want(), plus(start(), 15 * DAY));
    let active = step(&prepared, &want(), plus(start(), 25 * DAY));
    step(&active, &want(), plus(start(), 40 * DAY))
}

#[test]
fn a_ring_is_read_back_as_it_was_and_nothing_is_the_empty_ring() {
    for ring in [KeyRing::default(), ring(), rotated()] {
        assert_eq!(KeyRing::from_secret_data(&data(&ring)).unwrap(), ring);
    }
    assert!(data(&KeyRing::default()).is_empty());
    let names: Vec<String> = data(&ring()).into_keys().collect();
    let kid = ring().signer(Purpose::Lists).unwrap().kid().len();
    assert_eq!((names.len(), kid), (5, 64));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let ring = rotated();
    let refuse = |data: Data| {
        let refused = KeyRing::from_secret_data(&data).unwrap_err();
        assert_eq!(refused.category(), "bad-state", "{refused}");
    };
    let files: Vec<String> = data(&ring).into_keys().collect();
    for name in &files {
        let mut missing = data(&ring);
        missing.remove(name);
        refuse(missing);
        let mut junk = data(&ring);
        junk.insert(name.clone(), b"junk".to_vec());
        refuse(junk);
    }
    let mut more = data(&ring);
    more.insert("statements-00000000.key".to_owned(), Vec::new());
    refuse(more);
    let mut swapped = data(&ring);
    let one = swapped[&files[0]].clone();
    let other = swapped.insert(files[1].clone(), one).unwrap();
    swapped.insert(files[0].clone(), other);
    refuse(swapped);
    let unnamed =
        |of: &Value, names: &[&str]| json!(names.iter().map(|&name| &of[name]).collect::<Vec<_>>());
    let alterations: [&dyn Fn(&mut Value); 16] = [
        &|it| it["version"] = json!(3),
        &|it| it["extra"] = json!(1),
        &|it| it["keys"][0]["state"] = json!("Retired"),
        &|it| it["keys"][0]["kid"] = json!("0".repeat(64)),
        &|it| it["keys"][0]["purpose"] = json!("lists"),
        &|it| it["keys"][0]["notAfter"] = it["keys"][0]["notBefore"].clone(),
        &|it| it["retired"][0]["state"] = json!("Active"),
        &|it| it["retired"][0]["x"] = json!("AA"),
        &|it| it["retired"][0]["kid"] = it["retired"][1]["kid"].clone(),
        &|it| it["retired"] = json!([it["retired"][0].clone(), it["retired"][0].clone()]),
        &|it| it["keys"] = json!([]),
        &|it| it["keys"][0]["purpose"] = json!({"statements": null}),
        &|it| it["retired"][0]["state"] = json!({"Retired": null}),
        &|it| {
            *it = unnamed(
                it,
                &["version", "trustDomain", "sequence", "keys", "retired"],
            )
        },
        &|it| {
            let names =
                "kid purpose state epoch notBefore notAfter changedAt longestStatementSeconds";
            let names: Vec<&str> = names.split(' ').collect();
            it["keys"][0] = unnamed(&it["keys"][0], &names);
        },
        &|it| {
            let names = "kid purpose x state notBefore retiredAt until";
            let names: Vec<&str> = names.split(' ').collect();
            it["retired"][0] = unnamed(&it["retired"][0], &names);
        },
    ];
    for alter in alterations {
        refuse(with_state(&ring, alter));
    }
    let misnamed = KeyRing::from_secret_data(&with_state(&ring, |it| {
        it["trustDomain"] = json!("Not A Domain");
    }));
    misnamed.unwrap_err();
}

#[test]
fn a_ring_that_was_stored_without_a_key_for_jwt_svids_is_read_and_gets_one() {
    let ring = ring();
    let mut stored = with_state(&ring, |it| {
        it["version"] = json!(1);
        let keys = it["keys"].as_array_mut().unwrap();
        keys.retain(|key| key["purpose"] != "jwt-svids");
    });
    stored.retain(|name, _| !name.starts_with("jwt-svids-"));
    let old = KeyRing::from_secret_data(&stored).unwrap();
    assert_eq!(old.jwt_svid_key().unwrap_err().category(), "no-key");
    let version = |data: &Data| {
        let state: Value = serde_json::from_slice(&data["state.json"]).unwrap();
        state["version"].as_u64().unwrap()
    };
    let written = data(&old);
    assert_eq!(version(&written), 1, "while a reader of before can read it");
    assert_eq!(KeyRing::from_secret_data(&written).unwrap(), old);
    assert_eq!(old.next_change(&want()).unwrap().as_second(), 0);
    let next = step(&old, &want(), plus(start(), 10));
    next.jwt_svid_key().unwrap();
    assert_eq!(version(&data(&next)), 2);
    assert_eq!(next.sequence(), old.sequence() + 1);
    for purpose in Purpose::ALL {
        let kid = |ring: &KeyRing| ring.signer(purpose).unwrap().kid().to_owned();
        assert_eq!(kid(&next), kid(&old));
    }
}

#[test]
fn a_key_of_another_kind_than_its_purpose_is_refused() {
    let ring = ring();
    let jwt = data(&ring)
        .into_keys()
        .find(|it| it.starts_with("jwt-svids-"));
    let lists = data(&ring).into_keys().find(|it| it.starts_with("lists-"));
    let (jwt, lists) = (jwt.unwrap(), lists.unwrap());
    for (to, from) in [(&jwt, &lists), (&lists, &jwt)] {
        let mut mixed = data(&ring);
        let other = mixed[from].clone();
        mixed.insert(to.clone(), other);
        let refused = KeyRing::from_secret_data(&mixed).unwrap_err();
        assert!(refused.to_string().contains("another kind"), "{refused}");
    }
}

#[test]
fn no_debug_output_shows_a_private_key() {
    let ring = rotated();
    let signer = ring.signer(Purpose::Statements).unwrap();
    let shown = format!("{ring:?}{ring:#?}{signer:?}{signer:#?}");
    let flat: String = shown.split_whitespace().collect();
    for key in &ring.keys {
        let pem = key.key.to_pem();
        let body: String = pem.lines().filter(|it| !it.starts_with('-')).collect();
        use base64::Engine as _;
        let der = base64::engine::general_purpose::STANDARD
            .decode(&body)
            .unwrap();
        let seed = &der[der.len() - 32..];
        let list: Vec<String> = seed[8..16].iter().map(u8::to_string).collect();
        assert!(!flat.contains(&hex::encode(&seed[8..16])));
        assert!(!flat.contains(&list.join(",")));
        assert!(!flat.contains(&body[body.len() / 2..body.len() / 2 + 12]));
    }
}
