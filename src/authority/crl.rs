//! Certificate revocation lists (RFC 5280, section 5), for those who verify without asking us.
//!
//! ```text
//!  [Revoked] of one authority ──▶ Signer::crl ──▶ Crl     (sorted, each serial number once)
//! ```
//!
//! A list speaks for the authority that signed it and for no other. An authority that was retired
//! has no key any more, so its last list is the last one: what it signed and somebody revokes
//! afterwards stays good for those who verify by lists alone, until it is over, at most the
//! longest leaf's lifetime later. When the authority was retired early, its leaves are issued
//! again at once ([`AuthoritySet::reissue`]), though a copy of an old one runs on as well. One list
//! for several authorities (an indirect one, 5.2.5) would close that gap on paper only:
//! rustls-webpki refuses such lists and OpenSSL reads them on demand. Where a leaf's lifetime is
//! too long, distrust the authority: that takes it out of the bundle.
//! [`AuthoritySet::without_crl`] names those whose leaves are refused by whoever insists on a
//! current list.

use std::fmt;

use jiff::Timestamp;
use webpki::BorrowedCertRevocationList;

use crate::certificate::may_sign_crls;
use crate::{
    AuthorityCertificate, AuthorityError, AuthorityId, AuthoritySet, Signer, Slot, SlotState,
    crl_der, encode, pem_text, verify,
};

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
    pub(crate) fn code(self) -> Option<i64> {
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
        let entries = crl_der::entries(revoked)?;
        let tbs = crl_der::to_be_signed(self, &entries, number, this_update, next_update)?;
        let signature = self.key.sign(&tbs)?;
        let public = self.key.public();
        if !verify::signature(public, &tbs, &signature) {
            let why = "the signature of a list is not its authority's".to_owned();
            return Err(AuthorityError::SelfCheck(why));
        }
        let der = encode::signed(&tbs, public.kind(), &signature);
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
