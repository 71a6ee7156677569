//! The DER of a leaf: one fixed profile; and what lists share with it.
//!
//! CAs are written by rcgen. Leaves are not, because rcgen re-encodes the issuer's name from its
//! parts and loses repeated ones (`DC=example, DC=org`), after which no verifier finds the issuer.
//! Here the name is copied byte for byte.

use jiff::Timestamp;
use time::OffsetDateTime;
use yasna::models::{GeneralizedTime, ObjectIdentifier, UTCTime};
use yasna::{DERWriter, DERWriterSeq, Tag};

use crate::AuthorityError;
use crate::key::SigningKey;
use crate::public_key::{PublicKey, PublicKeyKind};

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const SERVER_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];
const ECDSA_WITH_SHA256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
const ECDSA_WITH_SHA384: &[u64] = &[1, 2, 840, 10045, 4, 3, 3];
const ED25519: &[u64] = &[1, 3, 101, 112];
const SHA256_WITH_RSA: &[u64] = &[1, 2, 840, 113549, 1, 1, 11];
/// RFC 5280, 4.1.2.5: from this year on GeneralizedTime.
const GENERALIZED_TIME_FROM: i32 = 2050;

/// 127 random bits: the first bit is 0 (a positive number), the second 1 (always 16 bytes), so
/// that a serial number is always 32 hex digits. RFC 5280 asks for at most 20 bytes, CAB Forum
/// for at least 64 random bits.
pub(crate) type Serial = [u8; 16];

/// Everything that varies between leaves.
pub(crate) struct LeafContent<'a> {
    pub(crate) serial: Serial,
    /// The issuer's subject as DER, byte for byte.
    pub(crate) issuer: &'a [u8],
    pub(crate) authority_key_id: &'a [u8],
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) public: &'a PublicKey,
    pub(crate) spiffe_id: &'a str,
}

pub(crate) fn random_serial() -> Result<Serial, AuthorityError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| AuthorityError::Crypto("no random bytes"))?;
    let [first, ..] = &mut serial;
    *first = *first & 0x3f | 0x40;
    Ok(serial)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// Whole seconds, as certificates have them.
pub(crate) fn whole_seconds(moment: Timestamp) -> Timestamp {
    later(moment, 0)
}

/// `moment` in whole seconds, `seconds` later; the end of time when that is out of range.
pub(crate) fn later(moment: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let sum = moment.as_second().saturating_add(seconds);
    Timestamp::from_second(sum).unwrap_or(Timestamp::MAX)
}

/// `moment` in whole seconds, `seconds` earlier.
pub(crate) fn earlier(moment: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let difference = moment.as_second().saturating_sub(seconds);
    Timestamp::from_second(difference).unwrap_or(Timestamp::MIN)
}

pub(crate) fn date_time(moment: Timestamp) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(moment.as_second())
        .ok()
        .filter(|it| (1950..=9999).contains(&it.year()))
        .ok_or_else(|| AuthorityError::BadTime(moment.to_string()))
}

/// A signed certificate.
pub(crate) fn leaf(content: &LeafContent<'_>, key: &SigningKey) -> Result<Vec<u8>, AuthorityError> {
    let tbs = to_be_signed(content, key.public().kind())?;
    let signature = key.sign(&tbs)?;
    Ok(signed(&tbs, key.public().kind(), &signature))
}

/// The frame that certificates and lists share: what is signed, how, and the signature.
pub(crate) fn signed(tbs: &[u8], signer: PublicKeyKind, signature: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(tbs);
            write_algorithm(writer.next(), signer);
            writer
                .next()
                .write_bitvec_bytes(signature, signature.len() * 8);
        });
    })
}

fn to_be_signed(
    content: &LeafContent<'_>,
    signer: PublicKeyKind,
) -> Result<Vec<u8>, AuthorityError> {
    let not_before = date_time(content.not_before)?;
    let not_after = date_time(content.not_after)?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer
                .next()
                .write_tagged(Tag::context(0), |writer| writer.write_u8(2));
            writer.next().write_bigint_bytes(&content.serial, true);
            write_algorithm(writer.next(), signer);
            writer.next().write_der(content.issuer);
            writer.next().write_sequence(|writer| {
                write_time(writer.next(), not_before);
                write_time(writer.next(), not_after);
            });
            // No subject: the SAN is the name (X.509-SVID, section 2), and critical for it.
            writer.next().write_sequence(|_| {});
            writer.next().write_der(content.public.spki());
            writer.next().write_tagged(Tag::context(3), |writer| {
                writer.write_sequence(|writer| write_extensions(writer, content));
            });
        });
    }))
}

fn write_extensions(writer: &mut DERWriterSeq<'_>, content: &LeafContent<'_>) {
    write_extension(writer, KEY_USAGE, true, |writer| {
        // The first bit: digitalSignature.
        writer.write_bitvec_bytes(&[0x80], 1);
    });
    write_extension(writer, EXTENDED_KEY_USAGE, false, |writer| {
        writer.write_sequence(|writer| {
            for usage in [SERVER_AUTH, CLIENT_AUTH] {
                writer
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(usage));
            }
        });
    });
    write_extension(writer, BASIC_CONSTRAINTS, true, |writer| {
        // CA is false by default, and DER leaves defaults out.
        writer.write_sequence(|_| {});
    });
    write_extension(writer, SUBJECT_KEY_IDENTIFIER, false, |writer| {
        writer.write_bytes(&content.public.key_identifier());
    });
    write_authority_key_id(writer, content.authority_key_id);
    write_extension(writer, SUBJECT_ALT_NAME, true, |writer| {
        writer.write_sequence(|writer| {
            writer
                .next()
                .write_tagged_implicit(Tag::context(6), |writer| {
                    writer.write_ia5_string(content.spiffe_id);
                });
        });
    });
}

/// RFC 5280, 4.2.1.1 and 5.2.1: the key identifier alone.
pub(crate) fn write_authority_key_id(writer: &mut DERWriterSeq<'_>, key_id: &[u8]) {
    write_extension(writer, AUTHORITY_KEY_IDENTIFIER, false, |writer| {
        writer.write_sequence(|writer| {
            writer
                .next()
                .write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_bytes(key_id);
                });
        });
    });
}

pub(crate) fn write_extension(
    writer: &mut DERWriterSeq<'_>,
    oid: &[u64],
    critical: bool,
    content: impl FnOnce(DERWriter<'_>),
) {
    writer.next().write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if critical {
            writer.next().write_bool(true);
        }
        writer.next().write_bytes(&yasna::construct_der(content));
    });
}

pub(crate) fn write_algorithm(writer: DERWriter<'_>, signer: PublicKeyKind) {
    let oid = match signer {
        PublicKeyKind::P256 => ECDSA_WITH_SHA256,
        PublicKeyKind::P384 => ECDSA_WITH_SHA384,
        PublicKeyKind::Ed25519 => ED25519,
        PublicKeyKind::Rsa => SHA256_WITH_RSA,
    };
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if signer == PublicKeyKind::Rsa {
            writer.next().write_null();
        }
    });
}

pub(crate) fn write_time(writer: DERWriter<'_>, moment: OffsetDateTime) {
    if moment.year() < GENERALIZED_TIME_FROM {
        writer.write_utctime(&UTCTime::from_datetime(moment));
    } else {
        writer.write_generalized_time(&GeneralizedTime::from_datetime(moment));
    }
}
