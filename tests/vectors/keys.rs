//! Keys of fixed seeds, and what is signed with them. Ed25519 signs the same in the same way each
//! time, so the vectors are reproducible.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::agent;
use crate::story::T0;
use crate::vector::sorted;

/// A key: its seed is this byte, 32 times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u8);

/// Signs statements.
pub(crate) const STATEMENTS: Key = Key(1);
/// Signed statements until [`RETIRED_AT`].
pub(crate) const RETIRED: Key = Key(2);
/// Signs lists.
pub(crate) const LISTS: Key = Key(3);
/// Signs checkpoints.
pub(crate) const CHECKPOINTS: Key = Key(4);
/// Another trust domain's, for statements.
pub(crate) const FOREIGN: Key = Key(5);
/// The agent planner's own.
pub(crate) const PLANNER: Key = Key(6);
/// The certificate authority's.
pub(crate) const AUTHORITY: Key = Key(7);

/// When [`RETIRED`] signed its last.
pub(crate) const RETIRED_AT: i64 = T0 + 30;

impl Key {
    pub(crate) fn pair(self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[self.0; 32]).unwrap()
    }

    /// RFC 8410, section 7.
    pub(crate) fn pkcs8(self) -> Vec<u8> {
        const BEFORE_THE_SEED: [u8; 16] = [
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        [BEFORE_THE_SEED.as_slice(), &[self.0; 32]].concat()
    }

    fn x(self) -> String {
        encode(self.pair().public_key().as_ref())
    }

    /// RFC 7638.
    pub(crate) fn kid(self) -> String {
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        let mut kid = String::new();
        for byte in digest(&SHA256, members.as_bytes()).as_ref() {
            write!(kid, "{byte:02x}").unwrap();
        }
        kid
    }

    /// The header's JSON.
    pub(crate) fn header(self) -> String {
        let typ = match self {
            LISTS => "countersign-revocations+jwt",
            CHECKPOINTS => "countersign-checkpoint+jwt",
            _ => "countersign-delegation+jwt",
        };
        self.header_of(typ)
    }

    pub(crate) fn header_of(self, typ: &str) -> String {
        format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, self.kid())
    }

    pub(crate) fn jwk(self) -> Value {
        let used = match self {
            LISTS => "countersign-list",
            CHECKPOINTS => "countersign-checkpoint",
            _ => "countersign-statement",
        };
        let mut jwk = json!({
            "use": used, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
            "kid": self.kid(), "x": self.x(), "countersign_not_before": T0 - 86_400,
        });
        if self == RETIRED {
            jwk["countersign_retired_at"] = json!(RETIRED_AT);
        }
        jwk
    }

    /// A compact JWS.
    pub(crate) fn sign(self, header: &str, payload: &[u8]) -> String {
        self.sign_input(format!("{}.{}", encode(header.as_bytes()), encode(payload)))
    }

    /// A compact JWS of these first two parts.
    pub(crate) fn sign_input(self, mut text: String) -> String {
        let signature = self.pair().sign(text.as_bytes());
        write!(text, ".{}", encode(signature.as_ref())).unwrap();
        text
    }
}

/// The trust domain's bundle.
pub(crate) fn bundle() -> Value {
    let keys = [STATEMENTS, RETIRED, LISTS, CHECKPOINTS].map(Key::jwk);
    let keys: Vec<Value> = [agent::root_jwk()].into_iter().chain(keys).collect();
    sorted(json!({"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 300}))
}

/// What a child's `par_hash` and lists name a statement by.
pub(crate) fn digest_of(compact: &str) -> [u8; 32] {
    let (signing_input, _) = compact.rsplit_once('.').unwrap();
    let digest = digest(&SHA256, signing_input.as_bytes());
    digest.as_ref().try_into().unwrap()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
