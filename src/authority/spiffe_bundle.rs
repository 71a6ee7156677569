//! Bundles as SPIFFE exchanges them (SPIFFE Trust Domain and Bundle standard, section 4): a JWK
//! set with a key for each root, written and read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::certificate::parse;
use crate::public_key::{PublicKey, PublicKeyKind};
use crate::{AuthorityCertificate, AuthorityError, Bundle, verify};

/// What an API object or a ConfigMap holds at most.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
/// Two slots, sixteen retired ones, and twice as many again.
const MAX_ROOTS: usize = 64;
/// The `use` of a root.
const X509_SVID: &str = "x509-svid";

#[derive(Serialize, Deserialize)]
struct Document<'a> {
    keys: Vec<Cow<'a, Value>>,
    #[serde(default)]
    spiffe_sequence: u64,
    #[serde(default)]
    spiffe_refresh_hint: u64,
}

impl Bundle {
    /// The roots as a SPIFFE bundle.
    pub fn spiffe_json(&self, refresh_hint_seconds: u64) -> String {
        self.spiffe_json_with(refresh_hint_seconds, &[], self.sequence)
    }

    /// The roots as a SPIFFE bundle, and behind them `extra_keys`, JWKs with a `use` of ours, which
    /// SPIFFE's readers ignore (standard, 4.2.2). `sequence` must go up with each change of either.
    /// An extra key that claims to be a root is left out: roots come from the bundle alone.
    pub fn spiffe_json_with(
        &self,
        refresh_hint_seconds: u64,
        extra_keys: &[Value],
        sequence: u64,
    ) -> String {
        let roots = self.roots().iter().map(|root| Cow::Owned(jwk(root)));
        let extra = extra_keys.iter().filter(|key| !is_root(key));
        let document = Document {
            keys: roots.chain(extra.map(Cow::Borrowed)).collect(),
            spiffe_sequence: sequence,
            spiffe_refresh_hint: refresh_hint_seconds,
        };
        // Strings and numbers always serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads a SPIFFE bundle of at most 1 MiB with at most 64 roots. Keys of another use are
    /// ignored, as the standard wants it; a root that can't be used, or whose JWK says something
    /// else than its certificate, makes the whole document refused. A bundle without roots is
    /// read: it trusts nobody.
    pub fn from_spiffe_json(text: &str) -> Result<Self, AuthorityError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(bad("it has more than 1 MiB"));
        }
        let document: Document<'_> =
            serde_json::from_str(text).map_err(|why| bad(&why.to_string()))?;
        let roots: Vec<_> = document.keys.iter().filter(|key| is_root(key)).collect();
        if roots.len() > MAX_ROOTS {
            return Err(bad("it has more than 64 roots"));
        }
        let roots = roots.into_iter().map(|key| root(key));
        Ok(Self::new(
            document.spiffe_sequence,
            roots.collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

fn is_root(key: &Value) -> bool {
    key.get("use").and_then(Value::as_str) == Some(X509_SVID)
}

/// The certificate of a root's JWK.
fn root(key: &Value) -> Result<AuthorityCertificate, AuthorityError> {
    let chain = key.get("x5c").and_then(Value::as_array);
    let [Value::String(encoded)] = chain.map(Vec::as_slice).unwrap_or_default() else {
        return Err(bad("a root's x5c must hold exactly one certificate"));
    };
    let der = STANDARD
        .decode(encoded)
        .map_err(|_| bad("a root's x5c is not base64"))?;
    let root = AuthorityCertificate::from_der(&der)?;
    let parsed = parse(&der)?;
    if !matches!(parsed.basic_constraints(), Ok(Some(it)) if it.value.ca) {
        return Err(AuthorityError::NotAnAuthority(format!(
            "root {}",
            root.id()
        )));
    }
    let public = PublicKey::from_spki(parsed.public_key().raw)?;
    let said = |name: &str| key.get(name).and_then(Value::as_str);
    if key_members(&public)
        .iter()
        .any(|(name, value)| said(name) != Some(value))
    {
        return Err(bad(
            "the key of a root's JWK is not that of its certificate",
        ));
    }
    // Whoever verifies with it would fail each time.
    verify::anchor(&root)?;
    Ok(root)
}

fn jwk(root: &AuthorityCertificate) -> Value {
    let mut key = Map::new();
    key.insert("use".to_owned(), json!(X509_SVID));
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

fn bad(why: &str) -> AuthorityError {
    AuthorityError::BadBundle(why.to_owned())
}
