//! What verifiers trust.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::AuthorityCertificate;
use crate::certificate::parse;
use crate::encode::sha256;
use crate::public_key::{PublicKey, PublicKeyKind};

/// The roots of a trust domain, sorted by id, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Goes up by one with each change of the content.
    pub sequence: u64,
    roots: Vec<AuthorityCertificate>,
}

impl Bundle {
    /// A bundle of `roots`, in any order.
    pub fn new(sequence: u64, roots: impl IntoIterator<Item = AuthorityCertificate>) -> Self {
        let mut roots: Vec<_> = roots.into_iter().collect();
        roots.sort_by(|a, b| (a.id(), a.der()).cmp(&(b.id(), b.der())));
        roots.dedup();
        Self { sequence, roots }
    }

    /// The roots.
    pub fn roots(&self) -> &[AuthorityCertificate] {
        &self.roots
    }

    /// `CERTIFICATE` blocks.
    pub fn pem(&self) -> String {
        self.roots.iter().map(AuthorityCertificate::pem).collect()
    }

    /// A SPIFFE bundle (SPIFFE Trust Domain and Bundle standard, section 4): a JWK set with a key
    /// for each root.
    pub fn spiffe_json(&self, refresh_hint_seconds: u64) -> String {
        let document = SpiffeBundle {
            keys: self.roots.iter().map(jwk).collect(),
            spiffe_sequence: self.sequence,
            spiffe_refresh_hint: refresh_hint_seconds,
        };
        // Strings and numbers always serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Hex of SHA-256 over the sorted certificates: equal for equal content.
    pub fn digest(&self) -> String {
        let mut ders: Vec<&[u8]> = self.roots.iter().map(AuthorityCertificate::der).collect();
        ders.sort_unstable();
        hex::encode(sha256(&ders.concat()))
    }
}

#[derive(Serialize)]
struct SpiffeBundle {
    keys: Vec<Value>,
    spiffe_sequence: u64,
    spiffe_refresh_hint: u64,
}

fn jwk(root: &AuthorityCertificate) -> Value {
    let mut key = Map::new();
    key.insert("use".to_owned(), json!("x509-svid"));
    key.insert("x5c".to_owned(), json!([STANDARD.encode(root.der())]));
    let public = parse(root.der()).and_then(|parsed| PublicKey::from_spki(parsed.public_key().raw));
    // Roots were checked when they were read, so there is always a key.
    if let Ok(public) = public {
        for (name, value) in key_members(&public) {
            key.insert(name.to_owned(), Value::String(value));
        }
    }
    Value::Object(key)
}

/// RFC 7518, section 6, and RFC 8037, section 2.
fn key_members(public: &PublicKey) -> Vec<(&'static str, String)> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let curve = |name: &str| {
        // 0x04, then two coordinates of equal length.
        let point = public.key_bits().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        vec![
            ("kty", "EC".to_owned()),
            ("crv", name.to_owned()),
            ("x", encode(x)),
            ("y", encode(y)),
        ]
    };
    match public.kind() {
        PublicKeyKind::P256 => curve("P-256"),
        PublicKeyKind::P384 => curve("P-384"),
        PublicKeyKind::Ed25519 => vec![
            ("kty", "OKP".to_owned()),
            ("crv", "Ed25519".to_owned()),
            ("x", encode(public.key_bits())),
        ],
        PublicKeyKind::Rsa => {
            let (modulus, exponent) = public.rsa_parts().unwrap_or_default();
            vec![
                ("kty", "RSA".to_owned()),
                ("n", encode(modulus)),
                ("e", encode(exponent)),
            ]
        }
    }
}
