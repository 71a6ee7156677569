//! The set of authorities as a Secret's data, and back.
//!
//! Certificates and keys of the two slots are PEM files of their own, so that any tool can read
//! them; `state.json` has the rest. Reading believes nothing: whoever may write the Secret could
//! as well have mixed two backups.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certificate::{check_own_root, parse};
use crate::key::SigningKey;
use crate::pem_text::{self, MAX_CHAIN_BYTES};
use crate::{
    AuthorityCertificate, AuthorityError, AuthorityId, AuthoritySet, PrivateKey, RetiredAuthority,
    Slot, SlotName, SlotState, spiffe,
};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;
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
    bundle_sequence: u64,
    slots: BTreeMap<SlotName, StoredSlot>,
    retired: Vec<StoredRetired>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSlot {
    /// Ties the entry to its files: two pairs that changed places are noticed.
    id: AuthorityId,
    state: SlotState,
    epoch: u64,
    prepared_at: Timestamp,
    changed_at: Timestamp,
    #[serde(rename = "maxLeafTTLSeconds")]
    max_leaf_ttl_seconds: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredRetired {
    certificate: String,
    state: SlotState,
    early: bool,
    changed_at: Timestamp,
    leaves_over: Timestamp,
}

/// Reads a Secret's data; nothing at all is the empty set.
pub(crate) fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<AuthoritySet, AuthorityError> {
    if data.is_empty() {
        return Ok(AuthoritySet::default());
    }
    let known = [SlotName::A, SlotName::B].map(files).concat();
    if let Some(name) = data
        .keys()
        .find(|name| name.as_str() != STATE && !known.contains(&name.as_str()))
    {
        let name: String = name.chars().take(64).collect();
        return Err(bad(format!("the entry {name:?} is not known")));
    }
    let mut stored = stored(
        data.get(STATE)
            .ok_or_else(|| bad("state.json is missing"))?,
    )?;
    spiffe::check_trust_domain(&stored.trust_domain)?;
    let domain = stored.trust_domain;
    let a = slot(
        SlotName::A,
        stored.slots.remove(&SlotName::A),
        data,
        &domain,
    )?;
    let b = slot(
        SlotName::B,
        stored.slots.remove(&SlotName::B),
        data,
        &domain,
    )?;
    let retired = stored.retired.into_iter().map(|it| retired(it, &domain));
    let set = AuthoritySet {
        a,
        b,
        retired: retired.collect::<Result<_, _>>()?,
        bundle_sequence: stored.bundle_sequence,
        trust_domain: domain,
    };
    check_whole(&set)?;
    Ok(set)
}

/// The Secret's data; the empty set has none.
pub(crate) fn write(set: &AuthoritySet) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
    let mut data = BTreeMap::new();
    if *set == AuthoritySet::default() {
        return data;
    }
    let mut stored = Stored {
        version: VERSION,
        trust_domain: set.trust_domain.clone(),
        bundle_sequence: set.bundle_sequence,
        slots: BTreeMap::new(),
        retired: set.retired.iter().map(store_retired).collect(),
    };
    for (name, slot) in [(SlotName::A, &set.a), (SlotName::B, &set.b)] {
        let Some(slot) = slot else { continue };
        let [certificate, key] = files(name).map(str::to_owned);
        data.insert(
            certificate,
            Zeroizing::new(slot.certificate.pem().into_bytes()),
        );
        data.insert(key, Zeroizing::new(slot.key.to_pem().as_bytes().to_vec()));
        stored.slots.insert(name, store_slot(slot));
    }
    // Strings, numbers and times always serialise.
    let text = serde_json::to_vec(&stored).unwrap_or_default();
    data.insert(STATE.to_owned(), Zeroizing::new(text));
    data
}

fn files(name: SlotName) -> [&'static str; 2] {
    match name {
        SlotName::A => ["a.crt", "a.key"],
        SlotName::B => ["b.crt", "b.key"],
    }
}

fn stored(text: &[u8]) -> Result<Stored, AuthorityError> {
    if text.len() > MAX_STATE_BYTES {
        return Err(bad("state.json has more than 1 MiB"));
    }
    let unreadable = |why: serde_json::Error| bad(format!("state.json can't be read: {why}"));
    // First, so that a newer program's state is named as such.
    let VersionOnly { version } = serde_json::from_slice(text).map_err(unreadable)?;
    if version != VERSION {
        return Err(bad(format!(
            "state.json has version {version}, this program reads version {VERSION}"
        )));
    }
    serde_json::from_slice(text).map_err(unreadable)
}

