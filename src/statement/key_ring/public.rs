//! The public half of a ring's key: Ed25519 for what is signed here, P-256 for JWT-SVIDs.

use countersign_authority::{Es256Key, KeyAlgorithm, PrivateKey};
use serde_json::{Map, Value, json};

use crate::ed25519::PublicKey;
use crate::signer::public_key_of;
use crate::trusted_keys::{public_key, thumbprint};
use crate::{KeyPurpose, jws};

/// One public key; of which kind follows from what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicHalf {
    Ed25519(PublicKey),
    P256(Es256Key),
}

/// The kind of key that signs for a purpose.
pub(crate) fn algorithm(purpose: KeyPurpose) -> KeyAlgorithm {
    match purpose.here() {
        Some(_) => KeyAlgorithm::Ed25519,
        None => KeyAlgorithm::EcdsaP256,
    }
}

impl PublicHalf {
    /// Of a private key; None where that is weak, or of another kind than the purpose's.
    pub(crate) fn of(key: &PrivateKey, purpose: KeyPurpose) -> Option<Self> {
        match purpose.here() {
            Some(_) => PublicKey::from_bytes(&public_key_of(key).ok()?).map(Self::Ed25519),
            None => Es256Key::of(key).ok().map(Self::P256),
        }
    }

    /// Of a JWK's coordinates: `x` alone (RFC 8037) or both (RFC 7518, section 6.2.1).
    pub(crate) fn from_jwk(purpose: KeyPurpose, x: &str, y: Option<&str>) -> Option<Self> {
        match (purpose.here(), y) {
            (Some(_), None) => public_key(x).map(Self::Ed25519),
            (None, Some(y)) => Es256Key::from_coordinates(x, y).ok().map(Self::P256),
            _ => None,
        }
    }

    /// Lower-case hex of its JWK thumbprint.
    pub(crate) fn kid(&self) -> String {
        match self {
            Self::Ed25519(key) => thumbprint(key.as_bytes()),
            Self::P256(key) => key.thumbprint(),
        }
    }

    /// `x` and, where there is one, `y` of its JWK.
    pub(crate) fn coordinates(&self) -> (String, Option<String>) {
        match self {
            Self::Ed25519(key) => (jws::encode(key.as_bytes()), None),
            Self::P256(key) => (key.x(), Some(key.y())),
        }
    }
}

/// The JWK of a key for JWT-SVIDs (SPIFFE Trust Domain and Bundle standard, section 4.2). It has
/// none of our times: other people's libraries read it.
pub(crate) fn jwt_svid_jwk(kid: &str, key: &Es256Key) -> Value {
    let mut jwk = Map::new();
    for (name, value) in [
        ("use", "jwt-svid"),
        ("kty", "EC"),
        ("crv", "P-256"),
        ("alg", "ES256"),
        ("kid", kid),
    ] {
        jwk.insert(name.to_owned(), json!(value));
    }
    jwk.insert("x".to_owned(), json!(key.x()));
    jwk.insert("y".to_owned(), json!(key.y()));
    Value::Object(jwk)
}
