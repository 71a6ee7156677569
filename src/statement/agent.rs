//! Statements that a delegator signs itself, at run time, with the key of its SVID.
//!
//! A compact JWS with `typ` [`TYP`], the certificate chain in `x5c` (RFC 7515, section 4.1.6) and
//! the algorithm of the leaf's key. It asks for a hop; what counts is what the trust domain
//! countersigns, which is never more than this asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_authority::{Bundle, PrivateKey, verify_svid};
use countersign_core::json::Object;
use countersign_core::{Grant, SpiffeId, narrow};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::claims::{Detail, check_grants, details, spiffe_id, time};
use crate::error::{Broken, shown};
use crate::jws::{self, Compact, Header};
use crate::{Claims, Digest, MAX_DEPTH};

/// The mandatory `typ`.
pub const TYP: &str = "countersign-agent-delegation+jwt";
/// The longest, in bytes: what `spec.statement` takes, and what fits into a countersigned statement
/// with base64 once more around it.
pub const MAX_BYTES: usize = 16 * 1024;
/// The longest `jti`.
const MAX_ID_BYTES: usize = 520;
/// How far ahead an agent's clock may be.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What a delegator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `iss`: the delegator.
    pub delegator: SpiffeId,
    /// `sub`: the delegate.
    pub delegate: SpiffeId,
    /// `jti`: of the delegator's choice, 1 to 520 bytes.
    pub id: String,
    /// `iat`, whole seconds.
    pub issued_at: Timestamp,
    /// `exp`, whole seconds.
    pub expires_at: Timestamp,
    /// `del_max_depth`: the deepest hop that may follow, absolute as in [`Claims::max_depth`].
    pub max_depth: u8,
    /// `par_hash`: the digest of the delegator's own countersigned statement.
    pub parent: Digest,
    /// `authorization_details`.
    pub grants: Vec<Grant>,
}

/// A request whose signature and certificate were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStatement {
    /// What it asks for.
    pub request: Request,
    /// The serial number of the certificate, to look up whether that is revoked.
    pub serial_number: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    sub: String,
    jti: String,
    iat: i64,
    exp: i64,
    del_max_depth: u8,
    par_hash: Digest,
    authorization_details: Vec<Object<Detail>>,
}

#[derive(Serialize)]
struct WrittenHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    x5c: Vec<String>,
}

/// Signs `request` with the delegator's key; `chain_der` is its certificate chain, leaf first.
pub fn sign(request: &Request, key: &PrivateKey, chain_der: &[Vec<u8>]) -> Result<String, Broken> {
    request.check()?;
    let bad = |why: &dyn std::fmt::Display| Broken::Agent(why.to_string());
    // The header comes before what is signed, and only signing tells the key's algorithm.
    let (alg, _) = key.sign_jose(&[]).map_err(|why| bad(&why))?;
    let header = WrittenHeader {
        alg,
        typ: TYP,
        x5c: chain_der.iter().map(|der| STANDARD.encode(der)).collect(),
    };
    let header = serde_json::to_vec(&header).map_err(|why| bad(&why))?;
    let payload = serde_json::to_vec(&request.wire()).map_err(|why| bad(&why))?;
    let compact = jws::assemble(&jws::encode(&header), &payload, |message| {
        let signed = key.sign_jose(message).map_err(|why| bad(&why))?;
        Ok::<_, Broken>(signed.1)
    })?;
    if compact.len() > MAX_BYTES {
        return Err(Broken::TooLarge {
            bytes: compact.len(),
            most: MAX_BYTES,
        });
    }
    Ok(compact)
}

/// Verifies a request: its certificate against `bundle`, that of the trust domain whose hop it is,
/// at the moment `at`, and its signature. It must be in force at `at`, too. Revoked certificates
/// are the caller's to refuse, by the serial number.
pub fn verify(compact: &str, bundle: &Bundle, at: Timestamp) -> Result<AgentStatement, Broken> {
    let parts = Compact::split(compact, MAX_BYTES)?;
    let header = Header::read(parts.header)?;
    if header.typ != TYP {
        return Err(Broken::Type {
            found: shown(&header.typ),
            expected: TYP,
        });
    }
    if header.kid.is_some() {
        return Err(Broken::BadHeader("kid has no place beside x5c".to_owned()));
    }
    let chain = certificates(header.x5c)?;
    let refused = |why: &dyn std::fmt::Display| Broken::Agent(shown(&why.to_string()));
    let svid = verify_svid(&chain, bundle, at).map_err(|why| refused(&why))?;
    if svid.jws_algorithm().map_err(|why| refused(&why))? != header.alg {
        return Err(Broken::Agent(format!(
            "alg {:?} is not that of the certificate's key",
            shown(&header.alg)
        )));
    }
    let signature = jws::decode(parts.signature, "its signature is not unpadded base64url")?;
    svid.verify_signature(parts.signing_input.as_bytes(), &signature)
        .map_err(|_| Broken::BadSignature)?;
    let request = Request::read(&parts.payload()?)?;
    if request.delegator.as_str() != svid.spiffe_id {
        return Err(Broken::Agent(format!(
            "iss {} is not the certificate's {}",
            request.delegator, svid.spiffe_id
        )));
    }
    if request.expires_at <= at {
        return Err(Broken::Expired(request.expires_at));
    }
    if request.issued_at > at.checked_add(SKEW).unwrap_or(Timestamp::MAX) {
        return Err(Broken::NotYetValid(request.issued_at));
    }
    Ok(AgentStatement {
        request,
        serial_number: svid.serial_number,
    })
}

