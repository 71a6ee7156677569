//! What can be wrong, each with a message for a person.

use jiff::Timestamp;

use crate::{LONGEST_SECONDS, MAX_AUDIENCE_BYTES, MAX_AUDIENCES};

/// Why no token is issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotIssued {
    /// None, or too many to be for.
    #[error("a token is for 1 to {most} audiences, not {0}", most = MAX_AUDIENCES)]
    Audiences(usize),
    /// One of them is none; its size.
    #[error("an audience has 1 to {most} bytes and no control characters, this one has {0} bytes", most = MAX_AUDIENCE_BYTES)]
    Audience(usize),
    /// The subject belongs to another trust domain.
    #[error("{subject} is not of trust domain {trust_domain}")]
    OtherTrustDomain {
        /// Whose token it would be.
        subject: String,
        /// Whose key it is.
        trust_domain: String,
    },
    /// It would be over at once, or live too long.
    #[error("a token lives 1 to {longest} seconds, not {0}", longest = LONGEST_SECONDS)]
    Lifetime(i64),
    /// There is no key to sign with.
    #[error("there is no key for JWT-SVIDs: {0}")]
    NoKey(String),
    /// The crypto library failed.
    #[error("{0}")]
    Crypto(&'static str),
}

/// Why keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keys refused: {0}")]
pub struct BadKeys(pub(crate) String);

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Refused before a byte of it was read.
    #[error("it has {0} bytes, which is too many")]
    TooLarge(usize),
    /// Not the compact serialisation in its one form.
    #[error("it is no compact JWS: {0}")]
    NotCompact(&'static str),
    /// The header can't be read, or has a member that is not known.
    #[error("its header is refused: {0}")]
    BadHeader(String),
    /// The header names another algorithm than that of the key.
    #[error("alg is {0:?}, the key's is \"ES256\"")]
    Algorithm(String),
    /// No trusted key has this id.
    #[error(
        "the trust domain has no key {0:?} for JWT-SVIDs: the bundle may be old, or the key distrusted"
    )]
    UnknownKey(String),
    /// Not signed by that key, or altered since.
    #[error("its signature does not verify")]
    BadSignature,
    /// The payload can't be read.
    #[error("its claims are refused: {0}")]
    BadClaims(String),
    /// The subject is no SPIFFE ID of the trust domain.
    #[error("sub {found:?} is no SPIFFE ID of trust domain {trust_domain}")]
    Subject {
        /// What it says.
        found: String,
        /// Whose keys these are.
        trust_domain: String,
    },
    /// Meant for somebody else.
    #[error("it is not for {0:?}")]
    Audience(String),
    /// Over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// From the future, by more than clocks differ.
    #[error("it counts from {0} on, which is in the future")]
    NotYetValid(Timestamp),
}

impl Refused {
    /// A stable word for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too-large",
            Self::NotCompact(_) => "not-compact",
            Self::BadHeader(_) => "bad-header",
            Self::Algorithm(_) => "algorithm",
            Self::UnknownKey(_) => "unknown-key",
            Self::BadSignature => "bad-signature",
            Self::BadClaims(_) => "bad-claims",
            Self::Subject { .. } => "subject",
            Self::Audience(_) => "audience",
            Self::Expired(_) => "expired",
            Self::NotYetValid(_) => "not-yet-valid",
        }
    }
}

/// Text of others for a message: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean = |it: char| if it.is_control() { '\u{fffd}' } else { it };
    text.chars().take(LONGEST).map(clean).collect()
}
