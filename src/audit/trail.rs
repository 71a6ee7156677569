//! From a certificate back to the first authorisation.

use std::collections::HashSet;

use crate::error::AuditError;
use crate::reader::Reader;
use crate::record::Record;

/// A chain has at most 16 hops; a longer one is none of ours, and a forged one must end too.
const MOST_HOPS: usize = 32;

/// Where a trail starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrailStart {
    /// A certificate's serial number.
    Serial(String),
    /// An identity.
    SpiffeId(String),
    /// A Delegation's UID.
    DelegationUid(String),
    /// The digest of a hop's statement.
    Digest(String),
    /// A record.
    Position {
        /// The chain.
        chain: String,
        /// The sequence number.
        seq: u64,
    },
}

impl Reader {
    /// All that led to `start`: its own records with those of the identity, then hop by hop those of
    /// each delegation above, to the root, which names the owner and the requester. Within a hop the
    /// oldest comes first. Empty if nothing is known.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn trail(&self, start: &TrailStart) -> Result<Vec<Record>, AuditError> {
        let first = match start {
            TrailStart::Serial(serial) => self.by_serial(serial).await?,
            TrailStart::SpiffeId(id) => self.by_spiffe_id(id).await?,
            TrailStart::DelegationUid(uid) => self.by_delegation_uid(uid).await?,
            TrailStart::Digest(digest) => self.by_digest(digest).await?,
            TrailStart::Position { chain, seq } => {
                self.by_position(chain, *seq).await?.into_iter().collect()
            }
        };
        let mut trail = Trail::default();
        let identities: HashSet<String> = (first.iter())
            .filter_map(|it| {
                let delegate = it
                    .entry
                    .delegation
                    .as_ref()
                    .and_then(|it| it.delegate.clone());
                it.entry.spiffe_id.clone().or(delegate)
            })
            .collect();
        trail.add(first);
        for id in identities {
            trail.add(self.by_spiffe_id(&id).await?);
        }
        let mut level = 0;
        while let Some(digests) = trail.next_level()
            && level < MOST_HOPS
        {
            for digest in digests {
                let records = self.by_digest(&digest).await?;
                trail.add(records);
            }
            level += 1;
        }
        Ok(trail.records)
    }
}

#[derive(Default)]
struct Trail {
    records: Vec<Record>,
    seen: HashSet<(String, u64)>,
    asked: HashSet<String>,
    /// Digests that a record of this level named.
    above: Vec<String>,
}

impl Trail {
    fn add(&mut self, records: Vec<Record>) {
        for record in records {
            let place = (record.position.chain.clone(), record.position.seq);
            if !self.seen.insert(place) {
                continue;
            }
            if let Some(delegation) = &record.entry.delegation {
                let named = std::iter::once(&delegation.digest).chain(&delegation.parent);
                for digest in named {
                    if !digest.is_empty() && self.asked.insert(digest.clone()) {
                        self.above.push(digest.clone());
                    }
                }
            }
            self.records.push(record);
        }
    }

    fn next_level(&mut self) -> Option<Vec<String>> {
        let level = std::mem::take(&mut self.above);
        (!level.is_empty()).then_some(level)
    }
}
