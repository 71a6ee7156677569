//! A statement that was signed here or verified.

use crate::error::Broken;
use crate::jws::Compact;
use crate::{Claims, Digest};

/// The longest statement, in bytes of its compact form.
pub const MAX_STATEMENT_BYTES: usize = 32 * 1024;

/// One countersigned hop: made by [`crate::Signer::countersign`] or by verification only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    claims: Claims,
    digest: Digest,
    compact: String,
}

impl Statement {
    pub(crate) fn new(claims: Claims, digest: Digest, compact: String) -> Self {
        Self {
            claims,
            digest,
            compact,
        }
    }

    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What its children and revocation lists name it by.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The compact JWS.
    pub fn compact(&self) -> &str {
        &self.compact
    }
}

/// What a compact statement says, to show it or to look up its parents. **Nothing is verified**:
/// decide nothing by it.
pub fn read_unverified(compact: &str) -> Result<(Claims, Digest), Broken> {
    let parts = Compact::split(compact, MAX_STATEMENT_BYTES)?;
    let claims = Claims::read(&parts.payload()?)?;
    Ok((claims, Digest::of(parts.signing_input.as_bytes())))
}
