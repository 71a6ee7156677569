//! The Secret's data, whole and damaged.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixture::*;
use crate::{AuthorityError, AuthoritySet, Wanted};

type Data = BTreeMap<String, Vec<u8>>;

/// A set with an active, a prepared and a retired authority.
fn full() -> AuthoritySet {
    let mut want = want();
    want.epoch = 2;
    let set = step(&first(&super::fixture::want()), &want, start());
    let set = step(&set, &want, plus(start(), 60));
    want.epoch = 3;
    let set = step(&set, &want, plus(start(), 61));
    assert!(set.active().is_some() && set.prepared().is_some());
    assert_eq!(set.retired().len(), 1);
    set
}

fn refusal(data: &Data) -> AuthorityError {
    AuthoritySet::from_secret_data(data).unwrap_err()
}

fn edit(data: &Data, change: impl FnOnce(&mut Value)) -> Data {
    let mut state: Value = serde_json::from_slice(&data["state.json"]).unwrap();
    change(&mut state);
    let mut data = data.clone();
    data.insert("state.json".to_owned(), state.to_string().into_bytes());
    data
}

#[test]
fn what_was_written_is_read_back_exactly() {
    for key_algorithm in ALGORITHMS {
        let now = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        let want = Wanted {
            key_algorithm,
            epoch: u64::MAX,
            ..want()
        };
        let set = step(&AuthoritySet::default(), &want, now);
        assert_eq!(AuthoritySet::from_secret_data(&stored(&set)).unwrap(), set);
    }
    let set = full();
    let data = stored(&set);
    let read = AuthoritySet::from_secret_data(&data).unwrap();
    assert_eq!(read, set);
    assert_eq!(stored(&read), data);
    let names: Vec<_> = data.keys().map(String::as_str).collect();
    assert_eq!(names, ["a.crt", "a.key", "b.crt", "b.key", "state.json"]);
}

#[test]
fn no_data_is_the_empty_set() {
    let set = AuthoritySet::from_secret_data(&BTreeMap::new()).unwrap();
    assert_eq!(set, AuthoritySet::default());
    assert!(set.signer().unwrap().is_none());
    assert!(set.bundle().roots().is_empty());
    assert!(set.next_change(&want()).unwrap() < start(), "at once");
}

#[test]
fn the_state_has_no_key_in_it() {
    let data = stored(&full());
    let state = String::from_utf8(data["state.json"].clone()).unwrap();
    assert!(!state.contains("PRIVATE"));
}

#[test]
fn a_missing_or_an_unknown_entry_is_refused() {
    let data = stored(&full());
    for name in ["a.crt", "a.key", "b.crt", "b.key", "state.json"] {
        let mut less = data.clone();
        less.remove(name);
        assert_eq!(refusal(&less).reason(), "BadAuthorityState", "{name}");
    }
    let mut more = data.clone();
    more.insert("tls.key".to_owned(), Vec::new());
    assert_eq!(refusal(&more).reason(), "BadAuthorityState");
    let orphan = edit(&data, |state| {
        state["slots"].as_object_mut().unwrap().remove("b");
    });
    assert_eq!(refusal(&orphan).reason(), "BadAuthorityState");
}

#[test]
fn another_version_is_named() {
    let data = edit(&stored(&full()), |state| {
        state["version"] = json!(2);
        state["news"] = json!({});
    });
    assert!(refusal(&data).to_string().contains("version 2"));
}

#[test]
fn damaged_json_is_refused() {
    let data = stored(&full());
    for text in [
        "",
        "{}",
        "[]",
        "null",
        "{\"version\":1}",
        "\u{feff}{}",
        "{\"version\":-1}",
    ] {
        let mut damaged = data.clone();
        damaged.insert("state.json".to_owned(), text.as_bytes().to_vec());
        assert_eq!(refusal(&damaged).reason(), "BadAuthorityState", "{text}");
    }
    let huge = edit(&data, |state| {
        state["trustDomain"] = json!("a".repeat(1 << 20))
    });
    assert!(refusal(&huge).to_string().contains("1 MiB"));
}

