//! What verifiers trust.

use crate::AuthorityCertificate;
use crate::encode::sha256;

/// The roots of a trust domain, sorted by id, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Goes up by one with each change of the content.
    pub sequence: u64,
    roots: Vec<AuthorityCertificate>,
}

impl Bundle {
    /// A bundle of `roots`, in any order.
    pub fn new(sequence: u64, roots: impl IntoIterator<Item = AuthorityCertificate>) -> Self {
        let mut roots: Vec<_> = roots.into_iter().collect();
        roots.sort_by(|a, b| (a.id(), a.der()).cmp(&(b.id(), b.der())));
        roots.dedup();
        Self { sequence, roots }
    }

    /// The roots.
    pub fn roots(&self) -> &[AuthorityCertificate] {
        &self.roots
    }

    /// `CERTIFICATE` blocks.
    pub fn pem(&self) -> String {
        self.roots.iter().map(AuthorityCertificate::pem).collect()
    }

    /// Hex of SHA-256 over the sorted certificates: equal for equal content.
    pub fn digest(&self) -> String {
        let mut ders: Vec<&[u8]> = self.roots.iter().map(AuthorityCertificate::der).collect();
        ders.sort_unstable();
        hex::encode(sha256(&ders.concat()))
    }
}
