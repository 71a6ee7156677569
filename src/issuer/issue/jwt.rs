//! JWT-SVIDs: the same checks as for a certificate, and shorter lives, since nobody can call one back.

use std::fmt;
use std::time::Duration;

use countersign_core::SpiffeId;
use countersign_jwtsvid::{Audience, lifetime};
use jiff::Timestamp;
use tracing::warn;

use super::{Desk, check_time, usual_ttl};
use crate::matching::{may_have, refused};
use crate::record;
use crate::{PodRef, Reason, Refused};

/// A token that was recorded and signed.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedJwt {
    /// The compact JWS. Whoever has it is the agent until it is over: never log it.
    pub token: String,
    /// Its subject.
    pub spiffe_id: String,
    /// When it is over.
    pub not_after: Timestamp,
}

impl Desk {
    /// Issues a token for `audience` in the name of the one identity that is for `pod`. It lives for
    /// minutes, no longer than the identity's certificates, and not beyond its deadline.
    ///
    /// # Errors
    /// Nothing was issued, and why. It may stand in the audit log that something was, where the
    /// identity was taken away at that very moment.
    pub async fn jwt(
        &self,
        pod: &PodRef,
        which: Option<&str>,
        audience: &[String],
    ) -> Result<IssuedJwt, Refused> {
        let audience = Audience::parse(audience).map_err(|why| Refused {
            reason: Reason::BadRequest,
            message: why.to_string(),
        })?;
        let it = self.identity(pod, which).await?;
        may_have(&it)?;
        let now = self.clock().now();
        check_time(&it, now)?;
        let domain = self.domain(&it)?;
        let no_authority = |why: &dyn fmt::Display| {
            let why = format!("TrustDomain {}: {why}", it.trust_domain);
            refused(Reason::NoAuthority, &it, &why)
        };
        let signer = domain.tokens.as_ref().map_err(|why| no_authority(why))?;
        let subject = SpiffeId::parse(&it.spiffe_id).map_err(|why| no_authority(&why))?;
        let certificate = Duration::from_secs(usual_ttl(&it, &domain));
        let left = lifetime(now, certificate, it.deadline.unwrap_or(now));
        let left = left.ok_or_else(|| {
            let why = "its deadline is less than a second ahead";
            refused(Reason::IdentityEnded, &it, why)
        })?;
        let issuer = domain.issuer.as_ref();
        let token = signer
            .issue(&subject, &audience, issuer, now, left)
            .map_err(|why| no_authority(&why))?;
        let entry = record::token(&it, pod, signer.kid(), &token, &audience, now);
        if let Err(why) = self.0.log.append(entry).await {
            warn!("nothing is issued that can't be recorded: {why}");
            let why = "it can't be recorded now, and must be first";
            return Err(refused(Reason::AuditUnavailable, &it, why));
        }
        self.still(&it)?;
        Ok(IssuedJwt {
            token: token.text,
            spiffe_id: it.spiffe_id.clone(),
            not_after: token.expires_at,
        })
    }
}

impl fmt::Debug for IssuedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedJwt")
            .field("spiffe_id", &self.spiffe_id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
