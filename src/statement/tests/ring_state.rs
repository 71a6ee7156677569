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
    assert_eq!((names.len(), kid), (4, 64));
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
        &|it| it["version"] = json!(2),
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
