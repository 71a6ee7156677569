//! Signed heads of an audit log's chains: whoever has one notices what was altered before it.

use countersign_core::json::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claims::{issuer, parse_issuer, time};
use crate::error::{Broken, shown};
use crate::{Purpose, Signer, TrustedKeys};

/// The longest checkpoint, in bytes.
const MAX_BYTES: usize = 4096;
/// The longest name of a chain.
const MAX_CHAIN_BYTES: usize = 256;

/// How far a chain had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// `iat`, whole seconds.
    pub issued_at: Timestamp,
    /// Which chain of the log: each writer has its own.
    pub chain: String,
    /// The sequence number of its last record.
    pub sequence: u64,
    /// That record's hash.
    pub hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    iat: i64,
    chain: String,
    seq: u64,
    hash: String,
}

/// Signs a checkpoint; `signer` must be one for checkpoints.
pub fn sign(checkpoint: &Checkpoint, signer: &Signer) -> Result<String, Broken> {
    check(&checkpoint.chain)?;
    let wire = Wire {
        iss: issuer(signer.trust_domain()),
        iat: checkpoint.issued_at.as_second(),
        chain: checkpoint.chain.clone(),
        seq: checkpoint.sequence,
        hash: hex::encode(checkpoint.hash),
    };
    let payload = serde_json::to_vec(&wire).map_err(|why| Broken::BadClaims(why.to_string()))?;
    signer.sign(Purpose::Checkpoints, &payload)
}

/// Verifies a compact checkpoint, of whatever age.
pub fn verify(compact: &str, keys: &TrustedKeys) -> Result<Checkpoint, Broken> {
    let (key, payload) = keys.open(compact, Purpose::Checkpoints, MAX_BYTES)?;
    let Object(wire): Object<Wire> = serde_json::from_slice(&payload)
        .map_err(|why| Broken::BadClaims(shown(&why.to_string())))?;
    keys.check_issuer(&parse_issuer(&wire.iss)?)?;
    check(&wire.chain)?;
    let issued_at = time("iat", wire.iat)?;
    key.signed_until(issued_at)?;
    let mut hash = [0; 32];
    hex::decode_to_slice(&wire.hash, &mut hash)
        .ok()
        .filter(|()| !wire.hash.bytes().any(|byte| byte.is_ascii_uppercase()))
        .ok_or_else(|| Broken::BadClaims("hash must be 64 digits of lower-case hex".to_owned()))?;
    Ok(Checkpoint {
        issued_at,
        chain: wire.chain,
        sequence: wire.seq,
        hash,
    })
}

fn check(chain: &str) -> Result<(), Broken> {
    if (1..=MAX_CHAIN_BYTES).contains(&chain.len()) {
        Ok(())
    } else {
        Err(Broken::BadClaims(
            "chain must have 1 to 256 bytes".to_owned(),
        ))
    }
}
