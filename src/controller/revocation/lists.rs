//! Makes the lists, signed, and keeps each for a moment: a thousand verifiers ask for the same one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use countersign_authority::{Revoked, Signer};
use countersign_statement::{Digest, Purpose, revocation};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::context::Context;
use crate::delegation::{Standing, standing};
use crate::trust_domain::Keys;

/// Into so many parts a list of statements is split, by the first bytes of their digests.
pub(crate) const PARTITIONS: u32 = 16;
/// A list is made anew after so long, when somebody asks.
const FRESH: Duration = Duration::from_millis(500);

/// Lists are made from watches; one that fails for longer than this may have missed an end.
const TROUBLE_BOUND: Duration = Duration::from_secs(15);

/// Something, and when it was made.
type Made<T> = (Instant, Arc<T>);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum List {
    /// Statements of a trust domain: one partition.
    Statements(String, u32),
    /// Certificates of a trust domain's authority.
    Certificates(String, String),
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    NotNow(String),
}

/// Lists that were made a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    made: Mutex<HashMap<List, Made<[u8]>>>,
    /// The revoked statements of a trust domain: all partitions of a moment come from one look.
    looked: Mutex<HashMap<String, Made<BTreeSet<Digest>>>>,
}

impl Lists {
    /// The bytes of a list.
    pub(crate) fn get(&self, ctx: &Context, list: &List) -> Result<Arc<[u8]>, ListError> {
        // A list that lacks something would be believed: none is better.
        if let Some(why) = unsure(ctx) {
            return Err(ListError::NotNow(why));
        }
        let mut made = self.made.lock();
        made.retain(|_, (at, _)| at.elapsed() < FRESH);
        if let Some((_, bytes)) = made.get(list) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = match list {
            List::Statements(domain, partition) => {
                let keys = signing_keys(ctx, domain)?; // of a trust domain that there is
                let revoked = self.revoked(ctx, domain);
                statements(ctx, &keys, *partition, &revoked)?.into()
            }
            List::Certificates(domain, authority) => certificates(ctx, domain, authority)?.into(),
        };
        made.insert(list.clone(), (Instant::now(), Arc::clone(&bytes)));
        Ok(bytes)
    }

    fn revoked(&self, ctx: &Context, domain: &str) -> Arc<BTreeSet<Digest>> {
        let mut looked = self.looked.lock();
        if let Some((at, digests)) = looked.get(domain)
            && at.elapsed() < FRESH
        {
            return Arc::clone(digests);
        }
        let digests = Arc::new(revoked_statements(ctx, domain, ctx.clock.now()));
        looked.insert(domain.to_owned(), (Instant::now(), Arc::clone(&digests)));
        digests
    }
}

fn statements(
    ctx: &Context,
    keys: &Keys,
    partition: u32,
    revoked: &BTreeSet<Digest>,
) -> Result<Vec<u8>, ListError> {
    if partition >= PARTITIONS {
        return Err(ListError::Unknown(format!(
            "there are {PARTITIONS} partitions, from 0"
        )));
    }
    let now = ctx.clock.now();
    let signer = keys.ring.signer(Purpose::Lists);
    let signer = signer.map_err(|why| ListError::NotNow(why.to_string()))?;
    let list = revocation::List::new(
        now,
        next_update(ctx, now),
        number(now),
        (partition, PARTITIONS),
        revoked.iter().copied(),
    );
    let signed = list.and_then(|list| list.sign(&signer));
    let signed = signed.map_err(|why| ListError::NotNow(why.to_string()))?;
    Ok(signed.into_bytes())
}

/// Why nobody can say what is revoked just now.
fn unsure(ctx: &Context) -> Option<String> {
    if !ctx.revocations.complete() {
        return Some("what ended before this replica led is being looked up".to_owned());
    }
    if ctx.skew.off() {
        return Some("the operator's clock and the API server's are too far apart".to_owned());
    }
    let troubles = [
        ctx.identities.seen().trouble(),
        ctx.delegations.objects.seen().trouble(),
        ctx.owners.trouble(),
    ];
    let lasting = troubles
        .into_iter()
        .flatten()
        .find(|trouble| trouble.since.elapsed() > TROUBLE_BOUND);
    lasting.map(|trouble| format!("a watch fails: {}", trouble.message))
}

