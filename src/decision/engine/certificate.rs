//! Certificates that are shown.

use std::slice;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use countersign_authority::{Bundle, verify_svid};
use jiff::{SignedDuration, Timestamp};

use super::denial::{Denial, deny};
use crate::generations::Sharded;
use crate::world::held::{Domain, Identity};
use crate::{PresentedCertificate, Reason};

/// So many certificates are remembered as verified; one takes some 400 bytes.
const REMEMBERED_CERTIFICATES: usize = 131_072;
/// The longest that is read.
const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// A certificate's begin lies so long before its issue (see `countersign_authority::Leaf`).
const BACKDATE: SignedDuration = SignedDuration::from_secs(10);

/// Verifies certificates, and remembers those that it found good by the SHA-256 of all their bytes.
#[derive(Debug)]
pub(crate) struct Certificates {
    known: Sharded<[u8; 32], Arc<Shown>>,
}

/// A certificate that was found good.
#[derive(Debug)]
pub(crate) struct Shown {
    spiffe_id: String,
    trust_domain: String,
    pub(crate) serial_number: String,
    not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// What it was verified with; with other roots it is verified anew.
    bundle: Arc<Bundle>,
    /// Its end, or that of the first authority that was good when it was verified: one that is over
    /// vouches for nobody.
    good_until: Timestamp,
}

impl Shown {
    /// When it was issued.
    pub(crate) fn issued_at(&self) -> Timestamp {
        let issued = self.not_before.checked_add(BACKDATE);
        issued.unwrap_or(self.not_before)
    }

    fn is_good(&self, bundle: &Arc<Bundle>, now: Timestamp) -> bool {
        Arc::ptr_eq(&self.bundle, bundle) && self.not_before <= now && now < self.good_until
    }
}

impl Certificates {
    pub(crate) fn new() -> Self {
        Self {
            known: Sharded::new(REMEMBERED_CERTIFICATES),
        }
    }

    /// Is it the agent's, of its trust domain, and in its time? Whether it was revoked is looked at
    /// elsewhere.
    pub(crate) fn check(
        &self,
        presented: &PresentedCertificate,
        identity: &Identity,
        domain: &Domain,
        now: Timestamp,
    ) -> Result<Arc<Shown>, Denial> {
        let shown = self.verify(&presented.der, &domain.bundle, now);
        let shown = match shown {
            Ok(shown) => shown,
            Err(why) => return deny(Reason::BadCertificate, format!("its certificate: {why}")),
        };
        if shown.spiffe_id != *identity.spiffe_id || shown.trust_domain != *identity.trust_domain {
            return deny(
                Reason::BadCertificate,
                "the certificate that was shown is another agent's",
            );
        }
        Ok(shown)
    }

    fn verify(
        &self,
        der: &Vec<u8>,
        bundle: &Arc<Bundle>,
        now: Timestamp,
    ) -> Result<Arc<Shown>, String> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(format!("it has more than {MAX_CERTIFICATE_BYTES} bytes"));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, der).as_ref());
        let known = self.known.with(&hash, |it| it.get(&hash).cloned());
        if let Some(known) = known.flatten().filter(|it| it.is_good(bundle, now)) {
            return Ok(known);
        }
        let svid = verify_svid(slice::from_ref(der), bundle, now).map_err(|why| why.to_string())?;
        let authorities_end = bundle.next_end(now);
        let shown = Arc::new(Shown {
            trust_domain: svid.trust_domain().to_owned(),
            good_until: authorities_end.map_or(svid.not_after, |end| end.min(svid.not_after)),
            spiffe_id: svid.spiffe_id,
            serial_number: svid.serial_number,
            not_before: svid.not_before,
            not_after: svid.not_after,
            bundle: Arc::clone(bundle),
        });
        let kept = Arc::clone(&shown);
        self.known.with(&hash, |it| it.insert(hash, kept));
        Ok(shown)
    }
}