/// Do `claims` stay within what the delegator asked for? The same pure function for whoever
/// countersigns and whoever verifies.
pub fn check_within(request: &Request, claims: &Claims) -> Result<(), Broken> {
    let other = |what: &str| Err(Broken::Agent(format!("it has another {what}")));
    if claims.delegator.as_ref() != Some(&request.delegator) {
        return other("delegator");
    }
    if claims.subject != request.delegate {
        return other("delegate");
    }
    if claims.parent != Some(request.parent) {
        return other("par_hash");
    }
    if claims.expires_at > request.expires_at {
        return Err(Broken::Agent("it expires earlier".to_owned()));
    }
    if claims.max_depth > request.max_depth {
        return Err(Broken::Agent("it allows fewer hops below".to_owned()));
    }
    narrow(&request.grants, &claims.grants).map_err(|why| Broken::Agent(why.to_string()))
}

/// Verifies what is nested in a hop, if anything, as of the moment at which it was countersigned.
pub(crate) fn check_nested(claims: &Claims, bundle: &Bundle) -> Result<(), Broken> {
    let Some(compact) = &claims.agent_statement else {
        return Ok(());
    };
    let nested = |why: Broken| match why {
        Broken::Agent(_) => why,
        other => Broken::Agent(other.to_string()),
    };
    let statement = verify(compact, bundle, claims.issued_at).map_err(nested)?;
    check_within(&statement.request, claims)
}

fn certificates(x5c: Option<Vec<String>>) -> Result<Vec<Vec<u8>>, Broken> {
    let bad = |why: &str| Broken::BadHeader(format!("x5c {why}"));
    let texts = x5c.ok_or_else(|| bad("is missing"))?;
    let decoded = texts.iter().map(|text| STANDARD.decode(text));
    decoded
        .collect::<Result<_, _>>()
        .map_err(|_| bad("is not base64"))
}

impl Request {
    fn read(payload: &[u8]) -> Result<Self, Broken> {
        let Object(wire): Object<Wire> = serde_json::from_slice(payload)
            .map_err(|why| Broken::BadClaims(shown(&why.to_string())))?;
        let request = Self {
            delegator: spiffe_id("iss", &wire.iss)?,
            delegate: spiffe_id("sub", &wire.sub)?,
            id: wire.jti,
            issued_at: time("iat", wire.iat)?,
            expires_at: time("exp", wire.exp)?,
            max_depth: wire.del_max_depth,
            parent: wire.par_hash,
            grants: wire
                .authorization_details
                .into_iter()
                .map(|Object(detail)| detail.grant())
                .collect(),
        };
        request.check()?;
        Ok(request)
    }

    fn wire(&self) -> Wire {
        Wire {
            iss: self.delegator.to_string(),
            sub: self.delegate.to_string(),
            jti: self.id.clone(),
            iat: self.issued_at.as_second(),
            exp: self.expires_at.as_second(),
            del_max_depth: self.max_depth,
            par_hash: self.parent,
            authorization_details: details(&self.grants),
        }
    }

    fn check(&self) -> Result<(), Broken> {
        if !(1..=MAX_ID_BYTES).contains(&self.id.len()) {
            return Err(Broken::BadClaims("jti must have 1 to 520 bytes".to_owned()));
        }
        if self.expires_at.as_second() <= self.issued_at.as_second() {
            return Err(Broken::NoLifetime);
        }
        if self.max_depth > MAX_DEPTH {
            return Err(Broken::TooDeep {
                depth: self.max_depth,
                allowed: MAX_DEPTH,
            });
        }
        check_grants(&self.grants)
    }
}
