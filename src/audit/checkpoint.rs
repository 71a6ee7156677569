//! Signed statements of how far a chain had come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chain::Hash;

/// A chain's record `seq` had this hash at that time, which fixes all records up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// `<trust domain>/<writer>`.
    pub chain: String,
    /// The newest record that it covers.
    pub seq: u64,
    /// That record's hash.
    pub hash: Hash,
    /// When it was signed, to the second.
    pub time: Timestamp,
}

/// A checkpoint and the token that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedCheckpoint {
    /// What was signed.
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    /// What [`CheckpointSigner`] made of it.
    pub token: String,
}

/// Signs checkpoints with a key of the trust domain that nobody with rights on the database has.
pub trait CheckpointSigner: Send + Sync {
    /// A token that [`CheckpointVerifier`] turns back into `checkpoint`; `None` while the trust
    /// domain has no key. Without a name it is about what belongs to none: any may sign. Must not block:
    /// it runs between two writes.
    fn sign(&self, trust_domain: &str, checkpoint: &Checkpoint) -> Option<String>;
}

/// Verifies what [`CheckpointSigner`] signed.
pub trait CheckpointVerifier: Send + Sync {
    /// What the token says, after its signature was found good and its signer to be of the trust
    /// domain in the chain's name, or any that is trusted where that name is empty.
    ///
    /// # Errors
    /// Why it isn't to be believed.
    fn verify(&self, token: &str) -> Result<Checkpoint, String>;
}
