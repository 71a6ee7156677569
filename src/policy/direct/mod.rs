//! Conditions that are evaluated on the facts themselves.
//!
//! ```text
//!  condition, validated ──read──▶ Test      or none: then it is left to Cedar
//!                                  │
//!  facts ──────────────────────────▼
//!                                holds ──▶ yes, no, or failed
//! ```
//!
//! Cedar's evaluator takes a request as entities and values of its own, which have to be built for
//! each: some 60 allocations, and three quarters of what a decision costs. What most conditions look
//! at is known by the schema: here it is read where it lies. A condition is
//! read in whole or not at all, and means what it means to Cedar: the same is true, false, and
//! a failure. A property test holds one against the other.
//!
//! What isn't read: sets that are compared, attributes of entities that a policy names, records,
//! decimals, and the rarer functions.

mod holds;
mod read;

use cedar_policy_core::ast::Pattern;
use smol_str::SmolStr;

pub(crate) use self::holds::Facts;
pub(crate) use self::read::read;
use crate::index::Key;

/// It fails, whatever for: an attribute that isn't there, a number that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// True, false, or a failure.
#[derive(Debug)]
pub(crate) enum Test {
    Is(bool),
    /// `context.transport.mtls`
    Mtls,
    /// `context.call.destructive`
    Destructive,
    Has(Optional),
    /// `context.delegation has requester`, which fails without a delegation.
    DelegationHasRequester,
    Not(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    If(Box<[Self; 3]>),
    Agree(Box<[Self; 2]>),
    Numbers(Relation, Box<[Number; 2]>),
    Times(Relation, Box<[Time; 2]>),
    Spans(Relation, Box<[Span; 2]>),
    Equal(Box<[Text; 2]>),
    Like(Box<Text>, Pattern),
    /// Is it one of them?
    Among(Box<Text>, Texts),
    /// Are all of the second in the first?
    All(Texts, Texts),
    /// Is any of the second in the first?
    Any(Texts, Texts),
    Empty(Texts),
    Same(Box<[Who; 2]>),
    /// Is it, or is it in, one of these?
    Within(Who, Box<[Key]>),
    /// Has it a tag of this name?
    HasTag(Bag, Box<Text>),
    /// Is `context.sourceIP` in one of these?
    InRange(Box<[Range]>),
}

/// How two of a kind are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Less,
    AtMost,
}

/// What a context may be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optional {
    SourceIp,
    Certificate,
    Tool,
    Audience,
    Delegation,
    Requester,
}

/// A whole number.
#[derive(Debug)]
pub(crate) enum Number {
    Is(i64),
    Sensitivity,
    Bytes,
    Risk,
    Anomaly,
    AgeMilliseconds,
    Depth,
    Negative(Box<Self>),
    Sum(Box<[Self; 2]>),
    Difference(Box<[Self; 2]>),
    Product(Box<[Self; 2]>),
}

/// A moment, in milliseconds since 1970.
#[derive(Debug)]
pub(crate) enum Time {
    Is(i64),
    Now,
    NotAfter,
    Expires,
    Offset(Box<(Self, Span)>),
    ToDate(Box<Self>),
}

/// A duration, in milliseconds.
#[derive(Debug)]
pub(crate) enum Span {
    Is(i64),
    /// From the second to the first.
    Since(Box<[Time; 2]>),
    /// Since the day began.
    ToTime(Box<Time>),
}

/// A string.
#[derive(Debug)]
pub(crate) enum Text {
    Is(SmolStr),
    AgentName,
    Namespace,
    SpiffeId,
    Task,
    OwnerType,
    RootType,
    ResourceType,
    Path,
    SerialNumber,
    /// `context.call.action`
    Verb,
    Tool,
    Audience,
    Requester,
    /// The tag of this name.
    Tag(Bag, Box<Self>),
}

/// A set of strings.
#[derive(Debug)]
pub(crate) enum Texts {
    /// In order, each once.
    Are(Box<[SmolStr]>),
    Residency,
    Codes,
}

/// What has tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bag {
    Claimed,
    Resource,
}

/// An entity.
#[derive(Debug)]
pub(crate) enum Who {
    Is(Key),
    Principal,
    Owner,
    Claimed,
    Action,
    Resource,
    /// The owner at the chain's root.
    Root,
}

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    V4 { network: u32, mask: u32 },
    V6 { network: u128, mask: u128 },
}
