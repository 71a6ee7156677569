//! The facts of one decision point.

use std::sync::Arc;

use countersign_policy::PolicySet;
use countersign_statement::Digest;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::calls::{Calls, Holder};
use super::classes::HeldRules;
use super::held::{Domain, Shared};
use super::maps::Maps;
use crate::{Feed, Freshness, HopFacts, IdentityFacts, OwnerFacts, Rules, TrustDomainFacts};

/// All facts that are decided by, in memory. Fed through [`Feed`] by one, asked by many at once.
///
/// 100,000 identities take some 100 MiB: what they have in common (owners' names, grants, attributes,
/// statements above) is there once.
pub struct World {
    /// Held for a few look-ups or one change, never while something is verified or evaluated.
    maps: RwLock<Maps>,
    /// Not within `maps`: whoever feeds looks for equal values before it keeps anybody waiting.
    shared: Mutex<Shared>,
    pub(crate) calls: Calls,
}

impl World {
    /// Nothing, and not ready.
    pub fn new() -> Self {
        Self {
            maps: RwLock::new(Maps::new()),
            shared: Mutex::new(Shared::new()),
            calls: Calls::default(),
        }
    }

    /// How many identities there are.
    pub fn identities(&self) -> usize {
        self.maps.read().agents().len()
    }

    /// Is there a delegation that holds this statement, in force or not?
    pub fn holds_statement(&self, digest: &Digest) -> bool {
        self.maps.read().statement(digest).is_some()
    }

    /// The digest of the set of policies that counts.
    pub fn policy_set(&self) -> String {
        self.maps.read().policies.digest().to_owned()
    }

    /// How fresh the facts are said to be.
    pub fn freshness(&self) -> Freshness {
        self.maps.read().freshness
    }

    /// Forgets revocations of what is over at `now`. To be called every few minutes.
    pub fn prune(&self, now: Timestamp) {
        self.maps.write().prune(now);
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.maps.read()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("identities", &self.identities())
            .finish_non_exhaustive()
    }
}

impl Feed for World {
    fn put_identity(&self, identity: IdentityFacts) {
        let identity = self.shared.lock().identity(identity);
        self.maps.write().put_identity(identity);
    }

    fn remove_identity(&self, uid: &str) {
        self.maps.write().remove_identity(uid);
        self.calls.forget(&Holder::Identity(uid.into()));
    }

    fn put_owner(&self, owner: OwnerFacts) {
        self.maps.write().put_owner(owner);
    }

    fn remove_owner(&self, name: &str) {
        self.maps.write().remove_owner(name);
    }

    fn put_hop(&self, hop: HopFacts) {
        let hop = self.shared.lock().hop(hop);
        let before = self.maps.write().put_hop(hop);
        if let Some(digest) = before {
            self.calls.forget(&Holder::Hop(digest));
        }
    }

    fn remove_hop(&self, uid: &str) {
        let before = self.maps.write().remove_hop(uid);
        if let Some(digest) = before {
            self.calls.forget(&Holder::Hop(digest));
        }
    }

    fn put_trust_domain(&self, trust_domain: TrustDomainFacts) {
        let name = trust_domain.name.clone();
        let before = self.maps.read().domain(&name).cloned();
        let domain = Domain::new(trust_domain, before.as_deref());
        self.maps.write().put_domain(name, domain);
    }

    fn remove_trust_domain(&self, name: &str) {
        self.maps.write().remove_domain(name);
    }

    fn set_policies(&self, policies: Arc<PolicySet>) {
        // The one before may be large: it is dropped after the lock.
        let before = std::mem::replace(&mut self.maps.write().policies, policies);
        drop(before);
    }

    fn set_rules(&self, rules: Rules) {
        let rules = Arc::new(HeldRules::new(rules));
        self.maps.write().rules = rules;
    }

    fn set_freshness(&self, freshness: Freshness) {
        self.maps.write().freshness = freshness;
    }

    fn revoke_serial(&self, serial_number: &str, until: Timestamp) {
        self.maps.write().revoke_serial(serial_number, until);
    }

    fn revoke_statement(&self, digest: Digest, until: Timestamp) {
        self.maps.write().revoke_statement(digest, until);
    }
}
