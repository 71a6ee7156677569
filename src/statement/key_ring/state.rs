//! The ring as a Secret's data, and back. Reading believes nothing: whoever may write the Secret
//! could as well have mixed two backups.

use std::collections::{BTreeMap, BTreeSet};

use countersign_authority::{PrivateKey, SlotState};
use countersign_core::json::{Object, Word, present};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::public::PublicHalf;
use super::{KeyRing, RetiredKey, RingKey, file};
use crate::KeyPurpose;
use crate::error::{KeyError, shown};
use crate::trusted_keys::domain;

/// The version that is written: it knows keys for JWT-SVIDs.
const VERSION: u32 = 2;
/// The version before, without them: read, and written while there are none.
const WITHOUT_JWT_SVIDS: u32 = 1;
const STATE: &str = "state.json";
/// What a Secret can hold at most.
const MAX_STATE_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u32,
    trust_domain: String,
    sequence: u64,
    keys: Vec<Object<StoredKey>>,
    retired: Vec<Object<StoredRetired>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredKey {
    /// Ties the entry to its file: two keys that changed places are noticed.
    kid: String,
    purpose: Word<KeyPurpose>,
    state: Word<SlotState>,
    epoch: u64,
    not_before: Timestamp,
    not_after: Timestamp,
    changed_at: Timestamp,
    longest_statement_seconds: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredRetired {
    kid: String,
    purpose: Word<KeyPurpose>,
    /// As in a JWK (RFC 8037, or RFC 7518 with `y`).
    x: String,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    y: Option<String>,
    state: Word<SlotState>,
    not_before: Timestamp,
    retired_at: Timestamp,
    until: Option<Timestamp>,
}

/// Reads a Secret's data; nothing at all is the empty ring.
pub(super) fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<KeyRing, KeyError> {
    if data.is_empty() {
        return Ok(KeyRing::default());
    }
    let stored = stored(
        data.get(STATE)
            .ok_or_else(|| bad("state.json is missing"))?,
    )?;
    domain(&stored.trust_domain)?;
    let mut files: BTreeSet<&str> = data.keys().map(String::as_str).collect();
    files.remove(STATE);
    let mut keys = Vec::with_capacity(stored.keys.len());
    for Object(entry) in stored.keys {
        let name = file(entry.purpose.0, &entry.kid);
        let pem = data
            .get(&name)
            .ok_or_else(|| bad(format!("{name} is missing")))?;
        files.remove(name.as_str());
        keys.push(key(entry, &name, pem)?);
    }
    if let Some(name) = files.first() {
        return Err(bad(format!("the entry {:?} is not known", shown(name))));
    }
    let ring = KeyRing {
        trust_domain: stored.trust_domain,
        sequence: stored.sequence,
        keys,
        retired: stored
            .retired
            .into_iter()
            .map(|Object(entry)| retired(entry))
            .collect::<Result<_, _>>()?,
    };
    check_whole(&ring)?;
    Ok(ring)
}

/// The Secret's data; the empty ring has none.
pub(super) fn write(ring: &KeyRing) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
    let mut data = BTreeMap::new();
    if *ring == KeyRing::default() {
        return data;
    }
    for key in &ring.keys {
        let pem = key.key.to_pem().as_bytes().to_vec();
        data.insert(key.file(), Zeroizing::new(pem));
    }
    let stored = Stored {
        version: version(ring),
        trust_domain: ring.trust_domain.clone(),
        sequence: ring.sequence,
        keys: ring.keys.iter().map(store_key).map(Object).collect(),
        retired: ring.retired.iter().map(store_retired).map(Object).collect(),
    };
    // Strings, numbers and times always serialise.
    let text = serde_json::to_vec(&stored).unwrap_or_default();
    data.insert(STATE.to_owned(), Zeroizing::new(text));
    data
}

fn stored(text: &[u8]) -> Result<Stored, KeyError> {
    let unreadable =
        |why: serde_json::Error| bad(format!("state.json: {}", shown(&why.to_string())));
    if text.len() > MAX_STATE_BYTES {
        return Err(bad("state.json is too large"));
    }
    let Object(version): Object<VersionOnly> = serde_json::from_slice(text).map_err(unreadable)?;
    if !(WITHOUT_JWT_SVIDS..=VERSION).contains(&version.version) {
        return Err(bad(format!(
            "state.json has version {}, known are {WITHOUT_JWT_SVIDS} to {VERSION}",
            version.version
        )));
    }
    let Object(stored) = serde_json::from_slice(text).map_err(unreadable)?;
    Ok(stored)
}

