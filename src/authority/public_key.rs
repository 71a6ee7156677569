//! Public keys that are accepted, in the one encoding that is accepted for each.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use x509_parser::der_parser::asn1_rs::FromDer;
use x509_parser::public_key::RSAPublicKey;
use yasna::models::ObjectIdentifier;

use crate::AuthorityError;
use crate::encode::sha256;

/// The kinds that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

/// A SubjectPublicKeyInfo that was checked for kind, size and encoding.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    kind: PublicKeyKind,
    spki: Vec<u8>,
    bits: Vec<u8>,
}

// The DER of everything in front of the key itself: one length, so one encoding (RFC 5480, 8410).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384_HEAD: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const ED25519_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const RSA_ENCRYPTION: &[u64] = &[1, 2, 840, 113549, 1, 1, 1];
/// Below it, an RSA key can be factored within the life of a deployment (NIST SP 800-57).
const RSA_MIN_BITS: usize = 2048;
/// Above it, aws-lc-rs and Go refuse to verify.
const RSA_MAX_BITS: usize = 8192;
/// Small exponents make padding mistakes exploitable (NIST SP 800-56B).
const RSA_MIN_EXPONENT: u64 = 65_537;
/// What aws-lc accepts at most.
const RSA_MAX_EXPONENT: u64 = (1 << 33) - 1;

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
    pub(crate) fn from_spki(spki: &[u8]) -> Result<Self, AuthorityError> {
        for (kind, head) in [
            (PublicKeyKind::P256, P256_HEAD.as_slice()),
            (PublicKeyKind::P384, &P384_HEAD),
            (PublicKeyKind::Ed25519, &ED25519_HEAD),
        ] {
            if let Some(bits) = spki.strip_prefix(head) {
                return Self::from_bits(kind, bits);
            }
        }
        let (rest, info) = x509_parser::x509::SubjectPublicKeyInfo::from_der(spki)
            .map_err(|_| weak("it can't be read"))?;
        if info.algorithm.algorithm.to_id_string() != "1.2.840.113549.1.1.1" {
            return Err(weak(&format!(
                "its kind or curve is not accepted (algorithm {})",
                info.algorithm.algorithm.to_id_string()
            )));
        }
        let key = Self::from_bits(PublicKeyKind::Rsa, &info.subject_public_key.data)?;
        if !rest.is_empty() || key.spki != spki {
            return Err(weak("its encoding is not the canonical one"));
        }
        Ok(key)
    }

    /// From what is inside the bit string: a point, 32 bytes, or an RSAPublicKey.
    pub(crate) fn from_bits(kind: PublicKeyKind, bits: &[u8]) -> Result<Self, AuthorityError> {
        let spki = match kind {
            PublicKeyKind::P256 => {
                check_curve_key(bits, 65, &ECDSA_P256_SHA256_ASN1)?;
                [&P256_HEAD, bits].concat()
            }
            PublicKeyKind::P384 => {
                check_curve_key(bits, 97, &ECDSA_P384_SHA384_ASN1)?;
                [&P384_HEAD, bits].concat()
            }
            PublicKeyKind::Ed25519 => {
                check_curve_key(bits, 32, &ED25519)?;
                [ED25519_HEAD.as_slice(), bits].concat()
            }
            PublicKeyKind::Rsa => check_rsa(bits)?,
        };
        Ok(Self {
            kind,
            spki,
            bits: bits.to_vec(),
        })
    }

    pub(crate) fn kind(&self) -> PublicKeyKind {
        self.kind
    }

    /// The SubjectPublicKeyInfo as DER.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The content of its bit string.
    pub(crate) fn key_bits(&self) -> &[u8] {
        &self.bits
    }

    /// RFC 7093, section 2, method 1: the leading 160 bits of SHA-256 over the bit string.
    pub(crate) fn key_identifier(&self) -> Vec<u8> {
        sha256(&self.bits).into_iter().take(20).collect()
    }

    /// Hex of SHA-256 over the SubjectPublicKeyInfo.
    pub(crate) fn sha256_hex(&self) -> String {
        hex::encode(sha256(&self.spki))
    }

    /// Modulus and exponent of an RSA key, without leading zeros.
    pub(crate) fn rsa_parts(&self) -> Option<(&[u8], &[u8])> {
        let (_, rsa) = RSAPublicKey::from_der(&self.bits).ok()?;
        Some((unpadded(rsa.modulus), unpadded(rsa.exponent)))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey")
            .field("kind", &self.kind)
            .field("sha256", &self.sha256_hex())
            .finish()
    }
}

fn check_curve_key(
    bits: &[u8],
    length: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Result<(), AuthorityError> {
    if bits.len() != length || (length != 32 && bits.first() != Some(&4)) {
        return Err(weak("its point is not in the uncompressed form"));
    }
    // Parsing checks that the point is on the curve.
    match ParsedPublicKey::new(algorithm, bits) {
        Ok(_) => Ok(()),
        Err(_) => Err(weak("its point is not on the curve")),
    }
}

/// Checks an RSAPublicKey (RFC 8017, A.1.1) and gives its canonical SubjectPublicKeyInfo.
fn check_rsa(bits: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    let (rest, rsa) = RSAPublicKey::from_der(bits).map_err(|_| weak("it can't be read"))?;
    let exponent = rsa
        .try_exponent()
        .map_err(|_| weak("its RSA exponent can't be read"))?;
    let modulus = unpadded(rsa.modulus);
    let size = modulus
        .first()
        .map_or(0, |lead| modulus.len() * 8 - lead.leading_zeros() as usize);
    if rsa.modulus.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Err(weak("its RSA modulus is negative"));
    }
    if size < RSA_MIN_BITS {
        return Err(weak(&format!("its RSA modulus has only {size} bits")));
    }
    if size > RSA_MAX_BITS {
        return Err(weak(&format!("its RSA modulus has {size} bits")));
    }
    if modulus.last().is_some_and(|byte| byte & 1 == 0) {
        return Err(weak("its RSA modulus is even"));
    }
    if !(RSA_MIN_EXPONENT..=RSA_MAX_EXPONENT).contains(&exponent) || exponent & 1 == 0 {
        return Err(weak(&format!("its RSA exponent is {exponent}")));
    }
    let canonical = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_bigint_bytes(modulus, true);
            writer.next().write_u64(exponent);
        });
    });
    if !rest.is_empty() || canonical != bits {
        return Err(weak("its encoding is not the canonical one"));
    }
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(RSA_ENCRYPTION));
                writer.next().write_null();
            });
            writer.next().write_bitvec_bytes(bits, bits.len() * 8);
        });
    }))
}

/// A positive number without leading zeros.
pub(crate) fn unpadded(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

fn weak(why: &str) -> AuthorityError {
    AuthorityError::WeakKey(why.to_owned())
}
