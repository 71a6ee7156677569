//! A trust domain with its key, a fixed clock, and tokens of any content.

use std::time::Duration;

use countersign_authority::{Es256Key, Es256Signer, KeyAlgorithm, PrivateKey};
use countersign_core::{SpiffeId, TrustDomainName};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::compact::encode;
use crate::{Audience, Keys, Signer};

pub(super) const DOMAIN: &str = "example.org";
pub(super) const AUDIENCE: &str = "https://api.example.com";

pub(super) struct Authority {
    pub(super) private: PrivateKey,
    pub(super) signer: Signer,
    pub(super) keys: Keys,
}

pub(super) fn start() -> Timestamp {
    "2026-11-24T12:00:00.5Z".parse().unwrap()
}

pub(super) fn plus(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

pub(super) fn subject() -> SpiffeId {
    SpiffeId::parse("spiffe://example.org/ns/finance/agent/reader/task/t-1/i-2").unwrap()
}

pub(super) fn audience() -> Audience {
    Audience::parse(&[AUDIENCE]).unwrap()
}

pub(super) fn authority() -> Authority {
    let private = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let domain = TrustDomainName::parse(DOMAIN).unwrap();
    let bundle = json!({"keys": [jwk(&Es256Key::of(&private).unwrap())]}).to_string();
    Authority {
        signer: Signer::load(&private, domain).unwrap(),
        keys: Keys::from_bundle_json(DOMAIN, &bundle).unwrap(),
        private,
    }
}

pub(super) fn jwk(key: &Es256Key) -> Value {
    json!({
        "use": "jwt-svid", "kty": "EC", "crv": "P-256", "alg": "ES256",
        "kid": key.thumbprint(), "x": key.x(), "y": key.y(),
    })
}

impl Authority {
    pub(super) fn token(&self) -> String {
        let token = self.signer.issue(
            &subject(),
            &audience(),
            None,
            start(),
            Duration::from_secs(300),
        );
        token.unwrap().text
    }

    /// The header that this authority writes.
    pub(super) fn header(&self) -> Value {
        json!({"alg": "ES256", "kid": self.signer.kid(), "typ": "JWT"})
    }

    /// Good claims.
    pub(super) fn claims(&self) -> Value {
        json!({
            "sub": subject().as_str(), "aud": [AUDIENCE],
            "exp": plus(300).as_second(), "iat": start().as_second(),
        })
    }

    /// Signs anything at all.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let signer = Es256Signer::load(&self.private).unwrap();
        let signature = signer.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", encode(&signature))
    }
}
