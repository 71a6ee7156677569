//! The private keys of a trust domain with which it signs statements, lists, checkpoints and
//! JWT-SVIDs.

mod public;
mod state;
mod transition;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use countersign_authority::{Es256Key, PrivateKey, SlotState};
use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

use self::public::{PublicHalf, jwt_svid_jwk};
use crate::error::KeyError;
use crate::trusted_keys::{TrustedKey, TrustedKeys, domain};
use crate::{KeyPurpose, Purpose, Signer};

/// The longest life of a JWT-SVID: so long their key stays published after it was retired.
pub const LONGEST_JWT_SVID_SECONDS: u64 = 3600;

/// What a trust domain wants of its signing keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedKeys {
    /// The trust domain's name.
    pub trust_domain: String,
    /// How long a new key lives: 60 seconds to 100 years.
    pub lifetime_seconds: u64,
    /// Raised by an admin to rotate now.
    pub epoch: u64,
    /// The ids of keys that leave the bundle at once.
    pub distrusted: BTreeSet<String>,
    /// The longest life of a statement or list: so long their keys stay published after they were
    /// retired.
    pub longest_statement_seconds: u64,
    /// Everybody has the keys of the ring that this is handed to, the prepared ones included.
    pub propagated: bool,
    /// How long a bundle takes to reach everybody; a prepared key is at least so old before it
    /// signs, unless there is no other.
    pub propagation_seconds: u64,
}

/// One line of a trust domain's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Which key.
    pub kid: String,
    /// What it signs.
    pub purpose: KeyPurpose,
    /// Where it stands.
    pub state: SlotState,
    /// When it was made.
    pub not_before: Timestamp,
    /// Prepared and active: when it will have been replaced. Retired and distrusted: when it
    /// stopped signing.
    pub not_after: Timestamp,
}

/// The signing keys of one trust domain, for each purpose its own, as they are stored in one
/// Secret. They rotate as authorities do.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyRing {
    pub(crate) trust_domain: String,
    pub(crate) sequence: u64,
    /// Prepared and active ones.
    pub(crate) keys: Vec<RingKey>,
    /// Retired and distrusted ones, in the order in which they stopped.
    pub(crate) retired: Vec<RetiredKey>,
}

/// A key that signs, or will.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RingKey {
    pub(crate) kid: String,
    pub(crate) purpose: KeyPurpose,
    pub(crate) state: SlotState,
    pub(crate) epoch: u64,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) changed_at: Timestamp,
    /// Never lowered: longer statements may be out there.
    pub(crate) longest_statement_seconds: u64,
    pub(crate) public: PublicHalf,
    pub(crate) key: PrivateKey,
}

/// A key that signs no more; the private half is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetiredKey {
    pub(crate) kid: String,
    pub(crate) purpose: KeyPurpose,
    pub(crate) state: SlotState,
    pub(crate) not_before: Timestamp,
    pub(crate) retired_at: Timestamp,
    /// When the last of what it signed is over; never for checkpoints, which are kept for years.
    pub(crate) until: Option<Timestamp>,
    pub(crate) public: PublicHalf,
}

impl KeyRing {
    /// Reads a Secret's data. No data at all is the empty ring; anything that doesn't fit together
    /// is refused rather than repaired.
    pub fn from_secret_data(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, KeyError> {
        state::read(data)
    }

    /// The data of the Secret: `state.json` and `<purpose>-<first 8 of the kid>.key` for each key.
    /// It holds private keys: never print it.
    pub fn to_secret_data(&self) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
        state::write(self)
    }

    /// The ring as it should be at `now`; None when nothing is to change. Store the new ring before
    /// its signers are used, and publish its keys. Pure but for the making of keys.
    pub fn next(&self, want: &WantedKeys, now: Timestamp) -> Result<Option<Self>, KeyError> {
        transition::next(self, want, now)
    }

    /// When time alone will next change something (call [`Self::next`] then); a moment in the past
    /// means at once. Raised epochs, distrusted ids and propagated bundles come on top.
    pub fn next_change(&self, want: &WantedKeys) -> Option<Timestamp> {
        transition::next_change(self, want)
    }

    /// The trust domain; empty before the first key.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Goes up by one with each change of what is published.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The keys for the SPIFFE bundle, as JWKs: all but the distrusted.
    pub fn jwks(&self) -> Vec<Value> {
        let keys = self.published().into_iter();
        keys.map(|key| match key {
            Published::Here(key) => key.jwk(),
            Published::JwtSvid { kid, key } => jwt_svid_jwk(&kid, &key),
        })
        .collect()
    }