fn key(entry: StoredKey, name: &str, pem: &[u8]) -> Result<RingKey, KeyError> {
    let text = std::str::from_utf8(pem).map_err(|_| bad(format!("{name} is not text")))?;
    let key = PrivateKey::from_pem(text).map_err(|why| bad(format!("{name}: {why}")))?;
    let public = PublicHalf::of(&key, entry.purpose.0);
    let public = public.ok_or_else(|| bad(format!("{name} is weak, or a key of another kind")))?;
    if entry.kid != public.kid() {
        return Err(bad(format!(
            "{name} is not the key {:?}",
            shown(&entry.kid)
        )));
    }
    if !matches!(entry.state.0, SlotState::Prepared | SlotState::Active) {
        return Err(bad(format!("{name} can't be {}", entry.state.0)));
    }
    if entry.not_after <= entry.not_before {
        return Err(bad(format!("{name} ends before it begins")));
    }
    Ok(RingKey {
        kid: entry.kid,
        purpose: entry.purpose.0,
        state: entry.state.0,
        epoch: entry.epoch,
        not_before: entry.not_before,
        not_after: entry.not_after,
        changed_at: entry.changed_at,
        longest_statement_seconds: entry.longest_statement_seconds,
        public,
        key,
    })
}

fn store_key(key: &RingKey) -> StoredKey {
    StoredKey {
        kid: key.kid.clone(),
        purpose: Word(key.purpose),
        state: Word(key.state),
        epoch: key.epoch,
        not_before: key.not_before,
        not_after: key.not_after,
        changed_at: key.changed_at,
        longest_statement_seconds: key.longest_statement_seconds,
    }
}

fn retired(entry: StoredRetired) -> Result<RetiredKey, KeyError> {
    let public = PublicHalf::from_jwk(entry.purpose.0, &entry.x, entry.y.as_deref());
    let public = public.ok_or_else(|| bad("a retired key is no key of its purpose's kind"))?;
    if entry.kid != public.kid() {
        return Err(bad(format!("a retired key is not {:?}", shown(&entry.kid))));
    }
    if !matches!(entry.state.0, SlotState::Retired | SlotState::Distrusted) {
        return Err(bad(format!("a retired key can't be {}", entry.state.0)));
    }
    Ok(RetiredKey {
        kid: entry.kid,
        purpose: entry.purpose.0,
        state: entry.state.0,
        not_before: entry.not_before,
        retired_at: entry.retired_at,
        until: entry.until,
        public,
    })
}

fn store_retired(key: &RetiredKey) -> StoredRetired {
    let (x, y) = key.public.coordinates();
    StoredRetired {
        kid: key.kid.clone(),
        purpose: Word(key.purpose),
        x,
        y,
        state: Word(key.state),
        not_before: key.not_before,
        retired_at: key.retired_at,
        until: key.until,
    }
}

/// What only the entries together can show.
fn check_whole(ring: &KeyRing) -> Result<(), KeyError> {
    for purpose in KeyPurpose::ALL {
        let count = |state| {
            let of_purpose = ring.keys.iter().filter(|key| key.purpose == purpose);
            of_purpose.filter(|key| key.state == state).count()
        };
        // A ring of before has none for JWT-SVIDs.
        let none = purpose == KeyPurpose::JwtSvids && count(SlotState::Prepared) == 0;
        if count(SlotState::Active) != 1 && !(none && count(SlotState::Active) == 0) {
            return Err(bad(format!("not exactly one key for {purpose} is active")));
        }
        if count(SlotState::Prepared) > 1 {
            return Err(bad(format!("two keys for {purpose} are prepared")));
        }
    }
    let mut kids = BTreeSet::new();
    let live = ring.keys.iter().map(|key| &key.kid);
    for kid in live.chain(ring.retired.iter().map(|key| &key.kid)) {
        if !kids.insert(kid) {
            return Err(bad(format!("key {kid} is there twice")));
        }
    }
    Ok(())
}

/// A reader of before takes what it knows.
fn version(ring: &KeyRing) -> u32 {
    let live = ring.keys.iter().map(|key| key.purpose);
    let mut all = live.chain(ring.retired.iter().map(|key| key.purpose));
    if all.any(|purpose| purpose == KeyPurpose::JwtSvids) {
        VERSION
    } else {
        WITHOUT_JWT_SVIDS
    }
}

fn bad(why: impl Into<String>) -> KeyError {
    KeyError::BadState(why.into())
}
