//! Chains of statements, signed as the operator signs them, at a fixed time.
//!
//! Hop 0 says what the owner may hand on; each hop below it goes from agent to agent, names task,
//! owner and requester, and narrows: hop 0 may list and read below a folder, each hop below it may
//! only read, one folder deeper. The peers' chains have the same actions and folders.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use countersign_authority::{
    AuthoritySet, Bundle, KeyAlgorithm, LeafKey, LeafRequest, PrivateKey, Wanted,
};
use countersign_core::{Constraints, Grant, SpiffeId, TrustDomainName};
use countersign_statement::{
    Claims, KeyRing, MAX_DEPTH, Purpose, Signer, Statement, Task, TrustedKeys, WantedKeys, agent,
    owner_subject,
};
use jiff::{SignedDuration, Timestamp};

use crate::made_up::uid;

const DOMAIN: &str = "example.org";
const OWNER: &str = "alice";
const DAY_SECONDS: u64 = 86_400;

/// What a trust domain and its agents sign with.
pub(crate) struct Signatory {
    name: TrustDomainName,
    ring: KeyRing,
    signer: Arc<Signer>,
    authorities: AuthoritySet,
}

/// Who signs a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedBy {
    /// The trust domain alone.
    Domain,
    /// Its delegator too, where that is an agent: with the key of its SVID, ECDSA P-256.
    Agents,
}

impl Signatory {
    pub(crate) fn make() -> Result<Self> {
        let want = WantedKeys {
            trust_domain: DOMAIN.to_owned(),
            lifetime_seconds: 30 * DAY_SECONDS,
            epoch: 1,
            distrusted: BTreeSet::new(),
            longest_statement_seconds: DAY_SECONDS,
            propagated: true,
            propagation_seconds: 60,
        };
        let ring = KeyRing::default().next(&want, start()?)?;
        let ring = ring.context("an empty ring gets keys")?;
        let want = Wanted {
            trust_domain: DOMAIN.to_owned(),
            ca_lifetime_seconds: 30 * DAY_SECONDS,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            epoch: 1,
            distrusted: BTreeSet::new(),
            max_leaf_ttl_seconds: 3600,
            bundle_propagated: true,
            propagation_seconds: 60,
        };
        let authorities = AuthoritySet::default().next(&want, start()?)?;
        Ok(Self {
            name: TrustDomainName::parse(DOMAIN)?,
            signer: ring.signer(Purpose::Statements)?,
            ring,
            authorities: authorities.context("an empty set gets an authority")?,
        })
    }

    /// What verifiers trust.
    pub(crate) fn keys(&self) -> Result<TrustedKeys> {
        Ok(self.ring.trusted()?)
    }

    /// The X.509 roots, for the agents' own signatures.
    pub(crate) fn roots(&self) -> Bundle {
        self.authorities.bundle()
    }

    /// What signs certificates.
    pub(crate) fn issuer(&self) -> Result<Arc<countersign_authority::Signer>> {
        self.authorities.signer()?.context("an authority is active")
    }

    /// What signs an audit log's checkpoints.
    pub(crate) fn checkpoints(&self) -> Result<Arc<Signer>> {
        Ok(self.ring.signer(Purpose::Checkpoints)?)
    }

    /// A chain of so many statements, hop 0 included.
    pub(crate) fn chain(&self, statements: usize, by: SignedBy) -> Result<Vec<Statement>> {
        let mut chain = vec![self.signer.countersign(&self.first()?)?];
        while chain.len() < statements {
            let parent = chain.last().context("hop 0 is there")?;
            let below = self.below(parent, chain.len(), by)?;
            chain.push(below);
        }
        Ok(chain)
    }

    /// So many hops below the same one, to different agents.
    pub(crate) fn siblings(&self, parent: &Statement, count: usize) -> Result<Vec<Statement>> {
        (10_000..10_000 + count)
            .map(|it| self.below(parent, it, SignedBy::Domain))
            .collect()
    }

    fn first(&self) -> Result<Claims> {
        Ok(Claims {
            issuer: self.name.clone(),
            subject: owner_subject(&self.name, OWNER)?,
            delegator: None,
            id: format!("{}/{}", uid(900), uid(901)),
            issued_at: start()?,
            expires_at: after(SignedDuration::from_hours(24))?,
            depth: 0,
            max_depth: MAX_DEPTH,
            parent: None,
            grants: grants(0),
            owner: OWNER.to_owned(),
            task: None,
            requester: None,
            agent_statement: None,
        })
    }

