//! The public keys of a trust domain, as its SPIFFE bundle has them.

use std::collections::HashMap;

use countersign_core::TrustDomainName;
use countersign_core::json::{Object, present};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Purpose;
use crate::digest::sha256;
use crate::ed25519::{PublicKey, Signed};
use crate::error::{Broken, KeyError, shown};
use crate::jws::{self, Compact, Header};

/// The longest bundle that is read.
const MAX_BUNDLE_BYTES: usize = 4 * 1024 * 1024;
/// More keys than any trust domain publishes.
const MAX_KEYS: usize = 1024;

/// One public key and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Lower-case hex of its JWK thumbprint (RFC 7638, SHA-256).
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// When it was made; tells people, decides nothing.
    pub not_before: Option<Timestamp>,
    /// Since when it signs nothing more: what was issued later is refused.
    pub retired_at: Option<Timestamp>,
    pub(crate) public: PublicKey,
}

/// The public keys of one trust domain.
#[derive(Debug, Clone)]
pub struct TrustedKeys {
    trust_domain: TrustDomainName,
    keys: Vec<TrustedKey>,
    /// The encoded header of what a key signs, to its place.
    by_header: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    r#use: String,
    kty: String,
    crv: String,
    x: String,
    kid: String,
    #[serde(default, deserialize_with = "present")]
    alg: Option<String>,
    #[serde(default, deserialize_with = "present")]
    countersign_not_before: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    countersign_retired_at: Option<i64>,
}

impl TrustedKeys {
    /// Reads a SPIFFE bundle: its Ed25519 keys (RFC 8037) whose `use` is one of
    /// [`Purpose::jwk_use`]. Other uses are skipped; a key of ours that is wrong in any way refuses
    /// the whole bundle.
    pub fn from_bundle_json(trust_domain: &str, json: &str) -> Result<Self, KeyError> {
        let bad = |why: &dyn std::fmt::Display| KeyError::BadBundle(shown(&why.to_string()));
        if json.len() > MAX_BUNDLE_BYTES {
            return Err(bad(&"it is too large"));
        }
        let Object(document): Object<Document> =
            serde_json::from_str(json).map_err(|why| bad(&why))?;
        let mut keys = Vec::new();
        for value in document.keys {
            let used = value.get("use").and_then(Value::as_str);
            let purpose = Purpose::ALL
                .into_iter()
                .find(|it| Some(it.jwk_use()) == used);
            if let Some(purpose) = purpose {
                keys.push(trusted_key(purpose, value)?);
            }
        }
        Self::new(domain(trust_domain)?, keys)
    }

    /// `keys` of `trust_domain`, each once.
    pub(crate) fn new(
        trust_domain: TrustDomainName,
        keys: Vec<TrustedKey>,
    ) -> Result<Self, KeyError> {
        if keys.len() > MAX_KEYS {
            return Err(KeyError::BadBundle(format!(
                "it has more than {MAX_KEYS} keys"
            )));
        }
        let mut kids: Vec<&str> = keys.iter().map(|it| it.kid.as_str()).collect();
        kids.sort_unstable();
        if let Some([kid, _]) = kids.windows(2).find(|pair| pair.first() == pair.last()) {
            // One key for two purposes is none for either.
            return Err(KeyError::BadBundle(format!("key {kid} is there twice")));
        }
        let by_header = keys
            .iter()
            .enumerate()
            .map(|(place, key)| (jws::header(key.purpose.typ(), &key.kid), place))
            .collect();
        Ok(Self {
            trust_domain,
            keys,
            by_header,
        })
    }

    /// Whose keys they are.
    pub fn trust_domain(&self) -> &TrustDomainName {
        &self.trust_domain
    }

    /// All of them.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// The key that made this encoded header, which is to be of `purpose`.
    pub(crate) fn find(&self, header: &str, purpose: Purpose) -> Result<&TrustedKey, Broken> {
        let found = self.by_header.get(header);
        match found.and_then(|&place| self.keys.get(place)) {
            Some(key) if key.purpose == purpose => Ok(key),
            _ => Err(self.why_not(header, purpose)),
        }
    }

    /// Verifies one JWS of `purpose`, of at most `most` bytes; gives the key and the payload.
    pub(crate) fn open(
        &self,
        compact: &str,
        purpose: Purpose,
        most: usize,
    ) -> Result<(&TrustedKey, Vec<u8>), Broken> {
        let parts = Compact::split(compact, most)?;
        let key = self.find(parts.header, purpose)?;
        let signed = Signed {
            key: &key.public,
            message: parts.signing_input.as_bytes(),
            signature: parts.ed25519_signature()?,
        };
        if !signed.verifies() {
            return Err(Broken::BadSignature);
        }
        Ok((key, parts.payload()?))
    }

