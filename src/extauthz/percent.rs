//! Percent-encoding (RFC 3986, section 2.1).

use std::borrow::Cow;
use std::fmt::Write as _;

/// The bytes that a text stands for; `None` if a `%` isn't followed by two hex digits. Nothing else
/// is changed, `+` neither.
pub(crate) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            decoded.push(digit(*rest.next()?)? << 4 | digit(*rest.next()?)?);
        } else {
            decoded.push(byte);
        }
    }
    Some(Cow::Owned(decoded))
}

/// A text in visible ASCII: each other byte, and `%`, is encoded, so that it can be undone.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // A String takes whatever is written to it.
            let _never_fails = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_for_a_header_is_visible_and_can_be_undone() {
        for text in ["", "alice", "oidc:Jörg Müller", "100%\r\nx-evil: 1", "%41"] {
            let shown = visible(text);
            assert!(shown.bytes().all(|it| it.is_ascii_graphic()), "{shown}");
            assert_eq!(decode(shown.as_bytes()).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_percent_sign_needs_two_hex_digits() {
        for text in ["%", "%4", "%4g", "%+1", "a%"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"%4a%2F+").unwrap(), &b"J/+"[..]);
    }
}
