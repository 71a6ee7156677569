//! ES256 (RFC 7518, section 3.4): keys on P-256 as JWKs have them, loaded once and used often.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::encode::sha256;
use crate::public_key::{PublicKey, PublicKeyKind};
use crate::{AuthorityError, PrivateKey, jose};

/// R and S, 32 bytes each.
const SIGNATURE_BYTES: usize = 64;
/// One coordinate of a point (RFC 7518, section 6.2.1.2).
const COORDINATE_BYTES: usize = 32;
/// SEC 1, section 2.3.3: what follows are both coordinates.
const UNCOMPRESSED: u8 = 4;

/// A public key on P-256, checked to be a point of the curve.
#[derive(Clone, PartialEq, Eq)]
pub struct Es256Key(PublicKey);

/// A private key on P-256, loaded for signing.
pub struct Es256Signer {
    pair: EcdsaKeyPair,
    public: Es256Key,
    random: SystemRandom,
}

impl Es256Key {
    /// The public half of `key`; fails on keys of another kind.
    pub fn of(key: &PrivateKey) -> Result<Self, AuthorityError> {
        Es256Signer::load(key).map(|it| it.public)
    }

    /// Reads `x` and `y` of a JWK: 32 bytes each in unpadded base64url.
    pub fn from_coordinates(x: &str, y: &str) -> Result<Self, AuthorityError> {
        let mut point = vec![UNCOMPRESSED];
        for text in [x, y] {
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
            if bytes.len() != COORDINATE_BYTES {
                return Err(AuthorityError::BadKey(
                    "a coordinate is not 32 bytes of unpadded base64url".to_owned(),
                ));
            }
            point.extend(bytes);
        }
        PublicKey::from_bits(PublicKeyKind::P256, &point).map(Self)
    }

    /// `x` of its JWK.
    pub fn x(&self) -> String {
        self.coordinate(1)
    }

    /// `y` of its JWK.
    pub fn y(&self) -> String {
        self.coordinate(1 + COORDINATE_BYTES)
    }

    /// Lower-case hex of its JWK thumbprint (RFC 7638, SHA-256; the members of section 3.2).
    pub fn thumbprint(&self) -> String {
        let (x, y) = (self.x(), self.y());
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        hex::encode(sha256(members.as_bytes()))
    }

    /// Is `signature`, R and S of fixed length, that of this key over `message`?
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), AuthorityError> {
        jose::verify(&self.0, message, signature)
    }

    fn coordinate(&self, from: usize) -> String {
        let bytes = self.0.key_bits().get(from..from + COORDINATE_BYTES);
        URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default())
    }
}

impl Es256Signer {
    /// Loads `key`; fails on keys of another kind.
    pub fn load(key: &PrivateKey) -> Result<Self, AuthorityError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.pkcs8())
            .map_err(|_| AuthorityError::BadKey("it is not a key on P-256".to_owned()))?;
        let public = PublicKey::from_bits(PublicKeyKind::P256, pair.public_key().as_ref())?;
        Ok(Self {
            pair,
            public: Es256Key(public),
            random: SystemRandom::new(),
        })
    }

    /// Its public half.
    pub fn public(&self) -> &Es256Key {
        &self.public
    }

    /// R and S over `message`, 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], AuthorityError> {
        let failed = AuthorityError::Crypto("can't sign");
        let signature = self.pair.sign(&self.random, message);
        let signature = signature.map_err(|_| failed.clone())?;
        signature.as_ref().try_into().map_err(|_| failed)
    }
}

impl fmt::Debug for Es256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Es256Key({})", self.thumbprint())
    }
}

impl fmt::Debug for Es256Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Es256Signer")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use crate::KeyAlgorithm;

    /// RFC 7515, appendix A.3.1.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const INPUT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    #[test]
    fn the_example_of_the_standard_verifies_and_an_altered_one_does_not() {
        let key = Es256Key::from_coordinates(X, Y).unwrap();
        assert_eq!((key.x(), key.y()), (X.to_owned(), Y.to_owned()));
        let mut signature = URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap();
        key.verify(INPUT.as_bytes(), &signature).unwrap();
        key.verify(&INPUT.as_bytes()[1..], &signature).unwrap_err();
        signature[0] ^= 1;
        key.verify(INPUT.as_bytes(), &signature).unwrap_err();
        key.verify(INPUT.as_bytes(), &[0; 64]).unwrap_err();
        key.verify(INPUT.as_bytes(), &[]).unwrap_err();
    }

    #[test]
    fn what_is_signed_verifies_with_the_public_half_and_another_kind_of_key_is_refused() {
        let private = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let signer = Es256Signer::load(&private).unwrap();
        let signature = signer.sign(b"message").unwrap();
        let public = Es256Key::of(&private).unwrap();
        assert_eq!(&public, signer.public());
        public.verify(b"message", &signature).unwrap();
        let read = Es256Key::from_coordinates(&public.x(), &public.y()).unwrap();
        assert_eq!(read.thumbprint(), public.thumbprint());
        for other in [KeyAlgorithm::EcdsaP384, KeyAlgorithm::Ed25519] {
            Es256Signer::load(&PrivateKey::generate(other).unwrap()).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_refused() {
        for (x, y) in [(X, X), (X, ""), ("", ""), (&X[1..], Y), ("=", Y)] {
            Es256Key::from_coordinates(x, y).unwrap_err();
        }
    }
}
