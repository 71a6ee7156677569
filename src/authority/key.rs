//! Private keys: generated, read, used to sign, never shown.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::AuthorityError;
use crate::pem_text;
use crate::public_key::{PublicKey, PublicKeyKind};

/// The keys that are generated here, named as in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "ECDSAP256")]
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ECDSAP384")]
    EcdsaP384,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

impl KeyAlgorithm {
    /// Reads the API's word: `ECDSAP256`, `ECDSAP384` or `Ed25519`.
    pub fn parse(word: &str) -> Result<Self, AuthorityError> {
        match word {
            "ECDSAP256" => Ok(Self::EcdsaP256),
            "ECDSAP384" => Ok(Self::EcdsaP384),
            "Ed25519" => Ok(Self::Ed25519),
            _ => Err(AuthorityError::BadKey(format!(
                "key algorithm {word:?} is not known: use ECDSAP256, ECDSAP384 or Ed25519"
            ))),
        }
    }

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ECDSAP256",
            Self::EcdsaP384 => "ECDSAP384",
            Self::Ed25519 => "Ed25519",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for KeyAlgorithm {
    type Err = AuthorityError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::parse(word)
    }
}

/// A private key as PKCS#8 (version 1, which every reader understands). Overwritten when the last
/// copy is dropped; clones share the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    pkcs8: Arc<Zeroizing<Vec<u8>>>,
}

impl PrivateKey {
    /// A new random key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, AuthorityError> {
        let failed = |_| AuthorityError::Crypto("can't generate a key");
        let document = match algorithm {
            KeyAlgorithm::EcdsaP256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1()),
            KeyAlgorithm::EcdsaP384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1()),
            KeyAlgorithm::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
        };
        Ok(Self::from_pkcs8(document.map_err(failed)?.as_ref()))
    }

    /// Reads one PEM block: `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC 1) or `RSA PRIVATE KEY`
    /// (PKCS#1), not encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, AuthorityError> {
        let bad = |why: &str| AuthorityError::BadKey(why.to_owned());
        let block = pem_text::one_block(pem, pem_text::MAX_CHAIN_BYTES)
            .map_err(|why| AuthorityError::BadKey(why.to_string()))?;
        match block.label.as_str() {
            "PRIVATE KEY" => Ok(Signing::from_pkcs8(&block.der)?.1),
            "EC PRIVATE KEY" => Signing::from_sec1(&block.der),
            "RSA PRIVATE KEY" => Signing::from_pkcs1(&block.der),
            "ENCRYPTED PRIVATE KEY" => Err(bad("it is encrypted: decrypt it first")),
            label => Err(bad(&format!(
                "expected a PRIVATE KEY block, found {label:?}"
            ))),
        }
    }

    /// PKCS#8 in a `PRIVATE KEY` block.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem_text::encode_secret("PRIVATE KEY", &self.pkcs8)
    }

    /// PKCS#8 in DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    fn from_pkcs8(der: &[u8]) -> Self {
        Self {
            pkcs8: Arc::new(Zeroizing::new(der.to_vec())),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

/// A private key loaded for signing.
pub(crate) struct SigningKey {
    signing: Signing,
    public: PublicKey,
}

impl SigningKey {
    /// Loads `key`; fails on kinds and sizes that are not accepted.
    pub(crate) fn load(key: &PrivateKey) -> Result<Self, AuthorityError> {
        let (signing, _) = Signing::from_pkcs8(&key.pkcs8)?;
        let public = signing.public()?;
        Ok(Self { signing, public })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message` with the one signature algorithm of this kind of key: SHA-384 for P-384,
    /// SHA-256 for P-256 and RSA (PKCS#1 v1.5).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        let failed = |_| AuthorityError::Crypto("can't sign");
        let random = SystemRandom::new();
        match &self.signing {
            Signing::Ec(pair) => Ok(pair
                .sign(&random, message)
                .map_err(failed)?
                .as_ref()
                .to_vec()),
            Signing::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Signing::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

impl rcgen::PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.key_bits()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.public.kind() {
            PublicKeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            PublicKeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            PublicKeyKind::Ed25519 => &rcgen::PKCS_ED25519,
            PublicKeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Self::sign(self, message).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

enum Signing {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signing {
    fn from_pkcs8(der: &[u8]) -> Result<(Self, PrivateKey), AuthorityError> {
        let failed = |_| AuthorityError::Crypto("can't encode a key");
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let key = PrivateKey::from_pkcs8(pair.to_pkcs8v1().map_err(failed)?.as_ref());
            return Ok((Self::Ed(pair), key));
        }
        for algorithm in EC {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, der) {
                let key = PrivateKey::from_pkcs8(pair.to_pkcs8v1().map_err(failed)?.as_ref());
                return Ok((Self::Ec(pair), key));
            }
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|why| rejected(&why))?;
        let key = PrivateKey::from_pkcs8(pair.as_der().map_err(failed)?.as_ref());
        Ok((Self::Rsa(pair), key))
    }

    fn from_sec1(der: &[u8]) -> Result<PrivateKey, AuthorityError> {
        let failed = |_| AuthorityError::Crypto("can't encode a key");
        for algorithm in EC {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(algorithm, der) {
                let document = pair.to_pkcs8v1().map_err(failed)?;
                return Ok(PrivateKey::from_pkcs8(document.as_ref()));
            }
        }
        Err(AuthorityError::WeakKey(
            "the EC key is damaged or on a curve that is not accepted".to_owned(),
        ))
    }

    fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, AuthorityError> {
        let pair = RsaKeyPair::from_der(der).map_err(|why| rejected(&why))?;
        let document = pair
            .as_der()
            .map_err(|_| AuthorityError::Crypto("can't encode a key"))?;
        Ok(PrivateKey::from_pkcs8(document.as_ref()))
    }

    fn public(&self) -> Result<PublicKey, AuthorityError> {
        match self {
            Self::Ec(pair) if pair.algorithm() == EC[0] => {
                PublicKey::from_bits(PublicKeyKind::P256, pair.public_key().as_ref())
            }
            Self::Ec(pair) => PublicKey::from_bits(PublicKeyKind::P384, pair.public_key().as_ref()),
            Self::Ed(pair) => {
                PublicKey::from_bits(PublicKeyKind::Ed25519, pair.public_key().as_ref())
            }
            Self::Rsa(pair) => PublicKey::from_bits(PublicKeyKind::Rsa, pair.public_key().as_ref()),
        }
    }
}

const EC: [&EcdsaSigningAlgorithm; 2] = [
    &ECDSA_P256_SHA256_ASN1_SIGNING,
    &ECDSA_P384_SHA384_ASN1_SIGNING,
];

fn rejected(why: &aws_lc_rs::error::KeyRejected) -> AuthorityError {
    match why.to_string().as_str() {
        size @ ("TooSmall" | "TooLarge") => {
            AuthorityError::WeakKey(format!("its RSA modulus is {size}"))
        }
        _ => AuthorityError::BadKey(
            "it is damaged, or neither ECDSA P-256 or P-384, Ed25519 nor RSA".to_owned(),
        ),
    }
}
