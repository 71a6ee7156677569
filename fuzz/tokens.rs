//! JWT-SVIDs, and ones made of any header and claims. ECDSA is not deterministic: seeds have no
//! signatures, and what is signed is signed when a program starts.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_authority::{Es256Signer, PrivateKey};
use countersign_core::{SpiffeId, TrustDomainName};
use countersign_jwtsvid::{Audience, Keys, Signer};
use serde_json::json;

use crate::{DOMAIN, after, start};

/// Whom the honest token is for.
pub const AUDIENCE: &str = "https://api.example.com";
/// Whose it is.
pub const SUBJECT: &str = "spiffe://example.org/ns/finance/agent/reader/task/t-1/i-2";

/// The key of RFC 7515, appendix A.3.1: `d`, `x`, `y`.
const KEY: [&str; 3] = [
    "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
];

/// A trust domain's key for JWT-SVIDs.
#[derive(Debug)]
pub struct Tokens {
    /// What signs.
    pub signer: Signer,
    /// What verifies.
    pub keys: Keys,
    /// A good token.
    pub honest: String,
    raw: Es256Signer,
}

impl Tokens {
    /// The one of [`DOMAIN`].
    pub fn new() -> Self {
        let private = PrivateKey::from_pem(&pem()).expect("it is a key");
        let domain = TrustDomainName::parse(DOMAIN).expect("it is a name");
        let signer = Signer::load(&private, domain).expect("it is on P-256");
        let keys = Keys::from_bundle_json(DOMAIN, &Self::bundle()).expect("it has a key");
        let audience = Audience::parse(&[AUDIENCE]).expect("it is one");
        let subject = SpiffeId::parse(SUBJECT).expect("it is one");
        let life = Duration::from_secs(300);
        let honest = signer.issue(&subject, &audience, None, start(), life);
        Self {
            honest: honest.expect("it is good").text,
            raw: Es256Signer::load(&private).expect("it is on P-256"),
            signer,
            keys,
        }
    }

    /// The id of the key.
    pub fn kid(&self) -> &str {
        self.signer.kid()
    }

    /// A SPIFFE bundle with the key.
    pub fn bundle() -> String {
        let private = PrivateKey::from_pem(&pem()).expect("it is a key");
        let key = Es256Signer::load(&private).expect("it is on P-256");
        let public = key.public();
        json!({"keys": [{
            "use": "jwt-svid", "kty": "EC", "crv": "P-256", "alg": "ES256",
            "kid": public.thumbprint(), "x": public.x(), "y": public.y(),
        }]})
        .to_string()
    }

    /// A good header.
    pub fn header(&self) -> String {
        json!({"alg": "ES256", "kid": self.kid(), "typ": "JWT"}).to_string()
    }

    /// Good claims.
    pub fn claims() -> String {
        let (iat, exp) = (start().as_second(), after(300).as_second());
        json!({"sub": SUBJECT, "aud": [AUDIENCE], "iat": iat, "exp": exp, "jti": "a"}).to_string()
    }

    /// Signs anything at all.
    pub fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.raw.sign(input.as_bytes()).expect("it can sign");
        format!("{input}.{}", encode(&signature))
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

/// SEC 1, appendix C.4, with the curve's name and the public key.
fn pem() -> String {
    let [d, x, y] = KEY.map(|it| URL_SAFE_NO_PAD.decode(it).expect("it is base64url"));
    let head = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
    let curve = [
        0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let public = [0xa1, 0x44, 0x03, 0x42, 0x00, 0x04];
    let der = [&head[..], &d, &curve, &public, &x, &y].concat();
    let body = STANDARD.encode(der);
    format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n")
}
