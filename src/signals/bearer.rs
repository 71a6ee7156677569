//! Tokens and secrets: compared in constant time, never shown.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A shorter token can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
/// The longest that is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A bearer token (RFC 6750) that somebody else must show. Only its SHA-256 is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// A secret that is shown to somebody else.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// The token is too short, too long, or has other characters than a header may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bearer token must be 16 to 8192 visible ASCII characters")]
pub struct BadToken;

impl Token {
    /// Of the token as it is shown, without `Bearer`.
    ///
    /// # Errors
    /// It can't be one.
    pub fn new(token: &str) -> Result<Self, BadToken> {
        check(token)?;
        Ok(Self(sha256(token)))
    }

    /// Is it this one? Takes the same time wherever a difference is.
    fn is(&self, other: &[u8; 32]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl Secret {
    /// Of the secret as it is shown.
    ///
    /// # Errors
    /// It can't be sent in a header.
    pub fn new(secret: &str) -> Result<Self, BadToken> {
        let good = |it: u8| it.is_ascii_graphic();
        if secret.is_empty() || secret.len() > MAX_TOKEN_BYTES || !secret.bytes().all(good) {
            return Err(BadToken);
        }
        Ok(Self(Zeroizing::new(secret.to_owned())))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The place of the token that the request shows, among those of `tokens` that are there. All are
/// compared, so that the time tells nothing.
pub fn shown_by<'a>(
    headers: &HeaderMap,
    tokens: impl IntoIterator<Item = Option<&'a Token>>,
) -> Option<usize> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") || check(token).is_err() {
        return None;
    }
    let shown = sha256(token);
    let mut found = None;
    for (place, token) in tokens.into_iter().enumerate() {
        if token.is_some_and(|it| it.is(&shown)) {
            found = Some(place);
        }
    }
    found
}

fn check(token: &str) -> Result<(), BadToken> {
    let length = (MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len());
    if length && token.bytes().all(|it| it.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(BadToken)
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_token_is_found_among_others() {
        let tokens = [
            Token::new("0123456789abcdef").unwrap(),
            Token::new("fedcba9876543210").unwrap(),
        ];
        let found = |values: &[&str]| shown_by(&headers(values), tokens.iter().map(Some));
        assert_eq!(found(&["Bearer fedcba9876543210"]), Some(1));
        assert_eq!(found(&["bearer 0123456789abcdef"]), Some(0));
        assert_eq!(found(&["Bearer 0123456789abcdeF"]), None);
        assert_eq!(found(&["Basic 0123456789abcdef"]), None);
        assert_eq!(found(&["Bearer"]), None);
        assert_eq!(found(&[]), None);
        let twice = ["Bearer 0123456789abcdef", "Bearer fedcba9876543210"];
        assert_eq!(found(&twice), None, "which of them counts?");
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new("0123456789abcdef").unwrap();
        let secret = Secret::new("hunter2").unwrap();
        assert_eq!(format!("{token:?} {secret:?}"), "Token(…) Secret(…)");
        assert_eq!(Token::new("short").unwrap_err(), BadToken);
        assert_eq!(Secret::new("a b").unwrap_err(), BadToken);
    }
}
