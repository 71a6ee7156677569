//! The places that an authority can be in.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AuthorityCertificate, AuthorityId, PrivateKey};

/// Where an authority stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SlotState {
    /// In the bundle, signs nothing yet.
    Prepared,
    /// Signs.
    Active,
    /// Signs nothing any more, in the bundle until its last leaf is over.
    Retired,
    /// Out of the bundle.
    Distrusted,
}

impl SlotState {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "Prepared",
            Self::Active => "Active",
            Self::Retired => "Retired",
            Self::Distrusted => "Distrusted",
        }
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// `a.crt`, `a.key`.
    A,
    /// `b.crt`, `b.key`.
    B,
}

/// An authority with its key: prepared or active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its public part.
    pub certificate: AuthorityCertificate,
    /// [`SlotState::Prepared`] or [`SlotState::Active`].
    pub state: SlotState,
    /// The epoch that was wanted when it was made.
    pub epoch: u64,
    /// When it was made, and so came into the bundle.
    pub prepared_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// The longest leaf that it may have signed, in seconds; never lowered, since it decides how
    /// long the authority stays in the bundle.
    pub max_leaf_ttl_seconds: u64,
    pub(crate) key: PrivateKey,
}

impl Slot {
    /// Its id.
    pub fn id(&self) -> &AuthorityId {
        self.certificate.id()
    }
}

/// An authority without its key: retired or distrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredAuthority {
    /// Its public part.
    pub certificate: AuthorityCertificate,
    /// [`SlotState::Retired`] or [`SlotState::Distrusted`].
    pub state: SlotState,
    /// True when it was retired before its time, so that its leaves are to be re-issued.
    pub early: bool,
    /// When it stopped signing.
    pub changed_at: Timestamp,
    /// When the last leaf that it signed is over.
    pub leaves_over: Timestamp,
}

impl RetiredAuthority {
    /// Its id.
    pub fn id(&self) -> &AuthorityId {
        self.certificate.id()
    }
}