    /// The active key of a purpose, ready to sign; keep it for as long as the ring doesn't change.
    pub fn signer(&self, purpose: Purpose) -> Result<Arc<Signer>, KeyError> {
        let key = self.active_key(purpose.into())?;
        Signer::load(key, purpose, domain(&self.trust_domain)?).map(Arc::new)
    }

    /// The active key for JWT-SVIDs, on P-256.
    pub fn jwt_svid_key(&self) -> Result<&PrivateKey, KeyError> {
        self.active_key(KeyPurpose::JwtSvids)
    }

    fn active_key(&self, purpose: KeyPurpose) -> Result<&PrivateKey, KeyError> {
        let active = self.active(purpose).ok_or(KeyError::NoKey(purpose))?;
        Ok(&active.key)
    }

    /// What verifiers of what is signed here are to trust: of [`Self::jwks`] all but the keys for
    /// JWT-SVIDs. Fails on the empty ring, which belongs to no trust domain.
    pub fn trusted(&self) -> Result<TrustedKeys, KeyError> {
        let keys = self.published().into_iter();
        let here = keys.filter_map(|key| match key {
            Published::Here(key) => Some(key),
            Published::JwtSvid { .. } => None,
        });
        TrustedKeys::new(domain(&self.trust_domain)?, here.collect())
    }

    /// For a status: by purpose; active, prepared, then the others.
    pub fn statuses(&self) -> Vec<KeyStatus> {
        let live = self.keys.iter().map(|key| KeyStatus {
            kid: key.kid.clone(),
            purpose: key.purpose,
            state: key.state,
            not_before: key.not_before,
            not_after: key.not_after,
        });
        let retired = self.retired.iter().map(|key| KeyStatus {
            kid: key.kid.clone(),
            purpose: key.purpose,
            state: key.state,
            not_before: key.not_before,
            not_after: key.retired_at,
        });
        let mut lines: Vec<_> = live.chain(retired).collect();
        lines.sort_by_key(|line| {
            let place = match line.state {
                SlotState::Active => 0,
                SlotState::Prepared => 1,
                SlotState::Retired => 2,
                SlotState::Distrusted => 3,
            };
            (line.purpose, place)
        });
        lines
    }

    pub(crate) fn active(&self, purpose: KeyPurpose) -> Option<&RingKey> {
        self.key(purpose, SlotState::Active)
    }

    pub(crate) fn prepared(&self, purpose: KeyPurpose) -> Option<&RingKey> {
        self.key(purpose, SlotState::Prepared)
    }

    fn key(&self, purpose: KeyPurpose, state: SlotState) -> Option<&RingKey> {
        self.keys
            .iter()
            .find(|key| key.purpose == purpose && key.state == state)
    }

    /// Sorted, so that equal sets are equal.
    pub(crate) fn published(&self) -> Vec<Published> {
        let live = self
            .keys
            .iter()
            .map(|key| (key.purpose, &key.kid, key.not_before, None, &key.public));
        let retired = self
            .retired
            .iter()
            .filter(|key| key.state == SlotState::Retired);
        let retired = retired.map(|key| {
            let retired_at = Some(key.retired_at);
            (
                key.purpose,
                &key.kid,
                key.not_before,
                retired_at,
                &key.public,
            )
        });
        let mut keys: Vec<_> = live.chain(retired).collect();
        keys.sort_by_key(|(purpose, kid, ..)| (*purpose, *kid));
        keys.into_iter()
            .filter_map(|(purpose, kid, not_before, retired_at, public)| {
                let kid = kid.clone();
                match (purpose.here(), public) {
                    (Some(purpose), PublicHalf::Ed25519(public)) => {
                        Some(Published::Here(TrustedKey {
                            kid,
                            purpose,
                            not_before: Some(not_before),
                            retired_at,
                            public: public.clone(),
                        }))
                    }
                    (None, PublicHalf::P256(key)) => Some(Published::JwtSvid {
                        kid,
                        key: key.clone(),
                    }),
                    // Neither is made nor read: see `PublicHalf`.
                    (Some(_), PublicHalf::P256(_)) | (None, PublicHalf::Ed25519(_)) => None,
                }
            })
            .collect()
    }
}

/// One key as the bundle has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Here(TrustedKey),
    JwtSvid { kid: String, key: Es256Key },
}

impl RingKey {
    /// The name of its entry in the Secret.
    pub(crate) fn file(&self) -> String {
        file(self.purpose, &self.kid)
    }
}

pub(crate) fn file(purpose: KeyPurpose, kid: &str) -> String {
    format!("{purpose}-{}.key", kid.get(..8).unwrap_or(kid))
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingKey")
            .field("kid", &self.kid)
            .field("purpose", &self.purpose)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("trust_domain", &self.trust_domain)
            .field("sequence", &self.sequence)
            .field("keys", &self.keys)
            .field("retired", &self.retired)
            .finish()
    }
}
