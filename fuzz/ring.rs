//! A trust domain's signing keys.

use std::collections::{BTreeMap, BTreeSet};

use countersign_statement::{KeyRing, Purpose, WantedKeys};
use serde_json::json;

use crate::{DOMAIN, Key, after, start};

/// The key with which `domain` signs for `purpose`.
pub fn key(domain: &str, purpose: Purpose) -> Key {
    let place = Purpose::ALL.iter().position(|it| *it == purpose);
    let place = u8::try_from(place.unwrap_or_default()).expect("there are three");
    Key::of(if domain == DOMAIN { 1 } else { 101 } + place)
}

/// The keys as they are stored: one for each purpose.
pub fn secret_data(domain: &str) -> BTreeMap<String, Vec<u8>> {
    let mut data = BTreeMap::new();
    let mut keys = Vec::new();
    for purpose in Purpose::ALL {
        let key = key(domain, purpose);
        data.insert(file(domain, purpose), key.pem().into_bytes());
        keys.push(json!({
            "kid": key.kid(), "purpose": purpose, "state": "Active", "epoch": 1,
            "notBefore": start(), "notAfter": after(30 * 86_400), "changedAt": start(),
            "longestStatementSeconds": 86_400,
        }));
    }
    let state = json!({
        "version": 1, "trustDomain": domain, "sequence": 1, "keys": keys, "retired": [],
    });
    data.insert("state.json".to_owned(), state.to_string().into_bytes());
    data
}

/// A retired key, as it is stored.
pub fn retired() -> serde_json::Value {
    let key = Key::of(9);
    json!({
        "kid": key.kid(), "purpose": Purpose::Statements, "x": key.x(), "state": "Retired",
        "notBefore": after(-86_400), "retiredAt": start(), "until": after(86_400),
    })
}

/// The name under which the key for `purpose` is stored.
pub fn file(domain: &str, purpose: Purpose) -> String {
    let kid = key(domain, purpose).kid();
    format!("{purpose}-{}.key", kid.get(..8).unwrap_or_default())
}

/// The ring of [`secret_data`].
pub fn ring(domain: &str) -> KeyRing {
    KeyRing::from_secret_data(&secret_data(domain)).expect("it is a ring")
}

/// What the trust domain wants of its keys.
pub fn wanted() -> WantedKeys {
    WantedKeys {
        trust_domain: DOMAIN.to_owned(),
        lifetime_seconds: 30 * 86_400,
        epoch: 1,
        distrusted: BTreeSet::new(),
        longest_statement_seconds: 86_400,
        propagated: true,
        propagation_seconds: 60,
    }
}
