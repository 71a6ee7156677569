//! A trust domain as the rest of the operator sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_authority::{AuthorityId, AuthoritySet, Bundle, Signer};
use countersign_statement::KeyRing;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::keys::Keys;
use crate::identity::Refusal;
use crate::selector;

/// Bounds, who may use it, and what signs.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) default_ttl_seconds: u64,
    pub(crate) max_ttl_seconds: u64,
    pub(crate) max_lifetime_seconds: u64,
    pub(crate) max_delegation_seconds: u64,
    /// The signing keys were published at the end of the last pass.
    pub(crate) published: bool,
    /// What is published, as a SPIFFE document.
    pub(crate) document: Option<Arc<str>>,
    /// What countersigns; `Err` says why nothing is.
    pub(crate) keys: Result<Arc<Keys>, Refusal>,
    /// `Err` says why nothing is signed.
    pub(crate) signing: Result<Signing, Refusal>,
}

/// What signs, and what its signatures are verified with.
#[derive(Debug, Clone)]
pub(crate) struct Signing {
    pub(crate) signer: Arc<Signer>,
    pub(crate) bundle: Arc<Bundle>,
    /// PEM of the bundle, made once: it goes into every Secret.
    pub(crate) bundle_pem: Arc<str>,
    /// The built-in authorities; `None` for an authority of one's own.
    pub(crate) set: Option<Arc<AuthoritySet>>,
    /// Secrets with an older bundle must be written anew, now.
    pub(crate) refresh: bool,
}

/// All trust domains, readable without waiting.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    all: ArcSwap<HashMap<String, Arc<Domain>>>,
}

impl Domain {
    /// May identities of a namespace with these labels use it?
    pub(crate) fn admits(&self, labels: &BTreeMap<String, String>) -> bool {
        let selector = self.selector.as_ref();
        selector.is_some_and(|selector| selector::matches(selector, labels))
    }

    /// The signing keys, where there are any.
    pub(crate) fn ring(&self) -> Option<&KeyRing> {
        self.keys.as_ref().ok().map(|keys| &keys.ring)
    }
}

impl Signing {
    /// Must what `authority` signed, delivered with the bundle of `sequence`, be issued anew now?
    /// `None` where no bundle is delivered.
    pub(crate) fn must_reissue(&self, authority: &str, sequence: Option<i64>) -> bool {
        // An id that can't be read is nobody's.
        let retired = AuthorityId::parse(authority).map_or(true, |id| match &self.set {
            Some(set) => set.reissue(&id),
            None => &id != self.signer.id(),
        });
        retired || self.refresh && sequence.is_some_and(|sequence| sequence < self.sequence())
    }

    /// The bundle's sequence number as the API has it.
    pub(crate) fn sequence(&self) -> i64 {
        i64::try_from(self.bundle.sequence).unwrap_or(i64::MAX)
    }
}

impl Domains {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Domain>> {
        self.all.load().get(name).cloned()
    }

    /// Those that a pass has come to the end of.
    pub(crate) fn names(&self) -> Vec<String> {
        self.all.load().keys().cloned().collect()
    }

    pub(crate) fn put(&self, name: &str, domain: Domain) {
        let domain = Arc::new(domain);
        self.all.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(name.to_owned(), Arc::clone(&domain));
            all
        });
    }

    /// Forgets all: what another leader has done meanwhile isn't known here.
    pub(crate) fn clear(&self) {
        self.all.store(Arc::default());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.all.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.remove(name);
            all
        });
    }
}
