//! Keys that are the same in every run.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// PKCS#8 of an Ed25519 key (RFC 8410, section 7), up to its 32 bytes.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An Ed25519 key that everybody knows.
#[derive(Debug)]
pub struct Key {
    pair: Ed25519KeyPair,
    seed: [u8; 32],
}

impl Key {
    /// The key whose 32 bytes are all `byte`.
    pub fn of(byte: u8) -> Self {
        let seed = [byte; 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a key");
        Self { pair, seed }
    }

    /// Its PKCS#8 form.
    pub fn pkcs8(&self) -> Vec<u8> {
        [&PKCS8[..], &self.seed].concat()
    }

    /// [`Self::pkcs8`] in a `PRIVATE KEY` block.
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(self.pkcs8());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    /// Its public half as a JWK has it (RFC 8037).
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public())
    }

    /// Its public half, 32 bytes.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Lower-case hex of its JWK's thumbprint (RFC 7638), which is a signing key's `kid`.
    pub fn kid(&self) -> String {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        hex::encode(digest(&SHA256, jwk.as_bytes()))
    }

    /// Its signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// A compact JWS of a header that is encoded already, and any payload.
    pub fn jws(&self, header: &str, payload: &[u8]) -> String {
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}
