//! Signatures as JOSE has them: RFC 7518, 3.4 (ECDSA as R and S of fixed length, not as DER) and
//! RFC 8037, 3.1 (Ed25519). The algorithm follows from the key, never from what a header says.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};

use crate::public_key::{PublicKey, PublicKeyKind};
use crate::{AuthorityError, PrivateKey};

const ES256: &str = "ES256";
const ES384: &str = "ES384";
const EDDSA: &str = "EdDSA";

impl PrivateKey {
    /// Signs `message` (a JWS signing input, RFC 7515, 5.1). Gives the value for `alg` and the
    /// signature: `ES256` (64 bytes) for P-256, `ES384` (96) for P-384, `EdDSA` (64) for Ed25519.
    /// RSA keys are refused: their statements would be several times as long.
    pub fn sign_jose(&self, message: &[u8]) -> Result<(&'static str, Vec<u8>), AuthorityError> {
        let failed = |_| AuthorityError::Crypto("can't sign");
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(self.pkcs8()) {
            let signature = pair.try_sign(message).map_err(failed)?;
            return Ok((EDDSA, signature.as_ref().to_vec()));
        }
        for (name, algorithm) in [
            (ES256, &ECDSA_P256_SHA256_FIXED_SIGNING),
            (ES384, &ECDSA_P384_SHA384_FIXED_SIGNING),
        ] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, self.pkcs8()) {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                return Ok((name, signature.as_ref().to_vec()));
            }
        }
        Err(unfit())
    }
}

/// The value of `alg` for this kind of key.
pub(crate) fn algorithm(kind: PublicKeyKind) -> Result<&'static str, AuthorityError> {
    match kind {
        PublicKeyKind::P256 => Ok(ES256),
        PublicKeyKind::P384 => Ok(ES384),
        PublicKeyKind::Ed25519 => Ok(EDDSA),
        PublicKeyKind::Rsa => Err(unfit()),
    }
}

/// Is `signature` that of `public` over `message`?
pub(crate) fn verify(
    public: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), AuthorityError> {
    let (algorithm, length): (&'static dyn VerificationAlgorithm, usize) = match public.kind() {
        PublicKeyKind::P256 => (&ECDSA_P256_SHA256_FIXED, 64),
        PublicKeyKind::P384 => (&ECDSA_P384_SHA384_FIXED, 96),
        PublicKeyKind::Ed25519 => (&ED25519, 64),
        PublicKeyKind::Rsa => return Err(unfit()),
    };
    if signature.len() != length {
        return Err(AuthorityError::BadSignature(
            "its length is not that of the key's algorithm: JOSE wants R and S of fixed length, not DER",
        ));
    }
    UnparsedPublicKey::new(algorithm, public.key_bits())
        .verify(message, signature)
        .map_err(|_| AuthorityError::BadSignature("it is not that of this key over this message"))
}

fn unfit() -> AuthorityError {
    AuthorityError::BadKey(
        "it can't sign statements: use ECDSA P-256 or P-384, or Ed25519".to_owned(),
    )
}
