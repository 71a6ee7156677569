//! The authorities of one trust domain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    AuthorityError, AuthorityId, Bundle, KeyAlgorithm, RetiredAuthority, Signer, Slot, SlotState,
    state, transition,
};

/// What a trust domain wants of its built-in authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The trust domain's name.
    pub trust_domain: String,
    /// How long a new authority lives; at least six times the longest leaf.
    pub ca_lifetime_seconds: u64,
    /// The key of a new authority.
    pub key_algorithm: KeyAlgorithm,
    /// Raised by an admin to rotate now.
    pub epoch: u64,
    /// Authorities that leave the bundle at once.
    pub distrusted: BTreeSet<AuthorityId>,
    /// The longest leaf that is issued.
    pub max_leaf_ttl_seconds: u64,
    /// Everybody has the bundle of the set that this is handed to, its prepared authority included.
    pub bundle_propagated: bool,
    /// How long a bundle takes to reach everybody; a prepared authority is at least so old before
    /// it is activated, unless there is no other.
    pub propagation_seconds: u64,
}

/// One line of a trust domain's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityStatus {
    /// Which authority.
    pub id: AuthorityId,
    /// Where it stands.
    pub slot: SlotState,
    /// Begin of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
}

/// The authorities of one trust domain, as they are stored in one Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthoritySet {
    pub(crate) trust_domain: String,
    pub(crate) a: Option<Slot>,
    pub(crate) b: Option<Slot>,
    pub(crate) retired: Vec<RetiredAuthority>,
    pub(crate) bundle_sequence: u64,
}

impl AuthoritySet {
    /// Reads a Secret's data. No data at all is the empty set; anything that doesn't fit together
    /// is refused rather than repaired.
    pub fn from_secret_data(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, AuthorityError> {
        state::read(data)
    }

    /// The data of the Secret: `a.crt`, `a.key`, `b.crt`, `b.key`, `state.json`. It holds private
    /// keys: never print it.
    pub fn to_secret_data(&self) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
        state::write(self)
    }

    /// The authority that signs.
    pub fn active(&self) -> Option<&Slot> {
        self.slots().find(|slot| slot.state == SlotState::Active)
    }

    /// The authority that signs next.
    pub fn prepared(&self) -> Option<&Slot> {
        self.slots().find(|slot| slot.state == SlotState::Prepared)
    }

    /// Authorities that sign no more.
    pub fn retired(&self) -> &[RetiredAuthority] {
        &self.retired
    }

    /// The trust domain; empty before the first authority.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Goes up by one with each change of the bundle's content.
    pub fn bundle_sequence(&self) -> u64 {
        self.bundle_sequence
    }

    /// The active authority, ready to sign; keep it for as long as the set doesn't change. None
    /// while there is no active one.
    pub fn signer(&self) -> Result<Option<Arc<Signer>>, AuthorityError> {
        self.active()
            .map(|slot| Signer::from_slot(slot, &self.bundle(), &self.trust_domain).map(Arc::new))
            .transpose()
    }

    /// The set as it should be at `now`; None when nothing is to change. Store the new set before
    /// using its signer, and publish its bundle. Pure but for the making of keys and serial
    /// numbers.
    pub fn next(&self, want: &Wanted, now: Timestamp) -> Result<Option<Self>, AuthorityError> {
        transition::next(self, want, now)
    }

    /// When time alone will next change something (call [`Self::next`] then); a moment in the past
    /// means at once. Raised epochs, distrusted ids and propagated bundles come on top.
    pub fn next_change(&self, want: &Wanted) -> Option<Timestamp> {
        transition::next_change(self, want)
    }

    /// What verifiers are to trust: all but the distrusted.
    pub fn bundle(&self) -> Bundle {
        let retired = self
            .retired
            .iter()
            .filter(|it| it.state == SlotState::Retired);
        let roots = self.slots().map(|slot| slot.certificate.clone());
        Bundle::new(
            self.bundle_sequence,
            roots.chain(retired.map(|it| it.certificate.clone())),
        )
    }

    /// Must leaves signed by `id` be issued again now? True when it is unknown here, distrusted,
    /// or retired before its time.
    pub fn reissue(&self, id: &AuthorityId) -> bool {
        if self.slots().any(|slot| slot.id() == id) {
            return false;
        }
        match self.retired.iter().find(|it| it.id() == id) {
            Some(it) => it.early || it.state == SlotState::Distrusted,
            None => true,
        }
    }

    /// For a status: active, prepared, then the others.
    pub fn statuses(&self) -> Vec<AuthorityStatus> {
        let line = |certificate: &crate::AuthorityCertificate, slot| AuthorityStatus {
            id: certificate.id().clone(),
            slot,
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        };
        let slots = self.active().into_iter().chain(self.prepared());
        slots
            .map(|slot| line(&slot.certificate, slot.state))
            .chain(
                self.retired
                    .iter()
                    .map(|it| line(&it.certificate, it.state)),
            )
            .collect()
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.a.iter().chain(&self.b)
    }
}
