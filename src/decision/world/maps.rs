//! All facts, and how they are found.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use countersign_policy::PolicySet;
use countersign_statement::Digest;
use jiff::Timestamp;

use super::classes::HeldRules;
use super::held::{Domain, Hop, Identity};
use crate::signals::OwnerNames;
use crate::{Freshness, OwnerFacts};

/// Everything at one moment. Whoever asks takes what it needs under one lock, so that what belongs
/// together is of one moment.
#[derive(Debug)]
pub(crate) struct Maps {
    /// By UID.
    identities: HashMap<Arc<str>, Arc<Identity>>,
    /// By SPIFFE ID.
    agents: HashMap<Arc<str>, Arc<Identity>>,
    owners: HashMap<String, Arc<OwnerFacts>>,
    /// By UID.
    hops: HashMap<Arc<str>, Arc<Hop>>,
    statements: HashMap<Digest, Arc<Hop>>,
    domains: HashMap<String, Arc<Domain>>,
    /// All that there ever were.
    known_domains: HashSet<String>,
    revoked_serials: HashMap<Box<str>, Timestamp>,
    revoked_statements: HashMap<Digest, Timestamp>,
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) rules: Arc<HeldRules>,
    pub(crate) freshness: Freshness,
}

/// An identity with those it depends on.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) identity: Arc<Identity>,
    pub(crate) owner: Option<Arc<OwnerFacts>>,
    pub(crate) domain: Option<Arc<Domain>>,
}

/// A hop with who delegated there.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) hop: Arc<Hop>,
    /// None where a root's owner did, or where the agent is gone.
    pub(crate) delegator: Option<Principal>,
    pub(crate) revoked: bool,
}

impl Principal {
    /// The names of its owner, as far as they are known.
    pub(crate) fn owner_names(&self) -> OwnerNames<'_> {
        let unknown = OwnerNames {
            name: &self.identity.owner,
            users: &[],
        };
        self.owner.as_ref().map_or(unknown, |it| it.names())
    }
}

impl Maps {
    pub(crate) fn new() -> Self {
        Self {
            identities: HashMap::new(),
            agents: HashMap::new(),
            owners: HashMap::new(),
            hops: HashMap::new(),
            statements: HashMap::new(),
            domains: HashMap::new(),
            known_domains: HashSet::new(),
            revoked_serials: HashMap::new(),
            revoked_statements: HashMap::new(),
            policies: Arc::new(PolicySet::default()),
            rules: Arc::new(HeldRules::default()),
            freshness: Freshness::NotReady,
        }
    }

    pub(crate) fn put_identity(&mut self, identity: Identity) {
        let identity = Arc::new(identity);
        self.remove_identity(&identity.uid);
        self.agents
            .insert(Arc::clone(&identity.spiffe_id), Arc::clone(&identity));
        self.identities.insert(Arc::clone(&identity.uid), identity);
    }

    pub(crate) fn remove_identity(&mut self, uid: &str) {
        let Some(gone) = self.identities.remove(uid) else {
            return;
        };
        // Another may have come with its name.
        let named = self.agents.get(&gone.spiffe_id);
        if named.is_some_and(|it| it.uid == gone.uid) {
            self.agents.remove(&gone.spiffe_id);
        }
    }

    pub(crate) fn put_owner(&mut self, owner: OwnerFacts) {
        self.owners.insert(owner.name.clone(), Arc::new(owner));
    }

    pub(crate) fn remove_owner(&mut self, name: &str) {
        self.owners.remove(name);
    }

    /// The digest that it had, if it has another now.
    pub(crate) fn put_hop(&mut self, hop: Hop) -> Option<Digest> {
        let hop = Arc::new(hop);
        let before = self.remove_hop(&hop.uid);
        self.statements.insert(hop.digest, Arc::clone(&hop));
        let digest = hop.digest;
        self.hops.insert(Arc::clone(&hop.uid), hop);
        before.filter(|it| *it != digest)
    }

