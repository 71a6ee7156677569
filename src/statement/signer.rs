//! One key that signs for one purpose.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_authority::PrivateKey;
use countersign_core::TrustDomainName;
use zeroize::Zeroizing;

use crate::error::{Broken, KeyError};
use crate::trusted_keys::thumbprint;
use crate::{Claims, Digest, MAX_STATEMENT_BYTES, Purpose, Statement, jws};

/// The active key of a trust domain for one purpose.
pub struct Signer {
    pair: Ed25519KeyPair,
    purpose: Purpose,
    trust_domain: TrustDomainName,
    kid: String,
    header: String,
}

impl Signer {
    pub(crate) fn load(
        key: &PrivateKey,
        purpose: Purpose,
        trust_domain: TrustDomainName,
    ) -> Result<Self, KeyError> {
        let pair = key_pair(key)?;
        let kid = thumbprint(&public_of(&pair)?);
        Ok(Self {
            header: jws::header(purpose.typ(), &kid),
            pair,
            purpose,
            trust_domain,
            kid,
        })
    }

    /// What it signs.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The id of its key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whose key it is.
    pub fn trust_domain(&self) -> &TrustDomainName {
        &self.trust_domain
    }

    /// Countersigns one hop. Whether the hop is within its parent is the caller's to check first,
    /// with [`crate::check_hop`]; here only what the claims alone show is refused.
    pub fn countersign(&self, claims: &Claims) -> Result<Statement, Broken> {
        self.check_issuer(&claims.issuer)?;
        let compact = self.sign(Purpose::Statements, &claims.write()?)?;
        if compact.len() > MAX_STATEMENT_BYTES {
            return Err(Broken::TooLarge {
                bytes: compact.len(),
                most: MAX_STATEMENT_BYTES,
            });
        }
        let signing_input = compact.rsplit_once('.').unwrap_or_default().0;
        let digest = Digest::of(signing_input.as_bytes());
        Ok(Statement::new(claims.in_whole_seconds(), digest, compact))
    }

    pub(crate) fn check_issuer(&self, issuer: &TrustDomainName) -> Result<(), Broken> {
        if *issuer == self.trust_domain {
            return Ok(());
        }
        Err(Broken::OtherTrustDomain {
            found: issuer.to_string(),
            expected: self.trust_domain.to_string(),
        })
    }

    /// A compact JWS over `payload`; refuses another purpose than its own.
    pub(crate) fn sign(&self, purpose: Purpose, payload: &[u8]) -> Result<String, Broken> {
        if purpose != self.purpose {
            return Err(Broken::OtherPurpose {
                kid: self.kid.clone(),
                purpose: self.purpose,
                expected: purpose,
            });
        }
        jws::assemble(&self.header, payload, |message| {
            let signature = self.pair.try_sign(message);
            let signature = signature.map_err(|_| Broken::Crypto("can't sign"))?;
            Ok(signature.as_ref().to_vec())
        })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("purpose", &self.purpose)
            .field("trust_domain", &self.trust_domain)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The public half of an Ed25519 key; fails on other kinds.
pub(crate) fn public_key_of(key: &PrivateKey) -> Result<[u8; 32], KeyError> {
    public_of(&key_pair(key)?)
}

fn public_of(pair: &Ed25519KeyPair) -> Result<[u8; 32], KeyError> {
    let public = pair.public_key().as_ref().try_into();
    public.map_err(|_| KeyError::Crypto("an Ed25519 key must have 32 bytes"))
}

fn key_pair(key: &PrivateKey) -> Result<Ed25519KeyPair, KeyError> {
    let pem = key.to_pem();
    let mut body = Zeroizing::new(String::with_capacity(pem.len()));
    for line in pem.lines().filter(|line| !line.starts_with("-----")) {
        body.push_str(line);
    }
    let der = STANDARD.decode(body.as_bytes()).map(Zeroizing::new);
    let der = der.map_err(|_| KeyError::Crypto("can't read a key"))?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
        .map_err(|_| KeyError::BadState("a key is not Ed25519".to_owned()))
}