    /// Is it the trust domain whose keys these are?
    pub(crate) fn check_issuer(&self, issuer: &TrustDomainName) -> Result<(), Broken> {
        if *issuer == self.trust_domain {
            return Ok(());
        }
        Err(Broken::OtherTrustDomain {
            found: issuer.to_string(),
            expected: self.trust_domain.to_string(),
        })
    }

    /// What is wrong with a header that is none of ours.
    fn why_not(&self, header: &str, purpose: Purpose) -> Broken {
        let header = match Header::read(header) {
            Ok(header) => header,
            Err(why) => return why,
        };
        if header.x5c.is_some() {
            return Broken::ForbiddenHeader("x5c");
        }
        if header.alg != "EdDSA" {
            return Broken::Algorithm(shown(&header.alg));
        }
        if header.typ != purpose.typ() {
            return Broken::Type {
                found: shown(&header.typ),
                expected: purpose.typ(),
            };
        }
        let kid = header.kid.unwrap_or_default();
        match self.keys.iter().find(|key| key.kid == kid) {
            None => Broken::UnknownKey(shown(&kid)),
            Some(key) if key.purpose != purpose => Broken::OtherPurpose {
                kid: key.kid.clone(),
                purpose: key.purpose,
                expected: purpose,
            },
            Some(_) => Broken::BadHeader(
                "it must be {\"alg\":…,\"typ\":…,\"kid\":…} in this order, without spaces or escapes"
                    .to_owned(),
            ),
        }
    }
}

impl TrustedKey {
    /// Was it still signing at `issued_at`?
    pub(crate) fn signed_until(&self, issued_at: Timestamp) -> Result<(), Broken> {
        match self.retired_at {
            Some(retired_at) if issued_at > retired_at => Err(Broken::RetiredKey {
                kid: self.kid.clone(),
                retired_at,
            }),
            _ => Ok(()),
        }
    }

    /// Its JWK for a SPIFFE bundle; times are NumericDates in whole seconds.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = Map::new();
        jwk.insert("use".to_owned(), json!(self.purpose.jwk_use()));
        jwk.insert("kty".to_owned(), json!("OKP"));
        jwk.insert("crv".to_owned(), json!("Ed25519"));
        jwk.insert("alg".to_owned(), json!("EdDSA"));
        jwk.insert("kid".to_owned(), json!(self.kid));
        jwk.insert("x".to_owned(), json!(jws::encode(self.public.as_bytes())));
        let times = [
            ("countersign_not_before", self.not_before),
            ("countersign_retired_at", self.retired_at),
        ];
        for (name, moment) in times {
            if let Some(moment) = moment {
                jwk.insert(name.to_owned(), json!(moment.as_second()));
            }
        }
        Value::Object(jwk)
    }
}

fn trusted_key(purpose: Purpose, value: Value) -> Result<TrustedKey, KeyError> {
    let bad = |why: String| KeyError::BadBundle(format!("a {} key: {why}", purpose.jwk_use()));
    if value.get("d").is_some() {
        return Err(bad("it is a private key: it is public now".to_owned()));
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|why| bad(shown(&why.to_string())))?;
    if jwk.r#use != purpose.jwk_use()
        || (jwk.kty.as_str(), jwk.crv.as_str()) != ("OKP", "Ed25519")
        || jwk.alg.is_some_and(|alg| alg != "EdDSA")
    {
        return Err(bad("it is not for EdDSA with Ed25519".to_owned()));
    }
    let public = public_key(&jwk.x).ok_or_else(|| bad("x is no Ed25519 key".to_owned()))?;
    if jwk.kid != thumbprint(public.as_bytes()) {
        return Err(bad(format!(
            "kid {:?} is not its thumbprint",
            shown(&jwk.kid)
        )));
    }
    let time = |name: &str, seconds: Option<i64>| {
        seconds
            .map(Timestamp::from_second)
            .transpose()
            .map_err(|_| bad(format!("{name} is out of range")))
    };
    Ok(TrustedKey {
        kid: jwk.kid,
        purpose,
        not_before: time("countersign_not_before", jwk.countersign_not_before)?,
        retired_at: time("countersign_retired_at", jwk.countersign_retired_at)?,
        public,
    })
}

pub(crate) fn public_key(x: &str) -> Option<PublicKey> {
    let bytes = jws::decode(x, "").ok()?;
    PublicKey::from_bytes(bytes.as_slice().try_into().ok()?)
}

/// Lower-case hex of RFC 7638's thumbprint, for the members of RFC 8037, appendix A.3.
pub(crate) fn thumbprint(public: &[u8; 32]) -> String {
    let x = jws::encode(public);
    hex::encode(sha256(
        format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes(),
    ))
}

pub(crate) fn domain(name: &str) -> Result<TrustDomainName, KeyError> {
    TrustDomainName::parse(name).map_err(|_| KeyError::BadTrustDomain(shown(name)))
}
