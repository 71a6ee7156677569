//! Reads back what a Secret holds, which anybody with access may have changed.

use jiff::Timestamp;

use crate::certificate::{only_uri, parse, validity_end, validity_start};
use crate::key::SigningKey;
use crate::pem_text::{self, PemProblem};
use crate::public_key::PublicKey;
use crate::{AuthorityError, AuthorityId, PrivateKey, spiffe, verify};

/// What a stored certificate says of itself. Its signature is not verified here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafFacts {
    /// The one URI SAN.
    pub spiffe_id: String,
    /// 32 lower-case hex digits.
    pub serial_number: String,
    /// Begin of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Hex of SHA-256 over the SubjectPublicKeyInfo.
    pub public_key_sha256: String,
    /// From its authority key identifier.
    pub authority_id: AuthorityId,
}

/// Reads a chain, leaf first, and with `key_pem` checks that the key is the leaf's. Refuses
/// anything that is not as [`crate::Signer::issue`] writes it; the caller still compares the facts with
/// what it expects.
pub fn inspect_leaf(chain_pem: &[u8], key_pem: Option<&[u8]>) -> Result<LeafFacts, AuthorityError> {
    let blocks = pem_text::blocks(text(chain_pem)?, pem_text::MAX_CHAIN_BYTES)
        .map_err(|why| AuthorityError::BadCertificate(why.to_string()))?;
    for block in &blocks {
        if block.label != "CERTIFICATE" {
            return Err(bad("expected CERTIFICATE blocks only"));
        }
        parse(&block.der)?;
    }
    let leaf = blocks.first().ok_or_else(|| bad("it is empty"))?;
    let parsed = parse(&leaf.der)?;
    verify::usages(&parsed).map_err(|why| match why {
        AuthorityError::SelfCheck(why) => AuthorityError::BadCertificate(why),
        other => other,
    })?;
    let spiffe_id = only_uri(&parsed)?;
    spiffe::trust_domain_of(spiffe_id)?;
    let public = PublicKey::from_spki(parsed.public_key().raw)?;
    if let Some(key_pem) = key_pem {
        let key = PrivateKey::from_pem(text(key_pem)?)?;
        if SigningKey::load(&key)?.public() != &public {
            return Err(AuthorityError::KeyMismatch(spiffe_id.to_owned()));
        }
    }
    let serial = verify::serial(&parsed).ok_or_else(|| bad("its serial number is not ours"))?;
    let authority = verify::authority_key_id(&parsed)
        .ok_or_else(|| bad("it has no authority key identifier"))?;
    Ok(LeafFacts {
        spiffe_id: spiffe_id.to_owned(),
        serial_number: hex::encode(serial),
        not_before: validity_start(&parsed),
        not_after: validity_end(&parsed),
        public_key_sha256: public.sha256_hex(),
        authority_id: AuthorityId::from_bytes(authority)?,
    })
}

fn text(bytes: &[u8]) -> Result<&str, AuthorityError> {
    std::str::from_utf8(bytes)
        .map_err(|_| AuthorityError::BadCertificate(PemProblem::NotText.to_string()))
}

fn bad(why: &str) -> AuthorityError {
    AuthorityError::BadCertificate(why.to_owned())
}
