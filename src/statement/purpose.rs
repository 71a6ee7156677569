//! What a key may sign.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One key, one purpose: what is signed for one can't be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Delegation statements.
    Statements,
    /// Revocation lists.
    Lists,
    /// Checkpoints of the audit log.
    Checkpoints,
}

impl Purpose {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Statements, Self::Lists, Self::Checkpoints];

    /// The mandatory `typ` of what it signs (RFC 8725, section 3.11).
    pub fn typ(self) -> &'static str {
        match self {
            Self::Statements => "countersign-delegation+jwt",
            Self::Lists => "countersign-revocations+jwt",
            Self::Checkpoints => "countersign-checkpoint+jwt",
        }
    }

    /// The `use` of its keys in the SPIFFE bundle. Readers that don't know it skip the key (SPIFFE
    /// Trust Domain and Bundle standard, section 4.2.2).
    pub fn jwk_use(self) -> &'static str {
        match self {
            Self::Statements => "countersign-statement",
            Self::Lists => "countersign-list",
            Self::Checkpoints => "countersign-checkpoint",
        }
    }

    /// Its name in a status, a log and a Secret.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statements => "statements",
            Self::Lists => "lists",
            Self::Checkpoints => "checkpoints",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a key of a ring is for: what is signed and verified here, and what others verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPurpose {
    /// [`Purpose::Statements`].
    Statements,
    /// [`Purpose::Lists`].
    Lists,
    /// [`Purpose::Checkpoints`].
    Checkpoints,
    /// Tokens in the name of agents. Its keys are for ES256, since the JWT-SVID standard
    /// (section 2.1) has no Ed25519; nothing here verifies with them.
    #[serde(rename = "jwt-svids")]
    JwtSvids,
}

impl KeyPurpose {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Statements,
        Self::Lists,
        Self::Checkpoints,
        Self::JwtSvids,
    ];

    /// What is signed here with such a key; None where that is done elsewhere.
    pub fn here(self) -> Option<Purpose> {
        match self {
            Self::Statements => Some(Purpose::Statements),
            Self::Lists => Some(Purpose::Lists),
            Self::Checkpoints => Some(Purpose::Checkpoints),
            Self::JwtSvids => None,
        }
    }

    /// Its name in a status, a log and a Secret.
    pub fn as_str(self) -> &'static str {
        self.here().map_or("jwt-svids", Purpose::as_str)
    }
}

impl From<Purpose> for KeyPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Statements => Self::Statements,
            Purpose::Lists => Self::Lists,
            Purpose::Checkpoints => Self::Checkpoints,
        }
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
