//! A transmitter's public keys (RFC 7517), each good for one algorithm.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::json::Object;
use serde::Deserialize;

use crate::error::SetError;

/// More keys than a transmitter has, and no more work than is sensible.
const MAX_KEYS: usize = 64;
/// `RSAPublicKey` moduli beyond this cost too much.
const MAX_RSA_BITS: usize = 8192;
const MIN_RSA_BITS: usize = 2048;

/// How a token is signed (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits and more.
    RS256,
    /// RSASSA-PSS with SHA-256, 2048 bits and more.
    PS256,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// The public keys of one transmitter.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: ParsedPublicKey,
}

/// Why a set of keys can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// It isn't a JSON object with `keys`.
    #[error("it isn't a JWK set: {0}")]
    NotJson(String),
    /// It has more keys than are looked at.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    /// None of its keys can sign what is accepted here.
    #[error("it has no key for RS256, PS256, ES256, ES384 or EdDSA")]
    NoKey,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Algorithm {
    /// Its `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl KeySet {
    /// Reads a JWK set. Keys for other uses and of other kinds are left out, as RFC 7517 (section 5)
    /// has it; symmetric ones among them, whoever publishes such.
    ///
    /// # Errors
    /// It is none, or has no key that counts.
    pub fn parse(json: &[u8]) -> Result<Self, BadKeySet> {
        let Object(set): Object<JwkSet> =
            serde_json::from_slice(json).map_err(|why| BadKeySet::NotJson(why.to_string()))?;
        if set.keys.len() > MAX_KEYS {
            return Err(BadKeySet::TooMany);
        }
        let read = |key| {
            let Object(key) = serde_json::from_value(key).ok()?;
            Key::of(key)
        };
        let keys: Vec<Key> = set.keys.into_iter().filter_map(read).collect();
        if keys.is_empty() {
            return Err(BadKeySet::NoKey);
        }
        Ok(Self { keys })
    }

    /// Is there a key of this name? `None` asks for the only key.
    pub fn has(&self, kid: Option<&str>) -> bool {
        self.named(kid).next().is_some()
    }

    /// Verifies a signature over `message`. The algorithm is the key's; `alg` must agree.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        alg: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SetError> {
        if !self.has(kid) {
            return Err(SetError::key("the token's key is not one of the issuer's"));
        }
        // Two keys may share a name where they differ in their algorithm (RFC 7517, section 4.5).
        let mut fitting = self
            .named(kid)
            .filter(|key| key.algorithm.as_str() == alg)
            .peekable();
        if fitting.peek().is_none() {
            return Err(SetError::key("the token's alg is not the one of its key"));
        }
        if fitting.any(|key| key.public.verify_sig(message, signature).is_ok()) {
            Ok(())
        } else {
            Err(SetError::key("the token's signature doesn't verify"))
        }
    }

    /// The keys of a name; without a name the only key, since with several it would be a guess.
    fn named<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        let only = self.keys.len() == 1;
        self.keys.iter().filter(move |key| match kid {
            Some(_) => key.id.as_deref() == kid,
            None => only,
        })
    }
}

impl Key {
    /// `None` where it isn't for signatures, or isn't one that counts here.
    fn of(jwk: Jwk) -> Option<Self> {
        let signs = jwk.usage.as_deref().is_none_or(|it| it == "sig");
        let verifies = |ops: &Vec<String>| ops.iter().any(|it| it == "verify");
        if !signs || !jwk.key_ops.as_ref().is_none_or(verifies) {
            return None;
        }
        let alg = jwk.alg.as_deref();
        let (algorithm, public) = match (jwk.kty.as_str(), jwk.crv.as_deref(), alg) {
            // The profile that all speak (CAEP Interoperability Profile 1.0, section 2.6) has RS256.
            ("RSA", _, None | Some("RS256")) => {
                (Algorithm::RS256, rsa(&jwk, &RSA_PKCS1_2048_8192_SHA256)?)
            }
            ("RSA", _, Some("PS256")) => (Algorithm::PS256, rsa(&jwk, &RSA_PSS_2048_8192_SHA256)?),
            ("EC", Some("P-256"), None | Some("ES256")) => (
                Algorithm::ES256,
                elliptic(&jwk, 32, &ECDSA_P256_SHA256_FIXED)?,
            ),
            ("EC", Some("P-384"), None | Some("ES384")) => (
                Algorithm::ES384,
                elliptic(&jwk, 48, &ECDSA_P384_SHA384_FIXED)?,
            ),
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => {
                let x = decode(jwk.x.as_deref()?)?;
                (Algorithm::EdDSA, ParsedPublicKey::new(&ED25519, x).ok()?)
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

fn rsa(jwk: &Jwk, parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
    let n = integer(jwk.n.as_deref()?)?;
    let e = integer(jwk.e.as_deref()?)?;
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) || e.len() > 8 {
        return None;
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
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
    let point = [&[4][..], &x, &y].concat();
    ParsedPublicKey::new(algorithm, point).ok()
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
