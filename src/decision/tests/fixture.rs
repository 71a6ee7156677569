//! A trust domain, an owner, and three agents of which each hands on to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_authority::{AuthoritySet, KeyAlgorithm, LeafKey, LeafRequest, Wanted};
use countersign_core::{DataClass, Grant, SpiffeId, TrustDomainName};
use countersign_policy::{Mode, PolicySet, PolicySource, PolicyText, Scope, compile};
use countersign_statement::{
    Claims, Digest, KeyRing, Purpose, Statement, Task, WantedKeys, owner_subject,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::*;

pub(super) const DOMAIN: &str = "example.org";
pub(super) const PATH: &str = "ledger/invoices/7";

pub(super) fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub(super) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// Everything that decides, and what signs.
pub(super) struct Bed {
    pub(super) engine: Engine,
    pub(super) authority: AuthoritySet,
    pub(super) ring: KeyRing,
    /// Owner to agent 1 to agent 2 to agent 3.
    pub(super) hops: Vec<HopFacts>,
    certificates: BTreeMap<usize, PresentedCertificate>,
}

impl Bed {
    /// All alive, and everything permitted that is granted.
    pub(super) fn new() -> Self {
        let mut bed = Self {
            engine: Engine::new(Arc::default(), Arc::default()),
            authority: authority(DOMAIN),
            ring: ring(DOMAIN),
            hops: Vec::new(),
            certificates: BTreeMap::new(),
        };
        for hop in 1..=3 {
            let certificate = bed.issue(&agent(hop), start(), 3600);
            bed.certificates.insert(hop, certificate);
        }
        bed.hops = bed.chain(|_| {});
        let world = bed.world();
        world.put_owner(owner("alice"));
        world.put_trust_domain(bed.trust_domain());
        for hop in 1..=3 {
            world.put_identity(identity(hop));
        }
        for hop in &bed.hops {
            world.put_hop(hop.clone());
        }
        world.set_rules(rules());
        world.set_policies(policies(&[("all", PERMIT_ALL)]));
        world.set_freshness(Freshness::Fresh);
        bed
    }

    pub(super) fn world(&self) -> &World {
        self.engine.world()
    }

    pub(super) fn signals(&self) -> &Signals {
        self.engine.signals()
    }

    pub(super) fn trust_domain(&self) -> TrustDomainFacts {
        TrustDomainFacts {
            name: DOMAIN.to_owned(),
            bundle: Arc::new(self.authority.bundle()),
            keys: Arc::new(self.ring.trusted().unwrap()),
        }
    }

    /// A certificate of this trust domain.
    pub(super) fn issue(&self, id: &str, now: Timestamp, seconds: u64) -> PresentedCertificate {
        issue(&self.authority, id, now, seconds)
    }

    /// What agent `hop` has.
    pub(super) fn certificate(&self, hop: usize) -> PresentedCertificate {
        self.certificates[&hop].clone()
    }

    /// Agent `hop` reads an invoice on its own authority.
    pub(super) fn question(&self, hop: usize) -> Question {
        Question {
            agent: agent(hop),
            certificate: Some(self.certificate(hop)),
            action: "read".to_owned(),
            resource: ResourceRef {
                path: PATH.to_owned(),
                ..ResourceRef::default()
            },
            authority: None,
            call: Call::default(),
        }
    }

    /// Agent 3 does so by the chain.
    pub(super) fn chained(&self) -> Question {
        Question {
            authority: Some(Authority::Digest(self.hops[2].digest)),
            ..self.question(3)
        }
    }

    pub(super) fn ask(&self, question: &Question) -> Answer {
        self.ask_at(question, start())
    }

    pub(super) fn ask_at(&self, question: &Question, now: Timestamp) -> Answer {
        self.engine.decide(&caller(), question, now)
    }

    /// The reason that agent 1's question gets.
    pub(super) fn own(&self) -> Reason {
        self.ask(&self.question(1)).reason
    }

    /// The reason that agent 3's question by the chain gets.
    pub(super) fn by_chain(&self) -> Reason {
        self.ask(&self.chained()).reason
    }

    /// Three hops below the owner's grants; `alter` is told each hop's claims.
    pub(super) fn chain(&self, alter: impl Fn(&mut Claims)) -> Vec<HopFacts> {
        let signer = self.ring.signer(Purpose::Statements).unwrap();
        let mut zero = claims_of_zero();
        alter(&mut zero);
        let mut statements: Vec<Statement> = vec![signer.countersign(&zero).unwrap()];
        let mut hops = Vec::new();
        for hop in 1..=3 {
            let mut claims = claims_below(statements.last().unwrap(), hop);
            alter(&mut claims);
            statements.push(signer.countersign(&claims).unwrap());
            hops.push(hop_facts(&statements, hop));
        }
        hops
    }
}

/// Without a certificate none, and nothing of what it says of resources.
pub(super) fn caller() -> Caller {
    Caller {
        name: "gateway".to_owned(),
        vouches: false,
        authoritative: false,
    }
}

/// May say anything.
pub(super) fn trusted() -> Caller {
    Caller {
        name: "portal".to_owned(),
        vouches: true,
        authoritative: true,
    }
}

pub(super) const PERMIT_ALL: &str = "permit (principal, action, resource);";

/// An object `test` of the cluster with these policies.
pub(super) fn policies(texts: &[(&str, &str)]) -> Arc<PolicySet> {
    let texts = texts.iter().map(|(id, cedar)| policy(id, cedar));
    let source = PolicySource {
        scope: Scope::Cluster,
        name: "test".to_owned(),
        mode: Mode::Enforce,
        policies: texts.collect(),
        tests: Vec::new(),
    };
    Arc::new(PolicySet::of([compile(&source).unwrap()]))
}

pub(super) fn policy(id: &str, cedar: &str) -> PolicyText {
    PolicyText {
        id: id.to_owned(),
        cedar: cedar.to_owned(),
        obligations: Vec::new(),
    }
}

pub(super) fn rules() -> Rules {
    let rule = |pattern: &str, sensitivity| ResourceRule {
        pattern: pattern.to_owned(),
        sensitivity,
        residency: vec!["eu".to_owned()],
    };
    Rules {
        resources: vec![
            rule("ledger/*", DataClass::Internal),
            rule("ledger/salaries/*", DataClass::Restricted),
            rule("docs/handbook", DataClass::Public),
        ],
        ..Rules::default()
    }
}

pub(super) fn owner(name: &str) -> OwnerFacts {
    OwnerFacts {
        name: name.to_owned(),
        uid: format!("o-{name}"),
        kind: "Person".to_owned(),
        active: true,
        grants: ledger(),
        users: vec![format!("{name}@example.org")],
    }
}

pub(super) fn identity(hop: usize) -> IdentityFacts {
    IdentityFacts {
        uid: format!("i-{hop}"),
        namespace: "finance".to_owned(),
        name: format!("agent-{hop}"),
        spiffe_id: agent(hop),
        trust_domain: DOMAIN.to_owned(),
        owner: "alice".to_owned(),
        task: "jobs.batch/reconcile".to_owned(),
        requester: Some("alice@example.org".to_owned()),
        grants: ledger(),
        attributes: BTreeMap::from([("purpose".to_owned(), "reconciliation".to_owned())]),
        state: IdentityState::Active,
        certificate: Some(CurrentCertificate {
            serial_number: format!("0{hop}"),
            not_after: after(3600),
        }),
        in_pods: None,
        deadline: Some(after(7200)),
    }
}

/// The SPIFFE ID of agent `hop`.
pub(super) fn agent(hop: usize) -> String {
    spiffe_id(hop).to_string()
}

fn spiffe_id(hop: usize) -> SpiffeId {
    let (name, task, uid) = (
        format!("agent-{hop}"),
        format!("t-{hop}"),
        format!("i-{hop}"),
    );
    SpiffeId::for_task(&domain(), "finance", &name, &task, &uid).unwrap()
}

fn domain() -> TrustDomainName {
    TrustDomainName::parse(DOMAIN).unwrap()
}

pub(super) fn ledger() -> Vec<Grant> {
    grants(json!([{"actions": ["read", "list"], "resources": ["ledger/*"]}]))
}

pub(super) fn grants(value: Value) -> Vec<Grant> {
    serde_json::from_value(value).unwrap()
}

pub(super) fn authority(domain: &str) -> AuthoritySet {
    let want = Wanted {
        trust_domain: domain.to_owned(),
        ca_lifetime_seconds: 30 * 86_400,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        epoch: 1,
        distrusted: BTreeSet::new(),
        max_leaf_ttl_seconds: 86_400,
        bundle_propagated: true,
        propagation_seconds: 60,
    };
    let set = AuthoritySet::default().next(&want, after(-86_400));
    set.unwrap().unwrap()
}

pub(super) fn issue(
    authority: &AuthoritySet,
    id: &str,
    now: Timestamp,
    ttl_seconds: u64,
) -> PresentedCertificate {
    let request = LeafRequest {
        spiffe_id: id,
        key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
        ttl_seconds,
        not_after_cap: None,
    };
    let signer = authority.signer().unwrap().unwrap();
    let leaf = signer.issue(&request, now).unwrap();
    PresentedCertificate {
        der: pem::parse(leaf.chain_pem).unwrap().into_contents(),
    }
}

pub(super) fn ring(domain: &str) -> KeyRing {
    let want = WantedKeys {
        trust_domain: domain.to_owned(),
        lifetime_seconds: 30 * 86_400,
        epoch: 1,
        distrusted: BTreeSet::new(),
        longest_statement_seconds: 86_400,
        propagated: true,
        propagation_seconds: 60,
    };
    let ring = KeyRing::default().next(&want, after(-86_400));
    ring.unwrap().unwrap()
}

fn claims_of_zero() -> Claims {
    Claims {
        issuer: domain(),
        subject: owner_subject(&domain(), "alice").unwrap(),
        delegator: None,
        id: "o-alice/d-1".to_owned(),
        issued_at: start(),
        expires_at: after(3600),
        depth: 0,
        max_depth: 16,
        parent: None,
        grants: ledger(),
        owner: "alice".to_owned(),
        task: None,
        requester: Some("alice@example.org".to_owned()),
        agent_statement: None,
    }
}

fn claims_below(parent: &Statement, hop: usize) -> Claims {
    let above = parent.claims();
    Claims {
        subject: spiffe_id(hop),
        delegator: Some(above.subject.clone()),
        id: format!("d-{hop}"),
        depth: above.depth + 1,
        parent: Some(*parent.digest()),
        task: Some(Task {
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: "finance".to_owned(),
            name: "reconcile".to_owned(),
            uid: format!("t-{hop}"),
        }),
        ..above.clone()
    }
}

/// The facts of the last of these statements.
fn hop_facts(statements: &[Statement], hop: usize) -> HopFacts {
    let last = statements.last().unwrap();
    let above = hop.checked_sub(1).filter(|it| *it > 0);
    HopFacts {
        uid: format!("d-{hop}"),
        namespace: "finance".to_owned(),
        name: format!("to-agent-{hop}"),
        digest: *last.digest(),
        parent_uid: above.map(|it| format!("d-{it}")),
        delegator_uid: above.map(|it| format!("i-{it}")),
        delegate_uid: format!("i-{hop}"),
        root_owner: ("alice".to_owned(), "o-alice".to_owned()),
        root_requester: Some("root@example.org".to_owned()),
        state: HopState::Active,
        expires: last.claims().expires_at,
        statements: statements
            .iter()
            .map(|it| it.compact().to_owned())
            .collect(),
    }
}

/// The digest of hop 0.
pub(super) fn zero_of(hop: &HopFacts) -> Digest {
    let (_, digest) = countersign_statement::read_unverified(&hop.statements[0]).unwrap();
    digest
}

pub(super) fn signal(id: &str, subject: SignalSubject, effect: Effect) -> Signal {
    Signal {
        id: id.to_owned(),
        source: "test".to_owned(),
        subject,
        kind: format!("test/{id}"),
        severity: 40,
        observed: start(),
        lifetime: SignedDuration::from_secs(1000),
        effect,
        why: "for a test".to_owned(),
    }
}
