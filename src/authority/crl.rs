//! Certificate revocation lists (RFC 5280, section 5), for those who verify without asking us.
//!
//! ```text
//!  [Revoked] of one authority ──▶ Signer::crl ──▶ Crl     (sorted, each serial number once)
//! ```
//!
//! A list speaks for the authority that signed it and for no other. An authority that was retired
//! has no key any more, so it has no list after its last one: what it signed is over within the
//! longest leaf's lifetime, and what it signed is re-issued at once when it was retired early
//! ([`AuthoritySet::reissue`]). One list for several authorities (an indirect one, 5.2.5) would
//! close that gap on paper only: rustls-webpki ignores such lists and OpenSSL reads them on demand.
//! Distrust an authority when that is too long. [`AuthoritySet::without_crl`] names those that
//! verifiers who insist on a list will refuse.

use std::fmt;

use jiff::Timestamp;
use webpki::BorrowedCertRevocationList;
use yasna::{DERWriter, DERWriterSeq, Tag};

use crate::certificate::may_sign_crls;
use crate::encode::{self, write_algorithm, write_extension, write_time};
use crate::public_key::unpadded;
use crate::{
    AuthorityCertificate, AuthorityError, AuthorityId, AuthoritySet, Signer, Slot, SlotState,
    pem_text,
};

const CRL_NUMBER: &[u64] = &[2, 5, 29, 20];
const REASON_CODE: &[u64] = &[2, 5, 29, 21];
/// RFC 5280, 4.1.2.2.
const MAX_SERIAL_BYTES: usize = 20;
/// A million entries are 40 MB: nobody downloads more. Leaves are short so that lists are.
const MAX_ENTRIES: usize = 1_000_000;

/// Why a certificate was revoked (RFC 5280, 5.3.1): those reasons that are given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// No reason is given; not written, as the RFC asks.
    Unspecified,
    /// Somebody else has the key.
    KeyCompromise,
    /// There is a later certificate in its place.
    Superseded,
    /// The task is over.
    CessationOfOperation,
    /// Suspended: it may come back.
    CertificateHold,
    /// The owner or the grant is gone.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// The RFC's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// The RFC's number; none when it isn't written.
    fn code(self) -> Option<i64> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(1),
            Self::Superseded => Some(4),
            Self::CessationOfOperation => Some(5),
            Self::CertificateHold => Some(6),
            Self::PrivilegeWithdrawn => Some(9),
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One revoked certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked<'a> {
    /// Hex of 1 to 20 bytes, as in [`crate::Leaf::serial_number`].
    pub serial_number: &'a str,
    /// From when on, in whole seconds.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// A signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    /// The list.
    pub der: Vec<u8>,
    /// Whose certificates it is about.
    pub authority_id: AuthorityId,
}

impl Crl {
    /// An `X509 CRL` block.
    pub fn pem(&self) -> String {
        pem_text::encode("X509 CRL", &self.der)
    }
}

impl Signer {
    /// Signs the list of what this authority issued and somebody revoked. The caller picks those
    /// of this authority (by [`crate::Leaf::authority_id`]) that have not expired, and raises
    /// `number` with each list. Verifiers keep it until `next_update`.
    ///
    /// The order of `revoked` does not matter. A serial number that comes several times is listed
    /// once, from the first moment on; a reason for good wins over a hold.
    ///
    /// Refused when the authority's certificate may not sign lists
    /// ([`AuthorityError::NoCrlSign`]), when it is not valid at `this_update`, and when a time or
    /// a serial number can't be written.
    pub fn crl(
        &self,
        revoked: &[Revoked<'_>],
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<Crl, AuthorityError> {
        if !may_sign_crls(self.certificate.der()) {
            return Err(AuthorityError::NoCrlSign(format!(
                "authority {}",
                self.id()
            )));
        }
        check_times(&self.certificate, this_update, next_update)?;
        let entries = entries(revoked)?;
        let tbs = to_be_signed(self, &entries, number, this_update, next_update)?;
        let der = encode::signed(&tbs, &self.key)?;
        check_crl(&der, entries.len())?;
        Ok(Crl {
            der,
            authority_id: self.id().clone(),
        })
    }
}

impl AuthoritySet {
    /// An empty list of the prepared authority, to be published before it is activated: otherwise
    /// verifiers who insist on a list refuse its first leaves. None when none is prepared.
    pub fn prepared_crl(
        &self,
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<Option<Crl>, AuthorityError> {
        let Some(slot) = self.prepared() else {
            return Ok(None);
        };
        Signer::from_slot(slot, &self.bundle(), &self.trust_domain)?
            .crl(&[], number, this_update, next_update)
            .map(Some)
    }

    /// The authorities of the bundle that can't sign a list: the retired, whose keys are gone, and
    /// those of an early program whose certificate lacks cRLSign, for which a raised epoch helps.
    pub fn without_crl(&self) -> Vec<AuthorityId> {
        let retired = self
            .retired
            .iter()
            .filter(|it| it.state == SlotState::Retired);
        let early = self
            .slots()
            .filter(|slot| !may_sign_crls(slot.certificate.der()));
        let mut ids: Vec<_> = early
            .map(Slot::id)
            .chain(retired.map(crate::RetiredAuthority::id))
            .cloned()
            .collect();
        ids.sort();
        ids
    }
}

/// Does rustls-webpki read all that was written?
fn check_crl(der: &[u8], entries: usize) -> Result<(), AuthorityError> {
    let list = BorrowedCertRevocationList::from_der(der)
        .map_err(|why| AuthorityError::SelfCheck(why.to_string()))?;
    let read = list.into_iter().filter(Result::is_ok).count();
    if read == entries {
        Ok(())
    } else {
        let why = format!("{read} of {entries} entries of a list can be read");
        Err(AuthorityError::SelfCheck(why))
    }
}

struct Entry {
    /// The magnitude, without leading zeros.
    serial: Vec<u8>,
    at: Timestamp,
    reason: RevocationReason,
}

/// By serial number, each once.
fn entries(revoked: &[Revoked<'_>]) -> Result<Vec<Entry>, AuthorityError> {
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

fn check_times(
    authority: &AuthorityCertificate,
    this_update: Timestamp,
    next_update: Timestamp,
) -> Result<(), AuthorityError> {
    let what = || format!("authority {}", authority.id());
    if this_update < authority.not_before() {
        return Err(AuthorityError::NotYetValid {
            what: what(),
            not_before: authority.not_before(),
        });
    }
    if authority.not_after() <= this_update {
        return Err(AuthorityError::Expired {
            what: what(),
            not_after: authority.not_after(),
        });
    }
    if encode::whole_seconds(next_update) <= encode::whole_seconds(this_update) {
        return Err(AuthorityError::BadRevocation(format!(
            "its next update {next_update} is not after {this_update}"
        )));
    }
    Ok(())
}

/// RFC 5280, 5.1.2.
fn to_be_signed(
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
