//! Signed lists of revoked statements, for those who verify offline.
//!
//! The digests are spread over partitions by their first bytes, so that a reader of one chain takes
//! few of them and a new revocation changes one. A list says when the next one is due: an older one
//! says nothing any more.

use countersign_core::json::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claims::{issuer, parse_issuer, time};
use crate::error::{Broken, shown};
use crate::{Digest, Purpose, Signer, TrustedKeys};

/// The longest list, in bytes: about 200,000 digests.
pub const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;
/// The most partitions.
pub const MAX_PARTITIONS: u32 = 65_536;

/// One partition of the revoked statements of a trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// `iat`, whole seconds.
    pub issued_at: Timestamp,
    /// `next_update`: from here on it is stale.
    pub next_update: Timestamp,
    /// `seq`: goes up with each change of this partition.
    pub sequence: u64,
    /// `partition`: which one, from 0.
    pub partition: u32,
    /// `partitions`: how many there are.
    pub partitions: u32,
    /// Ascending, each once.
    digests: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    iat: i64,
    next_update: i64,
    seq: u64,
    partition: u32,
    partitions: u32,
    digests: Vec<Digest>,
}

/// The partition that a digest belongs to: its first four bytes as a big-endian number, modulo
/// `partitions`.
pub fn partition_of(digest: &Digest, partitions: u32) -> u32 {
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_be_bytes([a, b, c, d]) % partitions.max(1)
}

impl List {
    /// A list of those of `digests` that belong to `partition`, in any order.
    pub fn new(
        issued_at: Timestamp,
        next_update: Timestamp,
        sequence: u64,
        (partition, partitions): (u32, u32),
        digests: impl IntoIterator<Item = Digest>,
    ) -> Result<Self, Broken> {
        let here = |digest: &Digest| partition_of(digest, partitions) == partition;
        let mut digests: Vec<_> = digests.into_iter().filter(here).collect();
        digests.sort_unstable();
        digests.dedup();
        let list = Self {
            issued_at,
            next_update,
            sequence,
            partition,
            partitions,
            digests,
        };
        list.check()?;
        Ok(list)
    }

    /// Signs it; `signer` must be one for lists.
    pub fn sign(&self, signer: &Signer) -> Result<String, Broken> {
        let wire = Wire {
            iss: issuer(signer.trust_domain()),
            iat: self.issued_at.as_second(),
            next_update: self.next_update.as_second(),
            seq: self.sequence,
            partition: self.partition,
            partitions: self.partitions,
            digests: self.digests.clone(),
        };
        let payload =
            serde_json::to_vec(&wire).map_err(|why| Broken::BadClaims(why.to_string()))?;
        let compact = signer.sign(Purpose::Lists, &payload)?;
        if compact.len() > MAX_LIST_BYTES {
            return Err(Broken::TooLarge {
                bytes: compact.len(),
                most: MAX_LIST_BYTES,
            });
        }
        Ok(compact)
    }

    /// Verifies a compact list. One that was to be replaced by `now` is refused as stale.
    pub fn verify(compact: &str, keys: &TrustedKeys, now: Timestamp) -> Result<Self, Broken> {
        let (key, payload) = keys.open(compact, Purpose::Lists, MAX_LIST_BYTES)?;
        let Object(wire): Object<Wire> = serde_json::from_slice(&payload)
            .map_err(|why| Broken::BadClaims(shown(&why.to_string())))?;
        keys.check_issuer(&parse_issuer(&wire.iss)?)?;
        let list = Self {
            issued_at: time("iat", wire.iat)?,
            next_update: time("next_update", wire.next_update)?,
            sequence: wire.seq,
            partition: wire.partition,
            partitions: wire.partitions,
            digests: wire.digests,
        };
        key.signed_until(list.issued_at)?;
        list.check()?;
        if list.next_update <= now {
            return Err(Broken::Stale(list.next_update));
        }
        Ok(list)
    }

    /// Is a statement with this digest revoked? None when it belongs to another partition, of which
    /// this list knows nothing.
    pub fn contains(&self, digest: &Digest) -> Option<bool> {
        (partition_of(digest, self.partitions) == self.partition)
            .then(|| self.digests.binary_search(digest).is_ok())
    }

    /// The digests, ascending.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    fn check(&self) -> Result<(), Broken> {
        let bad = |why: &str| Err(Broken::BadClaims(why.to_owned()));
        if !(1..=MAX_PARTITIONS).contains(&self.partitions) || self.partition >= self.partitions {
            return bad("partition must be below partitions, of which there are 1 to 65536");
        }
        if self.next_update.as_second() <= self.issued_at.as_second() {
            return bad("next_update must be after iat");
        }
        if !self.digests.is_sorted_by(|a, b| a < b) {
            return bad("digests must ascend");
        }
        if !self.digests.iter().all(|it| self.contains(it).is_some()) {
            return bad("a digest belongs to another partition");
        }
        Ok(())
    }
}
