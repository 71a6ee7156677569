//! What is asked for and what comes out.

use std::fmt;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{AuthorityId, KeyAlgorithm, RequestedKey};

/// A request for one X.509-SVID.
#[derive(Debug, Clone)]
pub struct LeafRequest<'a> {
    /// The one URI SAN. It must lie in the signer's trust domain and have a path.
    pub spiffe_id: &'a str,
    /// Whose key.
    pub key: LeafKey<'a>,
    /// Wanted lifetime from now on, in seconds.
    pub ttl_seconds: u64,
    /// The certificate ends by then, whatever the lifetime asked for.
    pub not_after_cap: Option<Timestamp>,
}

/// The key that a leaf certifies.
#[derive(Debug, Clone)]
pub enum LeafKey<'a> {
    /// A new one, handed over in [`Leaf::key_pem`].
    Generate(KeyAlgorithm),
    /// One that the agent keeps to itself.
    Public(&'a RequestedKey),
}

/// An issued certificate that passed the check before release.
#[derive(Clone)]
pub struct Leaf {
    /// The leaf and the intermediates, leaf first, without the root.
    pub chain_pem: String,
    /// PKCS#8, present when the key was generated here.
    pub key_pem: Option<Zeroizing<String>>,
    /// 32 lower-case hex digits.
    pub serial_number: String,
    /// Ten seconds before the moment of issue, for clocks that lag.
    pub not_before: Timestamp,
    /// The least of now + lifetime, the cap, and the end of the authority's chain.
    pub not_after: Timestamp,
    /// Hex of SHA-256 over the SubjectPublicKeyInfo.
    pub public_key_sha256: String,
    /// Who signed it.
    pub authority_id: AuthorityId,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("serial_number", &self.serial_number)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("public_key_sha256", &self.public_key_sha256)
            .field("authority_id", &self.authority_id)
            .field("key_pem", &self.key_pem.as_ref().map(|_| "[redacted]"))
            .finish_non_exhaustive()
    }
}
