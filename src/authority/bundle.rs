//! What verifiers trust.

use std::sync::Arc;

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;

use crate::byo::{is_authority, is_signed_by};
use crate::certificate::{parse, validity_end};
use crate::encode::sha256;
use crate::pem_text::{self, MAX_CHAIN_BYTES};
use crate::{AuthorityCertificate, AuthorityError, AuthorityId};

/// A chain of one's own has few; twice as many where one takes the place of another, and more.
const MAX_INTERMEDIATES: usize = 16;

/// The roots of a trust domain, sorted by id, each once; and the authorities below them by which a
/// leaf that comes alone is led up to a root. Those are no anchors: by themselves they vouch for
/// nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Goes up by one with each change of the roots.
    pub sequence: u64,
    roots: Vec<AuthorityCertificate>,
    intermediates: Vec<Intermediate>,
}

/// An authority below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Intermediate {
    der: Arc<[u8]>,
    not_after: Timestamp,
}

impl Bundle {
    /// A bundle of `roots`, in any order.
    pub fn new(sequence: u64, roots: impl IntoIterator<Item = AuthorityCertificate>) -> Self {
        let mut roots: Vec<_> = roots.into_iter().collect();
        roots.sort_by(|a, b| (a.id(), a.der()).cmp(&(b.id(), b.der())));
        roots.dedup();
        Self {
            sequence,
            roots,
            intermediates: Vec::new(),
        }
    }

    /// The same roots, and of `ders` the first 16 that a root vouches for, directly or over others of
    /// them. What isn't an authority, and what no root leads to, is left out: it could help nobody.
    #[must_use]
    pub fn with_intermediates<'a>(mut self, ders: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut open: Vec<X509Certificate<'a>> = Vec::new();
        for der in ders {
            let known = self.roots.iter().any(|it| it.der() == der)
                || open.iter().any(|it| it.as_raw() == der);
            match parse(der) {
                Ok(parsed) if !known && is_authority(&parsed) => open.push(parsed),
                _ => {}
            }
        }
        let roots = self.roots.iter().filter_map(|it| parse(it.der()).ok());
        let roots: Vec<_> = roots.collect();
        // Each round takes those that the rounds before lead to.
        let mut led: Vec<X509Certificate<'a>> = Vec::new();
        loop {
            let (below, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|it| {
                roots.iter().any(|above| is_signed_by(it, above))
                    || led.iter().any(|above| is_signed_by(it, above))
            });
            open = rest;
            if below.is_empty() {
                break;
            }
            led.extend(below);
        }
        let kept = led.iter().take(MAX_INTERMEDIATES).map(|it| Intermediate {
            der: it.as_raw().into(),
            not_after: validity_end(it),
        });
        self.intermediates = kept.collect();
        drop((roots, led));
        self.intermediates.sort_by(|a, b| a.der.cmp(&b.der));
        self
    }

    /// [`Bundle::with_intermediates`] of `CERTIFICATE` blocks.
    ///
    /// # Errors
    /// It is no PEM of certificates.
    pub fn with_intermediates_pem(self, pem: &str) -> Result<Self, AuthorityError> {
        let blocks = pem_text::blocks(pem, MAX_CHAIN_BYTES)
            .map_err(|why| AuthorityError::BadCertificate(why.to_string()))?;
        if blocks.iter().any(|block| block.label != "CERTIFICATE") {
            let why = "expected CERTIFICATE blocks only".to_owned();
            return Err(AuthorityError::BadCertificate(why));
        }
        Ok(self.with_intermediates(blocks.iter().map(|block| block.der.as_slice())))
    }

    /// The roots.
    pub fn roots(&self) -> &[AuthorityCertificate] {
        &self.roots
    }

    /// DER of the authorities below the roots.
    pub fn intermediates(&self) -> impl Iterator<Item = &[u8]> {
        self.intermediates.iter().map(|it| it.der.as_ref())
    }

    /// `CERTIFICATE` blocks of the roots.
    pub fn pem(&self) -> String {
        self.roots.iter().map(AuthorityCertificate::pem).collect()
    }

    /// `CERTIFICATE` blocks of the authorities below the roots; empty where there are none.
    pub fn intermediates_pem(&self) -> String {
        let blocks = self.intermediates();
        blocks
            .map(|der| pem_text::encode("CERTIFICATE", der))
            .collect()
    }

    /// The root or the authority below one that has this id.
    pub fn authority(&self, id: &AuthorityId) -> Option<AuthorityCertificate> {
        let root = self.roots.iter().find(|it| it.id() == id).cloned();
        root.or_else(|| {
            let mut below = self.intermediates();
            below.find_map(|der| {
                let read = AuthorityCertificate::from_der(der).ok();
                read.filter(|it| it.id() == id)
            })
        })
    }

    /// When, after `now`, the first of its certificates ends.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let roots = self.roots.iter().map(AuthorityCertificate::not_after);
        let below = self.intermediates.iter().map(|it| it.not_after);
        roots.chain(below).filter(|end| now < *end).min()
    }

    /// Hex of SHA-256 over the sorted roots: equal for equal roots.
    pub fn digest(&self) -> String {
        let mut ders: Vec<&[u8]> = self.roots.iter().map(AuthorityCertificate::der).collect();
        ders.sort_unstable();
        hex::encode(sha256(&ders.concat()))
    }
}
