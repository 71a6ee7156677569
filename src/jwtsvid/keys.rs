//! The public keys of a trust domain for JWT-SVIDs.

use countersign_authority::Es256Key;
use countersign_core::TrustDomainName;
use countersign_core::json::{Object, present};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::BadKeys;
use crate::error::shown;

/// What an API object or a ConfigMap holds at most.
const MAX_BUNDLE_BYTES: usize = 1024 * 1024;
/// More keys than any trust domain publishes.
const MAX_KEYS: usize = 256;
/// The longest id of a key.
const MAX_KID_BYTES: usize = 256;
/// The `use` of these keys in a SPIFFE bundle (JWT-SVID standard, section 6.1.1).
const JWT_SVID: &str = "jwt-svid";

/// The public keys of one trust domain for JWT-SVIDs, each with its own id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    trust_domain: TrustDomainName,
    keys: Vec<(String, Es256Key)>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default, deserialize_with = "present")]
    crv: Option<String>,
    #[serde(default, deserialize_with = "present")]
    alg: Option<String>,
    kid: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

impl Keys {
    /// Reads the keys of a SPIFFE bundle whose `use` is `jwt-svid`. Those of another use are none
    /// of ours, those of another algorithm than ES256 can't be verified with here: both are skipped.
    /// A key without an id, two of one id, and a point off the curve refuse the whole bundle, and so
    /// does a private key.
    pub fn from_bundle_json(trust_domain: &str, json: &str) -> Result<Self, BadKeys> {
        let bad = |why: &dyn std::fmt::Display| BadKeys(shown(&why.to_string()));
        if json.len() > MAX_BUNDLE_BYTES {
            return Err(bad(&"the bundle is too large"));
        }
        let trust_domain = TrustDomainName::parse(trust_domain).map_err(|why| bad(&why))?;
        let Object(document): Object<Document> =
            serde_json::from_str(json).map_err(|why| bad(&why))?;
        let mut keys: Vec<(String, Es256Key)> = Vec::new();
        for value in document.keys {
            if value.get("use").and_then(Value::as_str) != Some(JWT_SVID) {
                continue;
            }
            let Some((kid, key)) = read(value).map_err(|why| bad(&why))? else {
                continue;
            };
            if keys.iter().any(|(other, _)| *other == kid) {
                return Err(bad(&format!("key {kid} is there twice")));
            }
            keys.push((kid, key));
            if keys.len() > MAX_KEYS {
                return Err(bad(&"there are too many of them"));
            }
        }
        Ok(Self { trust_domain, keys })
    }

    /// Whose keys they are.
    pub fn trust_domain(&self) -> &TrustDomainName {
        &self.trust_domain
    }

    /// Their ids.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(kid, _)| kid.as_str())
    }

    /// A JWK set (RFC 7517, section 5) as relying parties and clients of the Workload API read it:
    /// nothing of SPIFFE's in it, and no certificates.
    pub fn jwks(&self) -> String {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|(kid, key)| {
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
                    "kid": kid, "x": key.x(), "y": key.y(),
                })
            })
            .collect();
        json!({ "keys": keys }).to_string()
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&Es256Key> {
        let found = self.keys.iter().find(|(id, _)| id == kid);
        found.map(|(_, key)| key)
    }
}

/// None for a key that isn't for ES256.
fn read(value: Value) -> Result<Option<(String, Es256Key)>, String> {
    if value.get("d").is_some() {
        return Err("one is a private key: it is public now".to_owned());
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|why| why.to_string())?;
    let es256 = jwk.kty == "EC" && jwk.crv.as_deref() == Some("P-256");
    if !es256 || jwk.alg.is_some_and(|alg| alg != "ES256") {
        return Ok(None);
    }
    if !(1..=MAX_KID_BYTES).contains(&jwk.kid.len()) {
        return Err("the id of a key has 1 to 256 bytes".to_owned());
    }
    let key = Es256Key::from_coordinates(&jwk.x, &jwk.y);
    let key = key.map_err(|why| format!("key {}: {why}", jwk.kid))?;
    Ok(Some((jwk.kid, key)))
}
