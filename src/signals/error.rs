//! Why a Security Event Token is refused, as its transmitter is told.

use std::fmt;

/// A token that is refused for good: sent again, it would be again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}")]
pub struct SetError {
    /// One of a fixed set of words.
    pub code: SetErrorCode,
    /// For a person at the transmitter; nothing of what is inside here.
    pub description: String,
}

/// The words of RFC 8935, section 2.4, which RFC 8936 shares, and one of SSF 1.0, section 8.1.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetErrorCode {
    /// The request or the token can't be read, or a rule of SSF isn't kept.
    InvalidRequest,
    /// The key that it is signed with is not one of the transmitter's, or not acceptable.
    InvalidKey,
    /// The issuer is another than the stream's.
    InvalidIssuer,
    /// It is meant for somebody else.
    InvalidAudience,
    /// The transmitter didn't prove who it is.
    AuthenticationFailed,
    /// The transmitter may not say that.
    AccessDenied,
    /// A verification carries another state than was asked for.
    InvalidState,
}

impl SetErrorCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
            Self::InvalidState => "invalid_state",
        }
    }
}

impl fmt::Display for SetErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SetError {
    pub(crate) fn new(code: SetErrorCode, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
        }
    }

    pub(crate) fn request(description: impl Into<String>) -> Self {
        Self::new(SetErrorCode::InvalidRequest, description)
    }

    pub(crate) fn key(description: impl Into<String>) -> Self {
        Self::new(SetErrorCode::InvalidKey, description)
    }
}
