//! Chains of records: their names, and the hash that links each record to all before it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Separates this use of SHA-256 from any other.
const DOMAIN: &[u8] = b"countersign.dev/audit-record/v1\0";

/// What stands before the first record.
pub(crate) const GENESIS: Hash = Hash([0; 32]);

/// A SHA-256. As text, 64 digits of lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub(crate) [u8; 32]);

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// `<trust domain>/<writer>`.
    pub chain: String,
    /// From 1, without a gap.
    pub seq: u64,
    /// The record's hash, which covers all before it in its chain.
    pub hash: Hash,
}

impl Hash {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Of 64 digits of lower-case hex, and of nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|it| it.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a hash has 64 digits of lower-case hex"))
    }
}

/// The name of a chain: one for each trust domain and writer, so that writers never wait for each
/// other and none can fork another's.
pub(crate) fn chain_name(trust_domain: &str, writer: &str) -> String {
    format!("{trust_domain}/{writer}")
}

/// The trust domain of a chain's name.
pub(crate) fn trust_domain_of(chain: &str) -> &str {
    chain.split_once('/').map_or(chain, |(before, _)| before)
}

/// The hash of a record: SHA-256 over the domain, the length of the chain's name (u32), the name,
/// the sequence number (u64), the hash before (32 bytes) and the body to its end; numbers big-endian.
pub(crate) fn hash_of(chain: &str, seq: u64, previous: &Hash, body: &str) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(u32::try_from(chain.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(chain.as_bytes());
    hasher.update(seq.to_be_bytes());
    hasher.update(previous.0);
    hasher.update(body.as_bytes());
    Hash(hasher.finalize().into())
}
