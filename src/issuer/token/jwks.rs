//! The public keys of the API server (RFC 7517): it signs by RS256, ES256, ES384 or ES512 here, each key
//! by one of them.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::json::Object;
use serde::Deserialize;

/// More than any API server has.
const MAX_KEYS: usize = 64;
/// RSA moduli beyond this cost too much.
const MAX_RSA_BYTES: usize = 1024;

/// Keys by their names.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

struct Key {
    id: String,
    algorithm: &'static str,
    public: ParsedPublicKey,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Keys of another kind or use are left out.
    ///
    /// # Errors
    /// It is no set of keys, or none of it counts.
    pub(super) fn parse(json: &str) -> Result<Self, &'static str> {
        let Ok(Object(set)) = serde_json::from_str::<Object<Jwks>>(json) else {
            return Err("it is no JWK set");
        };
        if set.keys.len() > MAX_KEYS {
            return Err("it has more than 64 keys");
        }
        let read = |key| {
            let Object(key) = serde_json::from_value(key).ok()?;
            Key::of(key)
        };
        let keys: Vec<_> = set.keys.into_iter().filter_map(read).collect();
        if keys.is_empty() {
            return Err("it has no key for RS256, ES256, ES384 or ES512");
        }
        Ok(Self(keys))
    }

    pub(super) fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|it| it.id == kid)
    }

    /// Did a key of this name sign `message`? The algorithm is the key's; `alg` must agree.
    pub(super) fn verify(&self, kid: &str, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        let mut fitting = self
            .0
            .iter()
            .filter(|it| it.id == kid && it.algorithm == alg);
        fitting.any(|it| it.public.verify_sig(message, signature).is_ok())
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        if jwk.usage.as_deref().is_some_and(|it| it != "sig") {
            return None;
        }
        let alg = jwk.alg.as_deref();
        let (algorithm, public) = match (jwk.kty.as_str(), jwk.crv.as_deref(), alg) {
            ("RSA", _, None | Some("RS256")) => ("RS256", rsa(&jwk)?),
            ("EC", Some("P-256"), None | Some("ES256")) => {
                ("ES256", elliptic(&jwk, 32, &ECDSA_P256_SHA256_FIXED)?)
            }
            ("EC", Some("P-384"), None | Some("ES384")) => {
                ("ES384", elliptic(&jwk, 48, &ECDSA_P384_SHA384_FIXED)?)
            }
            ("EC", Some("P-521"), None | Some("ES512")) => {
                ("ES512", elliptic(&jwk, 66, &ECDSA_P521_SHA512_FIXED)?)
            }
            _ => return None,
        };
        Some(Self {
            id: jwk.kid,
            algorithm,
            public,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn rsa(jwk: &Jwk) -> Option<ParsedPublicKey> {
    let n = integer(jwk.n.as_deref()?)?;
    let e = integer(jwk.e.as_deref()?)?;
    if n.len() > MAX_RSA_BYTES || e.len() > 8 {
        return None;
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .ok()
}

/// An uncompressed point (SEC 1, section 2.3.3).
fn elliptic(
    jwk: &Jwk,
    bytes: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Option<ParsedPublicKey> {
    let (x, y) = (decode(jwk.x.as_deref()?)?, decode(jwk.y.as_deref()?)?);
    if x.len() != bytes || y.len() != bytes {
        return None;
    }
    ParsedPublicKey::new(algorithm, [&[4][..], &x, &y].concat()).ok()
}

/// A `Base64urlUInt`, without the zeros in front that some write.
fn integer(text: &str) -> Option<Vec<u8>> {
    let bytes = decode(text)?;
    let start = bytes.iter().position(|it| *it != 0)?;
    Some(bytes.get(start..)?.to_vec())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
