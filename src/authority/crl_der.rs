//! The DER of a revocation list (RFC 5280, 5.1), with the issuer's name byte for byte.

use jiff::Timestamp;
use yasna::{DERWriter, DERWriterSeq, Tag};

use crate::encode::{self, write_algorithm, write_extension, write_time};
use crate::public_key::unpadded;
use crate::{AuthorityError, RevocationReason, Revoked, Signer};

const CRL_NUMBER: &[u64] = &[2, 5, 29, 20];
const REASON_CODE: &[u64] = &[2, 5, 29, 21];
/// RFC 5280, 4.1.2.2.
const MAX_SERIAL_BYTES: usize = 20;
/// A million entries are 50 MB: nobody downloads more. Leaves are short so that lists are.
const MAX_ENTRIES: usize = 1_000_000;

/// One line of a list.
pub(crate) struct Entry {
    /// The magnitude, without leading zeros.
    serial: Vec<u8>,
    at: Timestamp,
    reason: RevocationReason,
}

/// By serial number, each once.
pub(crate) fn entries(revoked: &[Revoked<'_>]) -> Result<Vec<Entry>, AuthorityError> {
    if revoked.len() > MAX_ENTRIES {
        return Err(AuthorityError::BadRevocation(format!(
            "it would have more than {MAX_ENTRIES} entries"
        )));
    }
    let entry = |it: &Revoked<'_>| {
        Ok(Entry {
            serial: serial(it.serial_number)?,
            at: encode::whole_seconds(it.at),
            reason: it.reason,
        })
    };
    let mut entries = revoked.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by(|a, b| {
        let a_key = (a.serial.len(), &a.serial, a.at);
        a_key.cmp(&(b.serial.len(), &b.serial, b.at))
    });
    entries.dedup_by(|later, first| {
        let same = later.serial == first.serial;
        if same && first.reason == RevocationReason::CertificateHold {
            first.reason = later.reason;
        }
        same
    });
    Ok(entries)
}

fn serial(hex: &str) -> Result<Vec<u8>, AuthorityError> {
    let bytes = hex::decode(hex).unwrap_or_default();
    let magnitude = unpadded(&bytes);
    // A first bit of 1 takes one more byte.
    let padding = usize::from(magnitude.first().is_some_and(|byte| byte & 0x80 != 0));
    if magnitude.is_empty() || magnitude.len() + padding > MAX_SERIAL_BYTES {
        let shown: String = hex.chars().take(64).collect();
        return Err(AuthorityError::BadRevocation(format!(
            "{shown:?} is not a serial number: use the hex of 1 to 20 bytes"
        )));
    }
    Ok(magnitude.to_vec())
}

/// RFC 5280, 5.1.2.
pub(crate) fn to_be_signed(
    signer: &Signer,
    entries: &[Entry],
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
) -> Result<Vec<u8>, AuthorityError> {
    let this_update = encode::date_time(this_update)?;
    let next_update = encode::date_time(next_update)?;
    let revoked = entries
        .iter()
        .map(|entry| Ok((entry, encode::date_time(entry.at)?)))
        .collect::<Result<Vec<_>, AuthorityError>>()?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(1);
            write_algorithm(writer.next(), signer.key.public().kind());
            writer.next().write_der(&signer.issuer);
            write_time(writer.next(), this_update);
            write_time(writer.next(), next_update);
            // Absent rather than empty (5.1.2.6).
            if !revoked.is_empty() {
                writer.next().write_sequence(|writer| {
                    for (entry, at) in revoked {
                        write_entry(writer.next(), entry, at);
                    }
                });
            }
            writer.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|writer| write_extensions(writer, signer, number));
            });
        });
    }))
}

fn write_entry(writer: DERWriter<'_>, entry: &Entry, at: time::OffsetDateTime) {
    writer.write_sequence(|writer| {
        writer.next().write_bigint_bytes(&entry.serial, true);
        write_time(writer.next(), at);
        if let Some(code) = entry.reason.code() {
            writer.next().write_sequence(|writer| {
                write_extension(writer, REASON_CODE, false, |writer| writer.write_enum(code));
            });
        }
    });
}

fn write_extensions(writer: &mut DERWriterSeq<'_>, signer: &Signer, number: u64) {
    encode::write_authority_key_id(writer, &signer.key_id);
    write_extension(writer, CRL_NUMBER, false, |writer| writer.write_u64(number));
}
