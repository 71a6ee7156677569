//! Whom a token is for.

use crate::NotIssued;

/// A token is for so many at most: each of them could show it to the others.
pub const MAX_AUDIENCES: usize = 16;
/// The longest one: a SPIFFE ID's length.
pub const MAX_AUDIENCE_BYTES: usize = 2048;

/// The audience of a token: 1 to 16, each of 1 to 2048 bytes without control characters, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Checks what was asked for. What is there twice counts once.
    pub fn parse<S: AsRef<str>>(wanted: &[S]) -> Result<Self, NotIssued> {
        if !(1..=MAX_AUDIENCES).contains(&wanted.len()) {
            return Err(NotIssued::Audiences(wanted.len()));
        }
        let mut audience: Vec<String> = Vec::with_capacity(wanted.len());
        for one in wanted.iter().map(AsRef::as_ref) {
            if !(1..=MAX_AUDIENCE_BYTES).contains(&one.len()) || one.chars().any(char::is_control) {
                return Err(NotIssued::Audience(one.len()));
            }
            if !audience.iter().any(|it| it == one) {
                audience.push(one.to_owned());
            }
        }
        Ok(Self(audience))
    }

    /// In the order in which they were asked for.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}
