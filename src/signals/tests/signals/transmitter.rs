//! A transmitter of security event tokens, honest or not.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_signals::{KeySet, Verifier};
use serde_json::{Value, json};

use crate::table::start;

pub(crate) const ISSUER: &str = "https://idp.example.com/realms/agents";
pub(crate) const AUDIENCE: &str = "https://countersign.example.org";
pub(crate) const RISK: &str =
    "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";

pub(crate) enum Key {
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

pub(crate) struct Transmitter {
    pub(crate) kid: String,
    key: Key,
}

impl Transmitter {
    /// One with a key that is made fast.
    pub(crate) fn new(kid: &str) -> Self {
        Self::with(kid, Key::EdDsa(Ed25519KeyPair::generate().unwrap()))
    }

    pub(crate) fn with(kid: &str, key: Key) -> Self {
        Self {
            kid: kid.to_owned(),
            key,
        }
    }

    /// One for each algorithm.
    pub(crate) fn of_each() -> Vec<Self> {
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        vec![
            Self::with("rs", Key::Rs256(rsa())),
            Self::with("ps", Key::Ps256(rsa())),
            Self::with(
                "es256",
                Key::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            ),
            Self::with(
                "es384",
                Key::Es384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            ),
            Self::with("ed", Key::EdDsa(Ed25519KeyPair::generate().unwrap())),
        ]
    }

    pub(crate) fn alg(&self) -> &'static str {
        match self.key {
            Key::Rs256(_) => "RS256",
            Key::Ps256(_) => "PS256",
            Key::Es256(_) => "ES256",
            Key::Es384(_) => "ES384",
            Key::EdDsa(_) => "EdDSA",
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = |pair: &EcdsaKeyPair, curve: &str| {
            let (x, y) =
                pair.public_key().as_ref()[1..].split_at(if curve == "P-256" { 32 } else { 48 });
            json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
        };
        let rsa = |pair: &RsaKeyPair| {
            let public = pair.public_key();
            let n = public.modulus().big_endian_without_leading_zero();
            let e = public.exponent().big_endian_without_leading_zero();
            json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
        };
        let mut jwk = match &self.key {
            Key::Rs256(pair) | Key::Ps256(pair) => rsa(pair),
            Key::Es256(pair) => point(pair, "P-256"),
            Key::Es384(pair) => point(pair, "P-384"),
            Key::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg());
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    pub(crate) fn keys(&self) -> KeySet {
        KeySet::parse(self.jwks().to_string().as_bytes()).unwrap()
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.alg(), "typ": "secevent+jwt", "kid": self.kid})
    }

    /// Signs whatever it is given.
    pub(crate) fn sign(&self, header: &str, payload: &[u8]) -> String {
        let input = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = self.signature(input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, pss: bool| {
            let mut signature = vec![0; pair.public_modulus_len()];
            let signed = if pss {
                pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
            } else {
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
            };
            signed.unwrap();
            signature
        };
        match &self.key {
            Key::Rs256(pair) => rsa(pair, false),
            Key::Ps256(pair) => rsa(pair, true),
            Key::Es256(pair) | Key::Es384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Key::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// An honest token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), claims.to_string().as_bytes())
    }
}

pub(crate) fn verifier() -> Verifier {
    Verifier {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
    }
}

/// Honest claims: the risk of an owner's agents is high.
pub(crate) fn claims(id: &str) -> Value {
    json!({
        "iss": ISSUER,
        "jti": id,
        "iat": start().as_second(),
        "aud": AUDIENCE,
        "txn": "8675309",
        "sub_id": {"format": "email", "email": "alice@example.com"},
        "events": {RISK: {
            "event_timestamp": start().as_second() - 1,
            "principal": "USER",
            "current_level": "HIGH",
            "previous_level": "LOW",
            "risk_reason": "PASSWORD_FOUND_IN_DATA_BREACH",
        }},
    })
}

/// The same with one member otherwise; `null` takes it away.
pub(crate) fn with(id: &str, member: &str, value: Value) -> Value {
    let mut claims = claims(id);
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(member);
    } else {
        claims[member] = value;
    }
    claims
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
