//! What can be wrong, each with a stable category and a message for a person.

use std::fmt;

use countersign_core::Widening;
use jiff::Timestamp;

use crate::{Digest, KeyPurpose, MAX_STATEMENTS, Purpose};

/// Why something signed is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// There is nothing to verify.
    #[error("a chain has at least one statement")]
    Empty,
    /// More statements than a chain can have.
    #[error("a chain has at most {most} statements, this one {0}", most = MAX_STATEMENTS)]
    TooLong(usize),
    /// Refused before a byte of it was read.
    #[error("it has {bytes} bytes; at most {most} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// Not the compact serialisation of RFC 7515, section 7.1, in its one form.
    #[error("it is no compact JWS: {0}")]
    NotCompact(&'static str),
    /// The header can't be read, or has a member that is not known.
    #[error("its header is refused: {0}")]
    BadHeader(String),
    /// `crit`, `b64`, or a member that would bring its own key.
    #[error("its header has {0:?}, which is refused always")]
    ForbiddenHeader(&'static str),
    /// The header names another algorithm than that of the key.
    #[error("alg is {0:?}, the key's is \"EdDSA\"")]
    Algorithm(String),
    /// Signed for something else.
    #[error("typ is {found:?}, expected {expected:?}")]
    Type {
        /// What the header says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// No trusted key has this id.
    #[error("the trust domain has no key {0:?}: the bundle may be old, or the key distrusted")]
    UnknownKey(String),
    /// The key is for something else.
    #[error("key {kid} signs {purpose}, not {expected}")]
    OtherPurpose {
        /// Which key.
        kid: String,
        /// What it is for.
        purpose: Purpose,
        /// What it should be for.
        expected: Purpose,
    },
    /// Issued after its key had been retired.
    #[error("key {kid} was retired at {retired_at}, before it was issued")]
    RetiredKey {
        /// Which key.
        kid: String,
        /// When it stopped signing.
        retired_at: Timestamp,
    },
    /// Not signed by that key, or altered since.
    #[error("its signature does not verify")]
    BadSignature,
    /// The payload can't be read, or contradicts itself.
    #[error("its claims are refused: {0}")]
    BadClaims(String),
    /// Another trust domain's.
    #[error("it was issued by {found}, the keys are those of {expected}")]
    OtherTrustDomain {
        /// Who issued it.
        found: String,
        /// Who was expected.
        expected: String,
    },
    /// `exp` is not after `iat`.
    #[error("it expires before it begins")]
    NoLifetime,
    /// The first statement is not hop 0.
    #[error("a chain begins at depth 0, this is depth {0}")]
    NoRoot(u8),
    /// `par_hash` is not the digest of the statement above.
    #[error("par_hash is not the digest of the statement above")]
    ParentHash,
    /// `delegator` is not the `sub` above.
    #[error("delegator {found} is not the delegate above, {expected}")]
    Delegator {
        /// What it says.
        found: String,
        /// The parent's subject.
        expected: String,
    },
    /// `del_depth` is not one more than above.
    #[error("depth is {found}, expected {expected}")]
    Depth {
        /// What it says.
        found: u8,
        /// One more than the parent's.
        expected: u8,
    },
    /// Deeper than allowed.
    #[error("depth {depth} is deeper than allowed: {allowed}")]
    TooDeep {
        /// Which depth.
        depth: u8,
        /// The deepest.
        allowed: u8,
    },
    /// Allows more hops below than the statement above.
    #[error("maximum depth {found} widens the {allowed} above")]
    WidensDepth {
        /// What it says.
        found: u8,
        /// The parent's.
        allowed: u8,
    },
    /// Lives longer than the statement above.
    #[error("expiry {found} widens the {allowed} above")]
    WidensExpiry {
        /// What it says.
        found: Timestamp,
        /// The parent's.
        allowed: Timestamp,
    },
    /// Issued before the statement above.
    #[error("it was issued at {found}, before the statement above ({parent})")]
    BeforeParent {
        /// What it says.
        found: Timestamp,
        /// The parent's.
        parent: Timestamp,
    },
    /// Another owner than above.
    #[error("owner {found:?} is not that of the chain, {expected:?}")]
    OtherOwner {
        /// What it says.
        found: String,
        /// The parent's.
        expected: String,
    },
    /// Grants that the statement above doesn't have.
    #[error("{0}")]
    Widens(Widening),
    /// The delegate delegates to itself, by whatever detour.
    #[error("{0} is above already: a cycle")]
    Cycle(String),
    /// `jti` of a statement above.
    #[error("jti {0:?} is above already")]
    ReusedId(String),
    /// Over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// From the future, more than clocks differ.
    #[error("it was issued at {0}, which is in the future")]
    NotYetValid(Timestamp),
    /// Named by the revocation list.
    #[error("it is revoked ({0})")]
    Revoked(Digest),
    /// The agent's own statement is refused.
    #[error("the agent's own statement: {0}")]
    Agent(String),
    /// A list that was to be replaced by now.
    #[error("the list is stale: the next one was due at {0}")]
    Stale(Timestamp),
    /// The crypto library failed; nothing was decided.
    #[error("{0}")]
    Crypto(&'static str),
}

impl Broken {
    /// A stable word for metrics, conditions and test vectors.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong(_) => "too-long",
            Self::TooLarge { .. } => "too-large",
            Self::NotCompact(_) => "not-compact",
            Self::BadHeader(_) => "bad-header",
            Self::ForbiddenHeader(_) => "forbidden-header",
            Self::Algorithm(_) => "algorithm",
            Self::Type { .. } => "type",
            Self::UnknownKey(_) => "unknown-key",
            Self::OtherPurpose { .. } => "other-purpose",
            Self::RetiredKey { .. } => "retired-key",
            Self::BadSignature => "bad-signature",
            Self::BadClaims(_) => "bad-claims",
            Self::OtherTrustDomain { .. } => "other-trust-domain",
            Self::NoLifetime => "no-lifetime",
            Self::NoRoot(_) => "no-root",
            Self::ParentHash => "parent-hash",
            Self::Delegator { .. } => "delegator",
            Self::Depth { .. } => "depth",
            Self::TooDeep { .. } => "too-deep",
            Self::WidensDepth { .. } => "widens-depth",
            Self::WidensExpiry { .. } => "widens-expiry",
            Self::BeforeParent { .. } => "before-parent",
            Self::OtherOwner { .. } => "other-owner",
            Self::Widens(_) => "widens-grants",
            Self::Cycle(_) => "cycle",
            Self::ReusedId(_) => "reused-id",
            Self::Expired(_) => "expired",
            Self::NotYetValid(_) => "not-yet-valid",
            Self::Revoked(_) => "revoked",
            Self::Agent(_) => "agent-statement",
            Self::Stale(_) => "stale",
            Self::Crypto(_) => "crypto",
        }
    }
}

/// Why a chain is refused, and where it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainError {
    /// Which hop, from 0; none when it is the chain as a whole.
    pub hop: Option<usize>,
    /// What is wrong there.
    pub broken: Broken,
}

