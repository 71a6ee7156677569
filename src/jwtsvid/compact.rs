//! Compact JWS (RFC 7515, section 7.1), cut and put together.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Refused;

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
    pub(crate) fn split(text: &'a str) -> Result<Self, Refused> {
        let parts = Refused::NotCompact("three parts with a dot between are expected");
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
}

/// Each sequence of bytes has exactly one encoding.
pub(crate) fn decode(text: &str, why: &'static str) -> Result<Vec<u8>, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(text);
    bytes.map_err(|_| Refused::NotCompact(why))
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