#[test]
fn each_inconsistent_state_is_refused() {
    let data = stored(&full());
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 15] = [
        ("an unknown field", |s| s["extra"] = json!(1)),
        ("an unknown slot", |s| {
            s["slots"]["c"] = s["slots"]["a"].clone()
        }),
        ("two active", |s| {
            s["slots"]["a"]["state"] = json!("Active");
            s["slots"]["b"]["state"] = json!("Active");
        }),
        ("none active", |s| {
            s["slots"]["a"]["state"] = json!("Prepared");
            s["slots"]["b"]["state"] = json!("Prepared");
        }),
        ("a retired slot", |s| {
            s["slots"]["a"]["state"] = json!("Retired")
        }),
        ("a distrusted slot", |s| {
            s["slots"]["b"]["state"] = json!("Distrusted")
        }),
        ("an unknown state", |s| {
            s["slots"]["b"]["state"] = json!("Tainted")
        }),
        ("ids that changed places", |s| {
            let a = s["slots"]["a"]["id"].take();
            s["slots"]["a"]["id"] = s["slots"]["b"]["id"].take();
            s["slots"]["b"]["id"] = a;
        }),
        ("an active retired one", |s| {
            s["retired"][0]["state"] = json!("Active")
        }),
        ("a retired one twice", |s| {
            let again = s["retired"][0].clone();
            s["retired"].as_array_mut().unwrap().push(again);
        }),
        ("leaves that outlive it", |s| {
            s["retired"][0]["leavesOver"] = json!("2100-01-01T00:00:00Z");
        }),
        ("a retired one that is no certificate", |s| {
            s["retired"][0]["certificate"] = json!("hello");
        }),
        ("prepared before its time", |s| {
            s["slots"]["a"]["preparedAt"] = json!("2000-01-01T00:00:00Z");
        }),
        ("a time that is none", |s| {
            s["slots"]["a"]["changedAt"] = json!("soon")
        }),
        ("an epoch below zero", |s| {
            s["slots"]["a"]["epoch"] = json!(-1)
        }),
    ];
    for (name, change) in changes {
        let changed = edit(&data, change);
        assert_ne!(changed, data, "{name}");
        assert_eq!(refusal(&changed).reason(), "BadAuthorityState", "{name}");
    }
}

#[test]
fn a_trust_domain_that_is_not_that_of_the_certificates_is_refused() {
    let data = stored(&full());
    let other = edit(&data, |state| state["trustDomain"] = json!("example.com"));
    assert_eq!(refusal(&other).reason(), "BadAuthorityState");
    let none = edit(&data, |state| state["trustDomain"] = json!("Not A Domain"));
    assert_eq!(refusal(&none).reason(), "BadTrustDomain");
}

#[test]
fn files_that_dont_fit_together_are_refused() {
    let data = stored(&full());
    let swap = |one: &str, two: &str| {
        let mut swapped = data.clone();
        swapped.insert(one.to_owned(), data[two].clone());
        swapped.insert(two.to_owned(), data[one].clone());
        swapped
    };
    assert_eq!(refusal(&swap("a.key", "b.key")).reason(), "KeyMismatch");
    assert_eq!(refusal(&swap("a.crt", "b.crt")).reason(), "KeyMismatch");
    let mut both = swap("a.crt", "b.crt");
    both.insert("a.key".to_owned(), data["b.key"].clone());
    both.insert("b.key".to_owned(), data["a.key"].clone());
    assert_eq!(
        refusal(&both).reason(),
        "BadAuthorityState",
        "places changed"
    );
}

#[test]
fn certificates_that_were_not_made_here_are_refused() {
    let set = full();
    let data = stored(&set);
    let pem = |der: &[u8]| crate::pem_text::encode("CERTIFICATE", der).into_bytes();
    let own = ders(&String::from_utf8(data["a.crt"].clone()).unwrap()).swap_remove(0);
    let mut forged = own.clone();
    *forged.last_mut().unwrap() ^= 1;
    let leaf = issue(&set.signer().unwrap().unwrap(), plus(start(), 61)).chain_pem;
    let foreign = root_ca("somebody").pem();
    let mut tail = data["a.crt"].clone();
    tail.extend(b"trailing");
    for bad in [
        pem(&forged),
        pem(&[own.as_slice(), &[0]].concat()),
        leaf.into_bytes(),
        foreign.into_bytes(),
        tail,
        data["a.crt"].repeat(2),
        data["a.key"].clone(),
        b"\xff\xfe".to_vec(),
        Vec::new(),
    ] {
        let mut changed = data.clone();
        changed.insert("a.crt".to_owned(), bad);
        assert_eq!(refusal(&changed).reason(), "BadAuthorityState");
    }
    for bad in [b"\xff".to_vec(), Vec::new(), data["a.crt"].clone()] {
        let mut changed = data.clone();
        changed.insert("a.key".to_owned(), bad);
        assert_eq!(refusal(&changed).reason(), "BadAuthorityState");
    }
}