impl ChainError {
    pub(crate) fn at(hop: usize, broken: Broken) -> Self {
        Self {
            hop: Some(hop),
            broken,
        }
    }

    pub(crate) fn whole(broken: Broken) -> Self {
        Self { hop: None, broken }
    }

    /// [`Broken::category`].
    pub fn category(&self) -> &'static str {
        self.broken.category()
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hop {
            Some(hop) => write!(f, "hop {hop}: {}", self.broken),
            None => write!(f, "{}", self.broken),
        }
    }
}

impl std::error::Error for ChainError {}

/// Why keys are refused. Messages never carry key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The stored keys contradict themselves.
    #[error("stored signing keys refused: {0}")]
    BadState(String),
    /// The bundle can't be read.
    #[error("trust bundle refused: {0}")]
    BadBundle(String),
    /// The trust domain's name is none.
    #[error("trust domain {0:?} is not valid")]
    BadTrustDomain(String),
    /// The stored keys are another trust domain's.
    #[error("the stored signing keys belong to trust domain {stored:?}, not {wanted:?}")]
    OtherTrustDomain {
        /// Whose they are.
        stored: String,
        /// Whose they should be.
        wanted: String,
    },
    /// No key for this purpose.
    #[error("there is no active key for {0}")]
    NoKey(KeyPurpose),
    /// The lifetime is nothing to plan with.
    #[error("a signing key must live 60 seconds to 100 years, not {0} seconds")]
    BadLifetime(u64),
    /// The crypto library failed.
    #[error("{0}")]
    Crypto(&'static str),
}

impl KeyError {
    /// A stable word for metrics and conditions.
    pub fn category(&self) -> &'static str {
        match self {
            Self::BadState(_) => "bad-state",
            Self::BadBundle(_) => "bad-bundle",
            Self::BadTrustDomain(_) => "bad-trust-domain",
            Self::OtherTrustDomain { .. } => "other-trust-domain",
            Self::NoKey(_) => "no-key",
            Self::BadLifetime(_) => "bad-lifetime",
            Self::Crypto(_) => "crypto",
        }
    }
}

/// Text of others for a message: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean = |character: char| {
        if character.is_control() {
            '\u{fffd}'
        } else {
            character
        }
    };
    text.chars().take(LONGEST).map(clean).collect()
}
