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
    made: Mutex<HashMap<List, (Instant, Arc<[u8]>)>>,
    /// The revoked statements of a trust domain: all partitions of a moment come from one look.
    looked: Mutex<HashMap<String, (Instant, Arc<BTreeSet<Digest>>)>>,
}

impl Lists {
    /// The bytes of a list.
    pub(crate) fn get(&self, ctx: &Context, list: &List) -> Result<Arc<[u8]>, ListError> {
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

/// Statements that don't count now although their time isn't up: whatever doesn't stand.
fn revoked_statements(ctx: &Context, domain: &str, now: Timestamp) -> BTreeSet<Digest> {
    let mut all: BTreeSet<Digest> = ctx
        .revocations
        .statements(domain, now)
        .into_iter()
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
    let now = crate::identity::whole_seconds(ctx.clock.now());
    let next = next_update(ctx, now);
    let failed = |why: countersign_authority::AuthorityError| ListError::NotNow(why.to_string());
    if signing.signer.id().as_str() == authority {
        let revoked = ctx.revocations.certificates(domain, now);
        let revoked = revoked.get(authority).map_or(&[][..], Vec::as_slice);
        return crl(&signing.signer, revoked, now, next).map_err(failed);
    }
    let prepared = match &signing.set {
        Some(set) => set.prepared_crl(number(now), now, next).map_err(failed)?,
        None => None,
    };
    match prepared {
        Some(list) if list.authority_id.as_str() == authority => Ok(list.der),
        _ => Err(ListError::Unknown(format!(
            "authority {authority} signs no lists: see the index at /revocations/{domain}"
        ))),
    }
}

fn crl(
    signer: &Signer,
    revoked: &[(Box<str>, super::ledger::RevokedCertificate)],
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
    Ok(signer.crl(&entries, number(now), now, next)?.der)
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
