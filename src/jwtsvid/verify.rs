//! Is it a token of the trust domain, for whom, and does it count now?

use countersign_core::json::{Object, present};
use countersign_core::{SpiffeId, TrustDomainName};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::compact::{Compact, decode};
use crate::error::shown;
use crate::{Keys, Refused};

/// The longest token that is read: one for as many audiences as there can be, and half as much again.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// So much may the clocks of issuer and verifier differ. It lets nothing live longer.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// A token that was verified.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtSvid {
    /// Whose it is.
    pub subject: SpiffeId,
    /// Everybody it is for.
    pub audience: Vec<String>,
    /// When it is over.
    pub expires_at: Timestamp,
    /// All of its claims.
    pub claims: Map<String, Value>,
}

/// What a header may have. `crit`, `jwk`, `jku`, `x5c`, `x5u` and whatever else are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: OneOrMore,
    exp: i64,
    #[serde(default, deserialize_with = "present")]
    iat: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
    // Named, so that they can't be there twice.
    #[serde(default, rename = "iss")]
    _iss: Option<IgnoredAny>,
    #[serde(default, rename = "jti")]
    _jti: Option<IgnoredAny>,
}

/// RFC 7519, section 4.1.3.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Keys {
    /// Verifies a token that is to be for `audience`, at `now`: signed by one of these keys with
    /// ES256, for a SPIFFE ID of their trust domain, not over, and not from the future by more than
    /// a minute.
    pub fn verify(&self, token: &str, audience: &str, now: Timestamp) -> Result<JwtSvid, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused::TooLarge(token.len()));
        }
        let parts = Compact::split(token)?;
        let header = header(parts.header)?;
        let key = self.find(&header.kid);
        let key = key.ok_or_else(|| Refused::UnknownKey(shown(&header.kid)))?;
        let signature = decode(parts.signature, "its signature is not unpadded base64url")?;
        key.verify(parts.signing_input.as_bytes(), &signature)
            .map_err(|_| Refused::BadSignature)?;
        let payload = decode(parts.payload, "its payload is not unpadded base64url")?;
        let unreadable = |why: serde_json::Error| Refused::BadClaims(shown(&why.to_string()));
        let Object(claims): Object<Claims> =
            serde_json::from_slice(&payload).map_err(unreadable)?;
        let all: Map<String, Value> = serde_json::from_slice(&payload).map_err(unreadable)?;
        let subject = self.subject(&claims.sub)?;
        let named = match claims.aud {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        };
        if !named.iter().any(|it| it == audience) {
            return Err(Refused::Audience(shown(audience)));
        }
        let expires_at = moment(claims.exp)?;
        if expires_at <= now {
            return Err(Refused::Expired(expires_at));
        }
        let latest = now.checked_add(SKEW).unwrap_or(Timestamp::MAX);
        for from in [claims.iat, claims.nbf].into_iter().flatten() {
            let from = moment(from)?;
            if from > latest {
                return Err(Refused::NotYetValid(from));
            }
        }
        Ok(JwtSvid {
            subject,
            audience: named,
            expires_at,
            claims: all,
        })
    }

    fn subject(&self, sub: &str) -> Result<SpiffeId, Refused> {
        let id = SpiffeId::parse(sub).ok();
        let id = id.filter(|id| belongs_to(id, self.trust_domain()));
        id.ok_or_else(|| Refused::Subject {
            found: shown(sub),
            trust_domain: self.trust_domain().to_string(),
        })
    }
}

/// Is it an ID of that trust domain?
pub(crate) fn belongs_to(id: &SpiffeId, domain: &TrustDomainName) -> bool {
    let rest = id.as_str().strip_prefix("spiffe://");
    let path = rest.and_then(|rest| rest.strip_prefix(domain.as_str()));
    path.is_some_and(|path| path.starts_with('/'))
}

fn header(encoded: &str) -> Result<Header, Refused> {
    let bytes = decode(encoded, "its header is not unpadded base64url")?;
    let Object(header): Object<Header> = serde_json::from_slice(&bytes)
        .map_err(|why| Refused::BadHeader(shown(&why.to_string())))?;
    if header.alg != "ES256" {
        return Err(Refused::Algorithm(shown(&header.alg)));
    }
    // JWT-SVID standard, section 2.3.
    match header.typ.as_deref() {
        None | Some("JWT" | "JOSE") => Ok(header),
        Some(other) => Err(Refused::BadHeader(format!(
            "typ is {:?}, expected \"JWT\" or \"JOSE\"",
            shown(other)
        ))),
    }
}

/// A NumericDate in whole seconds, as they are written here.
fn moment(seconds: i64) -> Result<Timestamp, Refused> {
    Timestamp::from_second(seconds)
        .map_err(|_| Refused::BadClaims("a time is out of range".to_owned()))
}