    /// The next hop, to the agent of this number.
    fn below(&self, parent: &Statement, number: usize, by: SignedBy) -> Result<Statement> {
        let above = parent.claims();
        let depth = above.depth + 1;
        let task = Task {
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: "finance".to_owned(),
            name: "reconcile-2026-11".to_owned(),
            uid: uid(1_000_000 + number),
        };
        let agent = format!("invoice-reader-{depth}");
        let identity = uid(2_000_000 + number);
        let subject = SpiffeId::for_task(&self.name, "finance", &agent, &task.uid, &identity)?;
        let mut claims = Claims {
            subject,
            delegator: Some(above.subject.clone()),
            id: uid(number),
            issued_at: after(SignedDuration::from_secs(depth.into()))?,
            expires_at: above.expires_at - SignedDuration::from_mins(1),
            depth,
            parent: Some(*parent.digest()),
            grants: grants(depth.into()),
            task: Some(task),
            requester: Some("alice@example.org".to_owned()),
            ..above.clone()
        };
        claims.agent_statement = match by {
            SignedBy::Agents if depth > 1 => Some(self.by_agent(&claims, above)?),
            SignedBy::Agents | SignedBy::Domain => None,
        };
        Ok(self.signer.countersign(&claims)?)
    }

    /// The hop as its delegator signs it.
    fn by_agent(&self, claims: &Claims, above: &Claims) -> Result<String> {
        let authority = self.authorities.signer()?.context("no authority")?;
        let leaf = authority.issue(
            &LeafRequest {
                spiffe_id: above.subject.as_str(),
                key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
                ttl_seconds: 600,
                not_after_cap: None,
            },
            start()?,
        )?;
        let key = PrivateKey::from_pem(leaf.key_pem.as_ref().context("no key was made")?)?;
        let chain = pem::parse_many(leaf.chain_pem).context("read a certificate")?;
        let chain: Vec<Vec<u8>> = chain.into_iter().map(pem::Pem::into_contents).collect();
        let request = agent::Request {
            delegator: above.subject.clone(),
            delegate: claims.subject.clone(),
            id: claims.id.clone(),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            max_depth: claims.max_depth,
            parent: claims.parent.context("a hop has a parent")?,
            grants: claims.grants.clone(),
        };
        Ok(agent::sign(&request, &key, &chain)?)
    }
}

/// When the chains are verified: all of them are in force.
pub(crate) fn verified_at() -> Result<Timestamp> {
    after(SignedDuration::from_mins(5))
}

pub(crate) fn start() -> Result<Timestamp> {
    // The moment that the peers' biscuits are asked for.
    Ok(Timestamp::from_second(1_796_083_200)?)
}

fn after(wait: SignedDuration) -> Result<Timestamp> {
    Ok(start()?.checked_add(wait)?)
}

fn grants(hop: usize) -> Vec<Grant> {
    let actions: &[&str] = if hop == 0 {
        &["list", "read"]
    } else {
        &["read"]
    };
    let folders: String = (1..=hop).map(|it| format!("d{it:02}/")).collect();
    vec![Grant {
        actions: actions.iter().map(|&it| it.to_owned()).collect(),
        resources: vec![format!("ledger/{folders}*")],
        constraints: Constraints::default(),
    }]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use countersign_statement::{Options, verify_chain};

    use super::*;

    #[test]
    fn the_chains_that_are_measured_are_good_at_any_length() {
        let signatory = Signatory::make().unwrap();
        let (keys, roots) = (signatory.keys().unwrap(), signatory.roots());
        for by in [SignedBy::Domain, SignedBy::Agents] {
            let chain = signatory.chain(16, by).unwrap();
            let signed = chain
                .iter()
                .filter(|it| it.claims().agent_statement.is_some());
            assert_eq!(signed.count(), if by == SignedBy::Agents { 14 } else { 0 });
            let texts: Vec<&str> = chain.iter().map(Statement::compact).collect();
            for length in 1..=texts.len() {
                let options = Options {
                    agent_signatures: Some(&roots),
                    ..Options::default()
                };
                verify_chain(&texts[..length], &keys, verified_at().unwrap(), &options).unwrap();
            }
        }
    }
}
