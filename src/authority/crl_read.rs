//! Reads the lists of revoked certificates that [`crate::Signer::crl`] signs, for those who keep them.

use jiff::Timestamp;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use crate::certificate::{may_sign_crls, parse};
use crate::public_key::{PublicKey, unpadded};
use crate::{AuthorityCertificate, AuthorityError, AuthorityId, Bundle, verify};

/// The longest list that is read, in bytes: some 300,000 entries.
const MAX_CRL_BYTES: usize = 16 * 1024 * 1024;

/// A list whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCrl {
    /// Its number: a newer list has a higher one.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// From here on it is stale.
    pub next_update: Timestamp,
    /// The serial numbers, as [`crate::Svid::serial_number`] has them: lower-case hex without padding.
    pub serial_numbers: Vec<String>,
}

impl VerifiedCrl {
    /// [`VerifiedCrl::verify`] of a list that counts at `now`.
    ///
    /// # Errors
    /// As there; or it was to be replaced by `now`.
    pub fn read(
        der: &[u8],
        authority: &AuthorityCertificate,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let list = Self::verify(der, authority)?;
        if list.next_update <= now {
            let until = list.next_update;
            return Err(bad(&format!("it was to be replaced by {until}")));
        }
        Ok(list)
    }

    /// Reads the DER of a complete list that `authority` signed itself, and verifies it. That the
    /// authority is one to trust, and that the list isn't past its time, is the caller's to know.
    ///
    /// # Errors
    /// It can't be read or is somebody else's; or it has a critical extension, such as those that say
    /// that it isn't complete.
    pub fn verify(der: &[u8], authority: &AuthorityCertificate) -> Result<Self, AuthorityError> {
        if der.len() > MAX_CRL_BYTES {
            return Err(bad("it has more than 16 MiB"));
        }
        let Ok(([], list)) = CertificateRevocationList::from_der(der) else {
            return Err(bad("it is no list of revoked certificates"));
        };
        let issuer = parse(authority.der())?;
        if list.issuer().as_raw() != issuer.subject().as_raw() || !may_sign_crls(authority.der()) {
            return Err(bad("it is not that of the authority"));
        }
        // One algorithm for each kind of key: what the list says of it counts for nothing.
        let key = PublicKey::from_spki(issuer.public_key().raw)?;
        let signed = list.tbs_cert_list.as_ref();
        if !verify::signature(&key, signed, &list.signature_value.data) {
            return Err(bad("its signature is not its authority's"));
        }
        let entries = list.iter_revoked_certificates();
        let of_entries = entries.flat_map(|it| it.extensions());
        if list
            .extensions()
            .iter()
            .chain(of_entries)
            .any(|it| it.critical)
        {
            return Err(bad("it has a critical extension"));
        }
        let number = list
            .crl_number()
            .and_then(|it| u64::try_from(it).ok())
            .ok_or_else(|| bad("it has no number below 2^64"))?;
        let next_update = list.next_update().map(moment);
        let next_update = next_update.ok_or_else(|| bad("it doesn't say how long it counts"))?;
        let entries = list.iter_revoked_certificates();
        Ok(Self {
            number,
            this_update: moment(list.last_update()),
            next_update,
            serial_numbers: entries
                .map(|it| hex::encode(unpadded(it.raw_serial())))
                .collect(),
        })
    }
}

impl Bundle {
    /// [`VerifiedCrl::verify`] of a list of whichever of these authorities signed it.
    ///
    /// # Errors
    /// None of them did.
    pub fn verify_crl(&self, der: &[u8]) -> Result<(AuthorityId, VerifiedCrl), AuthorityError> {
        let below = self.intermediates();
        let below = below.filter_map(|it| AuthorityCertificate::from_der(it).ok());
        let all = self.roots().iter().cloned().chain(below);
        let mut why = bad("there is no authority");
        for authority in all {
            match VerifiedCrl::verify(der, &authority) {
                Ok(list) => return Ok((authority.id().clone(), list)),
                Err(not) => why = not,
            }
        }
        Err(why)
    }
}

impl AuthorityCertificate {
    /// May it sign lists of revoked certificates?
    pub fn signs_lists(&self) -> bool {
        may_sign_crls(self.der())
    }
}

fn moment(time: ASN1Time) -> Timestamp {
    // One that can't be is the past: nothing counts by it.
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MIN)
}

fn bad(why: &str) -> AuthorityError {
    AuthorityError::BadRevocation(why.to_owned())
}
