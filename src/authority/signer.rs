//! An authority that signs.

use std::fmt;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::certificate::{BACKDATE_SECONDS, parse};
use crate::encode::{self, LeafContent};
use crate::key::SigningKey;
use crate::{
    AuthorityCertificate, AuthorityError, AuthorityId, AuthorityStatus, Bundle, Leaf, LeafKey,
    LeafRequest, PrivateKey, Slot, SlotState, byo, pem_text, spiffe, verify,
};

/// An authority ready to sign: certificate, key, the chain to its root, and the roots against
/// which each leaf is checked. Share it in an `Arc`.
pub struct Signer {
    pub(crate) trust_domain: String,
    pub(crate) certificate: AuthorityCertificate,
    pub(crate) key: SigningKey,
    /// The subject of `certificate`, byte for byte.
    pub(crate) issuer: Vec<u8>,
    pub(crate) key_id: Vec<u8>,
    /// What is sent after the leaf: from the issuing authority upwards, without the root.
    pub(crate) intermediates: Vec<CertificateDer<'static>>,
    pub(crate) roots: Vec<AuthorityCertificate>,
    pub(crate) anchors: Vec<TrustAnchor<'static>>,
    /// The whole chain is valid from here …
    pub(crate) not_before: Timestamp,
    /// … to here.
    pub(crate) not_after: Timestamp,
    pub(crate) max_leaf_ttl_seconds: u64,
}

impl Signer {
    /// An authority of your own: `chain_pem` is the issuing authority followed by intermediates up
    /// to (and possibly with) the root, `key_pem` its key, `roots_pem` the root or roots, when
    /// they are not in the chain. Refuses what could not issue certificates that verify, each
    /// with its reason.
    pub fn from_pem(
        chain_pem: &str,
        key_pem: &str,
        roots_pem: Option<&str>,
        trust_domain: &str,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        byo::signer(chain_pem, key_pem, roots_pem, trust_domain, now)
    }

    /// Its id, which is in the authority key identifier of each leaf.
    pub fn id(&self) -> &AuthorityId {
        self.certificate.id()
    }

    /// Its certificate.
    pub fn certificate(&self) -> &AuthorityCertificate {
        &self.certificate
    }

    /// The trust domain that it signs for.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// When the first certificate of its chain ends; no leaf lives longer.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The roots that verify its leaves.
    pub fn roots(&self) -> &[AuthorityCertificate] {
        &self.roots
    }

    /// The roots as a bundle, with what is between them and the leaves: for an authority of your own.
    pub fn bundle(&self, sequence: u64) -> Bundle {
        let below = self.intermediates.iter().map(AsRef::as_ref);
        Bundle::new(sequence, self.roots.iter().cloned()).with_intermediates(below)
    }

    /// For a status, for an authority of your own.
    pub fn status(&self) -> AuthorityStatus {
        AuthorityStatus {
            id: self.id().clone(),
            slot: SlotState::Active,
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }

    /// Does a chain in PEM, leaf first, verify against the roots at `now`?
    pub fn verify(&self, chain_pem: &[u8], now: Timestamp) -> Result<(), AuthorityError> {
        let broken = |why: &str| AuthorityError::ChainBroken(why.to_owned());
        let text = std::str::from_utf8(chain_pem).map_err(|_| broken("it is not text"))?;
        let blocks = pem_text::blocks(text, pem_text::MAX_CHAIN_BYTES)
            .map_err(|why| AuthorityError::ChainBroken(why.to_string()))?;
        let (leaf, above) = blocks.split_first().ok_or_else(|| broken("it is empty"))?;
        let above: Vec<_> = above
            .iter()
            .map(|block| CertificateDer::from(block.der.as_slice()))
            .collect();
        verify::chain(&leaf.der, &above, &self.anchors, now).map_err(AuthorityError::ChainBroken)
    }

    /// Issues one X.509-SVID, and gives it out only after an independent check.
    pub fn issue(&self, request: &LeafRequest<'_>, now: Timestamp) -> Result<Leaf, AuthorityError> {
        spiffe::check_id(request.spiffe_id, &self.trust_domain)?;
        let (not_before, not_after) = self.validity(request, now)?;
        let generated = match request.key {
            LeafKey::Generate(algorithm) => {
                let key = PrivateKey::generate(algorithm)?;
                let public = SigningKey::load(&key)?.public().clone();
                Some((key, public))
            }
            LeafKey::Public(_) => None,
        };
        let public = match (&generated, &request.key) {
            (Some((_, public)), _) => public,
            (None, LeafKey::Public(requested)) => requested.public(),
            (None, LeafKey::Generate(_)) => return Err(AuthorityError::Crypto("no key")),
        };
        let content = LeafContent {
            serial: encode::random_serial()?,
            issuer: &self.issuer,
            authority_key_id: &self.key_id,
            not_before,
            not_after,
            public,
            spiffe_id: request.spiffe_id,
        };
        let der = encode::leaf(&content, &self.key)?;
        verify::leaf(&der, &content)?;
        verify::chain_of_checked(&der, &self.intermediates, &self.anchors, now)
            .map_err(AuthorityError::SelfCheck)?;
        Ok(Leaf {
            chain_pem: self.chain_pem(&der),
            key_pem: generated.as_ref().map(|(key, _)| key.to_pem()),
            serial_number: hex::encode(content.serial),
            not_before,
            not_after,
            public_key_sha256: public.sha256_hex(),
            authority_id: self.id().clone(),
        })
    }

    pub(crate) fn from_slot(
        slot: &Slot,
        bundle: &Bundle,
        trust_domain: &str,
    ) -> Result<Self, AuthorityError> {
        let parsed = parse(slot.certificate.der())?;
        let anchors = bundle.roots().iter().map(verify::anchor);
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            key: SigningKey::load(&slot.key)?,
            issuer: parsed.subject().as_raw().to_vec(),
            key_id: crate::certificate::subject_key_id(&parsed)?.to_vec(),
            intermediates: Vec::new(),
            roots: bundle.roots().to_vec(),
            anchors: anchors.collect::<Result<_, _>>()?,
            not_before: slot.certificate.not_before(),
            not_after: slot.certificate.not_after(),
            max_leaf_ttl_seconds: slot.max_leaf_ttl_seconds,
            certificate: slot.certificate.clone(),
        })
    }

    fn validity(
        &self,
        request: &LeafRequest<'_>,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), AuthorityError> {
        if now < self.not_before {
            return Err(AuthorityError::NotYetValid {
                what: format!("authority {}", self.id()),
                not_before: self.not_before,
            });
        }
        let ttl = request.ttl_seconds.min(self.max_leaf_ttl_seconds);
        let cap = request
            .not_after_cap
            .map_or(Timestamp::MAX, encode::whole_seconds);
        let not_after = encode::later(now, ttl).min(cap).min(self.not_after);
        if not_after <= now {
            return Err(AuthorityError::NoLifetimeLeft { now, not_after });
        }
        let not_before = encode::earlier(now, BACKDATE_SECONDS).max(self.not_before);
        Ok((not_before, not_after))
    }

    fn chain_pem(&self, leaf: &[u8]) -> String {
        let mut pem = pem_text::encode("CERTIFICATE", leaf);
        for certificate in &self.intermediates {
            pem.push_str(&pem_text::encode("CERTIFICATE", certificate));
        }
        pem
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("trust_domain", &self.trust_domain)
            .field("certificate", &self.certificate)
            .field("key", &"[redacted]")
            .finish_non_exhaustive()
    }
}
