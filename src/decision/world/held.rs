//! Facts as they are held: what many have in common is there once.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_authority::Bundle;
use countersign_core::Grant;
use countersign_policy::AgentFacts;
use countersign_statement::{Digest, TrustedKey, TrustedKeys, Verifier};
use jiff::Timestamp;

use super::intern::Interner;
use crate::{HopFacts, HopState, IdentityFacts, IdentityState, InPods, TrustDomainFacts};

/// So many chains of a trust domain are remembered as verified; one takes some 2 KiB.
const REMEMBERED_CHAINS: usize = 16_384;

/// An AgentIdentity. Some 600 bytes beside what is shared.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) uid: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Box<str>,
    pub(crate) spiffe_id: Arc<str>,
    pub(crate) trust_domain: Arc<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) task: Arc<str>,
    pub(crate) requester: Option<Arc<str>>,
    pub(crate) grants: Arc<[Grant]>,
    pub(crate) attributes: Arc<BTreeMap<String, String>>,
    pub(crate) state: IdentityState,
    pub(crate) serial_number: Option<Box<str>>,
    /// End of the current certificate.
    pub(crate) not_after: Option<Timestamp>,
    pub(crate) in_pods: Option<InPods>,
    pub(crate) deadline: Option<Timestamp>,
}

/// A Delegation.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) uid: Arc<str>,
    pub(crate) digest: Digest,
    pub(crate) parent_uid: Option<Arc<str>>,
    pub(crate) delegator_uid: Option<Arc<str>>,
    pub(crate) delegate_uid: Arc<str>,
    /// Name and UID.
    pub(crate) root_owner: (Arc<str>, Arc<str>),
    pub(crate) root_requester: Option<Arc<str>>,
    pub(crate) state: HopState,
    pub(crate) expires: Timestamp,
    /// From hop 0 to its own; those above are shared with the hops there.
    pub(crate) statements: Vec<Arc<str>>,
}

/// A TrustDomain.
#[derive(Debug)]
pub(crate) struct Domain {
    /// The same object as long as its content is the same: what was verified with it stays so.
    pub(crate) bundle: Arc<Bundle>,
    keys: Vec<TrustedKey>,
    /// With the keys of now: others have another verifier, which remembers nothing of this one.
    pub(crate) verifier: Arc<Verifier>,
}

/// What is shared.
#[derive(Debug)]
pub(crate) struct Shared {
    texts: Interner<str>,
    grants: Interner<[Grant]>,
    attributes: Interner<BTreeMap<String, String>>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            texts: Interner::new(),
            grants: Interner::new(),
            attributes: Interner::new(),
        }
    }

    pub(crate) fn identity(&mut self, facts: IdentityFacts) -> Identity {
        let (serial_number, not_after) = facts
            .certificate
            .map(|it| (it.serial_number.into_boxed_str(), it.not_after))
            .unzip();
        Identity {
            uid: self.texts.share(facts.uid),
            namespace: self.texts.share(facts.namespace),
            name: facts.name.into(),
            spiffe_id: facts.spiffe_id.into(),
            trust_domain: self.texts.share(facts.trust_domain),
            owner: self.texts.share(facts.owner),
            task: self.texts.share(facts.task),
            requester: facts.requester.map(|it| self.texts.share(it)),
            grants: self.grants.share(facts.grants),
            attributes: self.attributes.share(facts.attributes),
            state: facts.state,
            serial_number,
            not_after,
            in_pods: facts.in_pods,
            deadline: facts.deadline,
        }
    }

    pub(crate) fn hop(&mut self, facts: HopFacts) -> Hop {
        let (owner, owner_uid) = facts.root_owner;
        Hop {
            uid: self.texts.share(facts.uid),
            digest: facts.digest,
            parent_uid: facts.parent_uid.map(|it| self.texts.share(it)),
            delegator_uid: facts.delegator_uid.map(|it| self.texts.share(it)),
            delegate_uid: self.texts.share(facts.delegate_uid),
            root_owner: (self.texts.share(owner), self.texts.share(owner_uid)),
            root_requester: facts.root_requester.map(|it| self.texts.share(it)),
            state: facts.state,
            expires: facts.expires,
            statements: facts
                .statements
                .into_iter()
                .map(|it| self.texts.share(it))
                .collect(),
        }
    }
}

impl Domain {
    /// What `before` has that is the same stays.
    pub(crate) fn new(facts: TrustDomainFacts, before: Option<&Self>) -> Self {
        let same_bundle = before.filter(|it| it.bundle == facts.bundle);
        let same_keys = before.filter(|it| it.keys == facts.keys.keys());
        Self {
            bundle: same_bundle.map_or(facts.bundle, |it| Arc::clone(&it.bundle)),
            keys: facts.keys.keys().to_vec(),
            verifier: same_keys.map_or_else(
                || Arc::new(verifier(&facts.keys)),
                |it| Arc::clone(&it.verifier),
            ),
        }
    }
}

fn verifier(keys: &TrustedKeys) -> Verifier {
    Verifier::new(keys.clone(), REMEMBERED_CHAINS)
}

impl Identity {
    /// As policies see it.
    pub(crate) fn facts(&self, owner_kind: &str) -> AgentFacts {
        AgentFacts {
            spiffe_id: self.spiffe_id.as_ref().into(),
            name: self.name.as_ref().into(),
            namespace: self.namespace.as_ref().into(),
            trust_domain: self.trust_domain.as_ref().into(),
            owner: self.owner.as_ref().into(),
            owner_type: owner_kind.into(),
            task: self.task.as_ref().into(),
            claimed: self.attributes.as_ref().clone(),
        }
    }
}
