//! The header of a Security Event Token: it chooses a key by name, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::json::{Object, present};
use countersign_http::shown;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::SetError;

/// The largest token that is looked at, as it is sent.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;
const MAX_HEADER_BYTES: usize = 8 * 1024;
const MAX_KID_BYTES: usize = 1024;

/// A token that was cut into its parts. Nothing of it is verified.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// Header, dot, payload (RFC 7515, section 5.1).
    pub(crate) signing_input: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    // Refused with whatever value, null too: keys come from the issuer, and no extension is known.
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    b64: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    jwk: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    jku: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    x5u: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    enc: Option<IgnoredAny>,
}

impl<'a> Unverified<'a> {
    /// Cuts and decodes a token, and refuses headers that are never good.
    pub(crate) fn read(token: &'a str) -> Result<Self, SetError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(SetError::request("a token must not exceed 64 KiB"));
        }
        let parts = || SetError::request("a token must be a compact JWS of three parts");
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(parts)?;
        if payload.contains('.') {
            return Err(parts());
        }
        let header = read_header(header)?;
        Ok(Self {
            alg: header.alg,
            kid: header.kid,
            payload: decode(payload, "payload")?,
            signature: decode(signature, "signature")?,
            signing_input,
        })
    }
}

fn read_header(encoded: &str) -> Result<Header, SetError> {
    if encoded.len() > MAX_HEADER_BYTES {
        return Err(SetError::request("the token's header is too long"));
    }
    let bytes = decode(encoded, "header")?;
    let Object(header): Object<Header> =
        json(&bytes).map_err(|why| SetError::request(format!("the token's header: {why}")))?;
    let forbidden = [
        ("crit", header.crit.is_some()),
        ("b64", header.b64.is_some()),
        ("jwk", header.jwk.is_some()),
        ("jku", header.jku.is_some()),
        ("x5u", header.x5u.is_some()),
        ("enc", header.enc.is_some()),
    ];
    if let Some((name, _)) = forbidden.iter().find(|(_, there)| *there) {
        return Err(SetError::key(format!("the header {name} is not accepted")));
    }
    // RFC 8417, section 2.3: this keeps any other JWT of the same issuer from being taken for one.
    let typ = header.typ.as_deref().unwrap_or_default();
    let typ = typ.to_ascii_lowercase();
    if typ.strip_prefix("application/").unwrap_or(&typ) != "secevent+jwt" {
        return Err(SetError::request("the header typ must be secevent+jwt"));
    }
    if header
        .kid
        .as_ref()
        .is_some_and(|it| it.len() > MAX_KID_BYTES)
    {
        return Err(SetError::request("the header kid is too long"));
    }
    Ok(header)
}

/// Reads JSON, all of which is UTF-8 (RFC 8259, section 8.1): serde_json doesn't look at strings that
/// it skips.
pub(crate) fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it isn't UTF-8".to_owned())?;
    serde_json::from_str(text).map_err(|why| shown(&why.to_string()))
}

fn decode(text: &str, part: &str) -> Result<Vec<u8>, SetError> {
    let wrong = |_| SetError::request(format!("the token's {part} is not unpadded base64url"));
    URL_SAFE_NO_PAD.decode(text).map_err(wrong)
}