fn slot(
    name: SlotName,
    stored: Option<StoredSlot>,
    data: &BTreeMap<String, Vec<u8>>,
    trust_domain: &str,
) -> Result<Option<Slot>, AuthorityError> {
    let [certificate_file, key_file] = files(name);
    let (stored, certificate, key) = match (stored, data.get(certificate_file), data.get(key_file))
    {
        (None, None, None) => return Ok(None),
        (Some(stored), Some(certificate), Some(key)) => (stored, certificate, key),
        _ => {
            return Err(bad(format!(
                "{certificate_file}, {key_file} and their entry in state.json belong together, and not all are there"
            )));
        }
    };
    let certificate = root(certificate_file, certificate, trust_domain)?;
    let key = std::str::from_utf8(key)
        .map_err(|_| bad(format!("{key_file} is not text")))
        .and_then(PrivateKey::from_pem)
        .map_err(|why| bad(format!("{key_file}: {why}")))?;
    let public = SigningKey::load(&key)?.public().spki().to_vec();
    if parse(certificate.der())?.public_key().raw != public {
        return Err(AuthorityError::KeyMismatch(certificate_file.to_owned()));
    }
    if *certificate.id() != stored.id {
        return Err(bad(format!(
            "{certificate_file} is not the authority {}",
            stored.id
        )));
    }
    if !matches!(stored.state, SlotState::Prepared | SlotState::Active) {
        return Err(bad(format!("{certificate_file} can't be {}", stored.state)));
    }
    if !(certificate.not_before()..=certificate.not_after()).contains(&stored.prepared_at) {
        return Err(bad(format!(
            "{certificate_file} was prepared outside of its validity"
        )));
    }
    Ok(Some(Slot {
        certificate,
        state: stored.state,
        epoch: stored.epoch,
        prepared_at: stored.prepared_at,
        changed_at: stored.changed_at,
        max_leaf_ttl_seconds: stored.max_leaf_ttl_seconds,
        key,
    }))
}

fn store_slot(slot: &Slot) -> StoredSlot {
    StoredSlot {
        id: slot.id().clone(),
        state: slot.state,
        epoch: slot.epoch,
        prepared_at: slot.prepared_at,
        changed_at: slot.changed_at,
        max_leaf_ttl_seconds: slot.max_leaf_ttl_seconds,
    }
}

fn retired(stored: StoredRetired, trust_domain: &str) -> Result<RetiredAuthority, AuthorityError> {
    let certificate = root(
        "a retired certificate",
        stored.certificate.as_bytes(),
        trust_domain,
    )?;
    if !matches!(stored.state, SlotState::Retired | SlotState::Distrusted) {
        return Err(bad(format!(
            "a retired certificate can't be {}",
            stored.state
        )));
    }
    if stored.leaves_over > certificate.not_after() {
        return Err(bad("a retired certificate has leaves that outlive it"));
    }
    Ok(RetiredAuthority {
        certificate,
        state: stored.state,
        early: stored.early,
        changed_at: stored.changed_at,
        leaves_over: stored.leaves_over,
    })
}

fn store_retired(retired: &RetiredAuthority) -> StoredRetired {
    StoredRetired {
        certificate: retired.certificate.pem(),
        state: retired.state,
        early: retired.early,
        changed_at: retired.changed_at,
        leaves_over: retired.leaves_over,
    }
}

/// One certificate that was made here for this trust domain.
fn root(
    what: &str,
    pem: &[u8],
    trust_domain: &str,
) -> Result<AuthorityCertificate, AuthorityError> {
    let wrong = |why: &dyn std::fmt::Display| bad(format!("{what}: {why}"));
    let pem = std::str::from_utf8(pem).map_err(|_| wrong(&"it is not text"))?;
    let block = pem_text::one_block(pem, MAX_CHAIN_BYTES).map_err(|why| wrong(&why))?;
    if block.label != "CERTIFICATE" {
        return Err(wrong(&"expected a CERTIFICATE block"));
    }
    check_own_root(&block.der, trust_domain).map_err(|why| wrong(&why))?;
    AuthorityCertificate::from_der(&block.der).map_err(|why| wrong(&why))
}

/// What only the entries together can show.
fn check_whole(set: &AuthoritySet) -> Result<(), AuthorityError> {
    let active = set.slots().filter(|slot| slot.state == SlotState::Active);
    match active.count() {
        1 => {}
        0 => return Err(bad("no authority is active")),
        _ => return Err(bad("two authorities are active")),
    }
    let mut ids = BTreeSet::new();
    let retired = set.retired.iter().map(RetiredAuthority::id);
    for id in set.slots().map(Slot::id).chain(retired) {
        if !ids.insert(id) {
            return Err(bad(format!("authority {id} is there twice")));
        }
    }
    Ok(())
}

fn bad(why: impl Into<String>) -> AuthorityError {
    AuthorityError::BadState(why.into())
}
