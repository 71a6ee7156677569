//! A transmitter of security event tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::{Key, start};

/// The transmitter's name.
pub const ISSUER: &str = "https://idp.example.com/realms/agents";
/// The receiver's.
pub const AUDIENCE: &str = "https://countersign.example.org";

/// A transmitter whose key everybody knows.
#[derive(Debug)]
pub struct Transmitter(Key);

impl Default for Transmitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Transmitter {
    /// Always the same.
    pub fn new() -> Self {
        Self(Key::of(0x5e))
    }

    /// Its public key, as a JWK has it.
    pub fn x(&self) -> String {
        self.0.x()
    }

    /// Its JWK set.
    pub fn jwks(&self) -> String {
        let (x, kid) = (self.0.x(), self.0.kid());
        format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"{kid}","x":"{x}"}}]}}"#
        )
    }

    /// Its tokens' header.
    pub fn header(&self) -> String {
        let kid = self.0.kid();
        format!(r#"{{"alg":"EdDSA","typ":"secevent+jwt","kid":"{kid}"}}"#)
    }

    /// Honest claims: the risk of a person's agents is high.
    pub fn claims() -> Vec<u8> {
        let event = "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";
        let now = start().as_second();
        let claims = json!({
            "iss": ISSUER,
            "jti": "756E69717565",
            "iat": now,
            "aud": AUDIENCE,
            "sub_id": {"format": "email", "email": "alice@example.com"},
            "events": {event: {"event_timestamp": now, "principal": "USER", "current_level": "HIGH"}},
        });
        claims.to_string().into_bytes()
    }

    /// A token with these claims, whatever they are.
    pub fn token(&self, claims: &[u8]) -> String {
        self.sign(self.header().as_bytes(), claims)
    }

    /// A token with this header, whatever it is.
    pub fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        self.0.jws(&URL_SAFE_NO_PAD.encode(header), claims)
    }
}
