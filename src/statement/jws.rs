//! Compact JWS (RFC 7515) in one form.
//!
//! The header that a key makes is known byte for byte before anything arrives: a header that is
//! not one of those is refused, and is parsed only to say why. So `alg`, `typ` and `kid` are never
//! taken from what is to be verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::json::{Object, present};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Broken, shown};

/// A signature of Ed25519 (RFC 8032, section 5.1.6).
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// The longest header that is looked at.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The three parts, cut but not decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compact<'a> {
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: &'a str,
    /// Header, dot, payload.
    pub(crate) signing_input: &'a str,
}

impl<'a> Compact<'a> {
    /// Cuts `text`, of at most `most` bytes.
    pub(crate) fn split(text: &'a str, most: usize) -> Result<Self, Broken> {
        if text.len() > most {
            return Err(Broken::TooLarge {
                bytes: text.len(),
                most,
            });
        }
        let parts = Broken::NotCompact("three parts with a dot between are expected");
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(|| parts.clone())?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| parts.clone())?;
        if payload.contains('.') {
            return Err(parts);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }

    /// The payload's bytes; each payload has exactly one encoding.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, Broken> {
        decode(self.payload, "its payload is not unpadded base64url")
    }

    /// The signature, when it has the size of Ed25519's.
    pub(crate) fn ed25519_signature(&self) -> Result<[u8; SIGNATURE_BYTES], Broken> {
        let mut bytes = [0; SIGNATURE_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(self.signature, &mut bytes) {
            Ok(SIGNATURE_BYTES) => Ok(bytes),
            _ => Err(Broken::NotCompact(
                "its signature is not 64 bytes of unpadded base64url",
            )),
        }
    }
}

pub(crate) fn decode(text: &str, why: &'static str) -> Result<Vec<u8>, Broken> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Broken::NotCompact(why))
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A compact JWS of `header` (encoded already) and `payload`.
pub(crate) fn assemble<E>(
    header: &str,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, E> {
    let mut text = format!("{header}.{}", encode(payload));
    let signature = sign(text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

/// The encoded header of what a key with `kid` signs.
pub(crate) fn header(typ: &str, kid: &str) -> String {
    // Both are constants or hex: nothing to escape.
    encode(format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#).as_bytes())
}

/// A header that was found to be none of ours, read to say why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    #[serde(default)]
    pub(crate) alg: String,
    #[serde(default)]
    pub(crate) typ: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) x5c: Option<Vec<String>>,
    // Refused with whatever value, null too.
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
}

impl Header {
    /// Reads it; refuses what nothing of ours may have. `x5c` is for the caller to judge.
    pub(crate) fn read(encoded: &str) -> Result<Self, Broken> {
        if encoded.len() > MAX_HEADER_BYTES {
            return Err(Broken::TooLarge {
                bytes: encoded.len(),
                most: MAX_HEADER_BYTES,
            });
        }
        let bytes = decode(encoded, "its header is not unpadded base64url")?;
        let Object(header): Object<Self> = serde_json::from_slice(&bytes)
            .map_err(|why| Broken::BadHeader(shown(&why.to_string())))?;
        let forbidden = [
            ("crit", header.crit.is_some()),
            ("b64", header.b64.is_some()),
            ("jwk", header.jwk.is_some()),
            ("jku", header.jku.is_some()),
            ("x5u", header.x5u.is_some()),
        ];
        match forbidden.iter().find(|(_, there)| *there) {
            Some((name, _)) => Err(Broken::ForbiddenHeader(name)),
            None => Ok(header),
        }
    }
}