/// Statements that don't count now although their time isn't up: whatever doesn't stand.
fn revoked_statements(ctx: &Context, domain: &str, now: Timestamp) -> BTreeSet<Digest> {
    let gone = ctx.revocations.statements(domain, now).into_iter();
    // One that an object holds is judged by that object.
    let mut all: BTreeSet<Digest> = gone
        .filter(|digest| ctx.delegations.with_digest(digest).is_none())
        .collect();
    let mut candidates = Vec::new();
    ctx.delegations.objects.seen().for_each(|key, object| {
        let facts = &object.facts;
        let counts = facts.domain.as_deref() == Some(domain)
            && facts.expires.is_some_and(|expires| expires > now);
        if let Some(digest) = facts.digest.filter(|_| counts) {
            candidates.push((key.clone(), digest));
        }
    });
    for (key, digest) in candidates {
        // Anything unknown is revoked, too.
        if standing(ctx, &key, now) != Some(Standing::Good) {
            all.insert(digest);
        }
    }
    all
}

fn certificates(ctx: &Context, domain: &str, authority: &str) -> Result<Vec<u8>, ListError> {
    let known = ctx.domains.get(domain);
    let known = known.ok_or_else(|| ListError::Unknown(format!("no trust domain {domain}")))?;
    let signing = known.signing.as_ref();
    let signing = signing.map_err(|why| ListError::NotNow(why.message.clone()))?;
    let exactly = ctx.clock.now();
    let number = number(exactly); // a second may have several
    let now = crate::identity::whole_seconds(exactly);
    let next = next_update(ctx, now);
    let failed = |why: countersign_authority::AuthorityError| ListError::NotNow(why.to_string());
    if signing.signer.id().as_str() == authority {
        let revoked = ctx.revocations.certificates(domain, now);
        let revoked = revoked.get(authority).map_or(&[][..], Vec::as_slice);
        return crl(&signing.signer, revoked, number, now, next).map_err(failed);
    }
    let prepared = signing.set.as_ref().filter(|set| {
        let prepared = set.prepared();
        prepared.is_some_and(|slot| slot.id().as_str() == authority)
    });
    let prepared = match prepared {
        Some(set) => set.prepared_crl(number, now, next).map_err(failed)?,
        None => None,
    };
    match prepared {
        Some(list) => Ok(list.der),
        None => Err(ListError::Unknown(format!(
            "authority {authority} signs no lists: see the index at /revocations/{domain}"
        ))),
    }
}

fn crl(
    signer: &Signer,
    revoked: &[(Box<str>, super::ledger::RevokedCertificate)],
    number: u64,
    now: Timestamp,
    next: Timestamp,
) -> Result<Vec<u8>, countersign_authority::AuthorityError> {
    let entries: Vec<Revoked<'_>> = revoked
        .iter()
        .map(|(serial_number, it)| Revoked {
            serial_number,
            at: crate::identity::whole_seconds(it.at),
            reason: it.reason,
        })
        .collect();
    Ok(signer.crl(&entries, number, now, next)?.der)
}

fn signing_keys(ctx: &Context, domain: &str) -> Result<Arc<Keys>, ListError> {
    let known = ctx.domains.get(domain);
    let known = known.ok_or_else(|| ListError::Unknown(format!("no trust domain {domain}")))?;
    match &known.keys {
        Ok(keys) => Ok(Arc::clone(keys)),
        Err(why) => Err(ListError::NotNow(why.message.clone())),
    }
}

fn next_update(ctx: &Context, now: Timestamp) -> Timestamp {
    let life = SignedDuration::from_secs(ctx.revocation_seconds.into());
    crate::identity::whole_seconds(now.checked_add(life).unwrap_or(Timestamp::MAX))
}

fn number(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}