    /// Its digest.
    pub(crate) fn remove_hop(&mut self, uid: &str) -> Option<Digest> {
        let gone = self.hops.remove(uid)?;
        let known = self.statements.get(&gone.digest);
        if known.is_some_and(|it| it.uid == gone.uid) {
            self.statements.remove(&gone.digest);
        }
        Some(gone.digest)
    }

    pub(crate) fn domain(&self, name: &str) -> Option<&Arc<Domain>> {
        self.domains.get(name)
    }

    /// Is there one of this name, or was there, whether or not it could ever be relied upon?
    pub(crate) fn has_known_domain(&self, name: &str) -> bool {
        self.known_domains.contains(name)
    }

    pub(crate) fn put_domain(&mut self, name: String, domain: Domain) {
        if !self.known_domains.contains(&name) {
            self.known_domains.insert(name.clone());
        }
        self.domains.insert(name, Arc::new(domain));
    }

    pub(crate) fn remove_domain(&mut self, name: &str) {
        self.domains.remove(name);
        if !self.known_domains.contains(name) {
            self.known_domains.insert(name.to_owned());
        }
    }

    pub(crate) fn revoke_serial(&mut self, serial_number: &str, until: Timestamp) {
        let known = self.revoked_serials.entry(serial_number.into());
        let known = known.or_insert(until);
        *known = (*known).max(until);
    }

    pub(crate) fn revoke_statement(&mut self, digest: Digest, until: Timestamp) {
        let known = self.revoked_statements.entry(digest).or_insert(until);
        *known = (*known).max(until);
    }

    /// Forgets revocations of what is over.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.revoked_serials.retain(|_, until| *until > now);
        self.revoked_statements.retain(|_, until| *until > now);
    }

    pub(crate) fn is_serial_revoked(&self, serial_number: &str) -> bool {
        self.revoked_serials.contains_key(serial_number)
    }

    pub(crate) fn is_statement_revoked(&self, digest: &Digest) -> bool {
        self.revoked_statements.contains_key(digest)
    }

    pub(crate) fn agent(&self, spiffe_id: &str) -> Option<&Arc<Identity>> {
        self.agents.get(spiffe_id)
    }

    pub(crate) fn identity(&self, uid: &str) -> Option<&Arc<Identity>> {
        self.identities.get(uid)
    }

    pub(crate) fn agents(&self) -> impl ExactSizeIterator<Item = &Arc<Identity>> {
        self.agents.values()
    }

    pub(crate) fn owner(&self, name: &str) -> Option<&Arc<OwnerFacts>> {
        self.owners.get(name)
    }

    pub(crate) fn statement(&self, digest: &Digest) -> Option<&Arc<Hop>> {
        self.statements.get(digest)
    }

    pub(crate) fn principal(&self, identity: &Arc<Identity>) -> Principal {
        Principal {
            identity: Arc::clone(identity),
            owner: self.owners.get(&*identity.owner).cloned(),
            domain: self.domains.get(&*identity.trust_domain).cloned(),
        }
    }

    /// The hops from the root to that of `leaf`, by the UIDs of their parents: at most `most`. None
    /// where one is unknown, or where there are more.
    pub(crate) fn links(&self, leaf: &Digest, most: usize) -> Option<Vec<Link>> {
        let mut links = Vec::new();
        let mut next = Some(self.statements.get(leaf)?);
        while let Some(hop) = next {
            if links.len() == most {
                return None;
            }
            let delegator = hop.delegator_uid.as_deref();
            let delegator = delegator.and_then(|uid| self.identities.get(uid));
            links.push(Link {
                hop: Arc::clone(hop),
                delegator: delegator.map(|it| self.principal(it)),
                revoked: self.is_statement_revoked(&hop.digest),
            });
            next = match &hop.parent_uid {
                None => None,
                Some(uid) => Some(self.hops.get(uid)?),
            };
        }
        links.reverse();
        Some(links)
    }
}
