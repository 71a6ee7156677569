//! The active key, and what it signs.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;
use countersign_authority::{Es256Signer, PrivateKey};
use countersign_core::{SpiffeId, TrustDomainName};
use countersign_statement::{KeyRing, LONGEST_JWT_SVID_SECONDS};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::compact::encode;
use crate::verify::belongs_to;
use crate::{Audience, IssuerUrl, NotIssued};

/// The longest life of a token: a retired key stays published for so long.
pub const LONGEST_SECONDS: u64 = LONGEST_JWT_SVID_SECONDS;
/// How long a token lives where nothing cuts it shorter: nobody can call it back, and the Workload
/// API's clients ask again in time.
pub const USUAL_SECONDS: u64 = 300;
/// 128 bits: nobody guesses the id of another's token, and none comes twice.
const ID_BYTES: usize = 16;

/// The key of a trust domain that signs JWT-SVIDs.
pub struct Signer {
    key: Es256Signer,
    kid: String,
    /// Encoded, the same for each token.
    header: String,
    trust_domain: TrustDomainName,
}

/// A signed token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The compact JWS. Whoever has it is its subject until it is over: never log it.
    pub text: String,
    /// Its `jti`, for a record: it gives no right.
    pub id: String,
    /// When it is over, in whole seconds.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    sub: &'a str,
    aud: &'a [String],
    exp: i64,
    iat: i64,
    jti: &'a str,
}

/// How long a token may live from `now` on: [`USUAL_SECONDS`], no longer than a certificate of the
/// identity, and not beyond `deadline`; in whole seconds. None when less than one is left.
pub fn lifetime(now: Timestamp, certificate: Duration, deadline: Timestamp) -> Option<Duration> {
    let left = deadline.as_second().saturating_sub(now.as_second());
    let left = u64::try_from(left).unwrap_or(0);
    let seconds = USUAL_SECONDS.min(certificate.as_secs()).min(left);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

impl Signer {
    /// The active key of `ring` for JWT-SVIDs.
    pub fn of(ring: &KeyRing) -> Result<Self, NotIssued> {
        let missing = |why: &dyn fmt::Display| NotIssued::NoKey(why.to_string());
        let domain = TrustDomainName::parse(ring.trust_domain()).map_err(|why| missing(&why))?;
        let key = ring.jwt_svid_key().map_err(|why| missing(&why))?;
        Self::load(key, domain)
    }

    /// Signs with `key`, which must be on P-256, for `trust_domain`.
    pub fn load(key: &PrivateKey, trust_domain: TrustDomainName) -> Result<Self, NotIssued> {
        let key = Es256Signer::load(key).map_err(|why| NotIssued::NoKey(why.to_string()))?;
        let kid = key.public().thumbprint();
        // The kid is hex: nothing to escape.
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#);
        Ok(Self {
            key,
            header: encode(header.as_bytes()),
            kid,
            trust_domain,
        })
    }

    /// The id of its key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whose key it is.
    pub fn trust_domain(&self) -> &TrustDomainName {
        &self.trust_domain
    }

    /// Signs a token for `subject`, from the whole second of `now` on, for `lifetime`, cut to whole
    /// seconds. Whether the subject may have it is the caller's to decide first.
    pub fn issue(
        &self,
        subject: &SpiffeId,
        audience: &Audience,
        issuer: Option<&IssuerUrl>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Token, NotIssued> {
        if !belongs_to(subject, &self.trust_domain) {
            return Err(NotIssued::OtherTrustDomain {
                subject: subject.to_string(),
                trust_domain: self.trust_domain.to_string(),
            });
        }
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        if !(1..=LONGEST_SECONDS).contains(&lifetime.as_secs()) {
            return Err(NotIssued::Lifetime(seconds));
        }
        let crypto = NotIssued::Crypto;
        let issued_at = Timestamp::from_second(now.as_second());
        let issued_at = issued_at.map_err(|_| crypto("the time is out of range"))?;
        let expires_at = issued_at.checked_add(SignedDuration::from_secs(seconds));
        let expires_at = expires_at.map_err(|_| crypto("the time is out of range"))?;
        let mut random = [0; ID_BYTES];
        rand::fill(&mut random).map_err(|_| crypto("there is no randomness"))?;
        let id = encode(&random);
        let claims = Claims {
            iss: issuer.map(IssuerUrl::as_str),
            sub: subject.as_str(),
            aud: audience.as_slice(),
            exp: expires_at.as_second(),
            iat: issued_at.as_second(),
            jti: &id,
        };
        let payload = serde_json::to_vec(&claims).map_err(|_| crypto("can't write the claims"))?;
        let mut text = format!("{}.{}", self.header, encode(&payload));
        let signature = self.key.sign(text.as_bytes());
        let signature = signature.map_err(|_| crypto("can't sign"))?;
        text.push('.');
        text.push_str(&encode(&signature));
        Ok(Token {
            text,
            id,
            expires_at,
        })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kid", &self.kid)
            .field("trust_domain", &self.trust_domain)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
