//! How long a decision takes in process, and what 100,000 identities take in memory:
//! `cargo run --release -p countersign-decision --example decide_speed`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, prints, and stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_authority::{AuthoritySet, KeyAlgorithm, LeafKey, LeafRequest, Wanted};
use countersign_core::{DataClass, Grant, SpiffeId, TrustDomainName};
use countersign_decision::{
    Authority, Call, Caller, CurrentCertificate, Engine, Feed, Freshness, HopFacts, HopState,
    IdentityFacts, IdentityState, OwnerFacts, PresentedCertificate, Question, ResourceRef,
    ResourceRule, Rules, Signals, TrustDomainFacts, World,
};
use countersign_policy::{Mode, PolicySet, PolicySource, PolicyText, Scope, compile};
use countersign_statement::{Claims, KeyRing, Purpose, Statement, Task, WantedKeys, owner_subject};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

const DOMAIN: &str = "example.org";
const IDENTITIES: usize = 100_000;
const DECISIONS: usize = 200_000;
/// Two permits and four guards, as a cluster may have.
const POLICIES: [&str; 6] = [
    r#"permit (principal in Countersign::Namespace::"finance",
        action in [Countersign::Action::"read", Countersign::Action::"list"],
        resource in Countersign::Collection::"ledger")
        when { context.transport.mtls && resource.sensitivity <= 2 };"#,
    r#"permit (principal, action == Countersign::Action::"invoke", resource)
        when { context has delegation && context.delegation.expires > context.now };"#,
    r#"forbid (principal, action, resource)
        when { context.signals.risk + 25 * resource.sensitivity > 100 };"#,
    r#"forbid (principal, action, resource)
        when { context.call.destructive && context.signals.anomaly >= 60 };"#,
    r#"forbid (principal, action, resource)
        when { context.signals.ageMilliseconds > 5000 };"#,
    r#"forbid (principal, action, resource)
        when { resource.sensitivity >= 2 }
        unless { context has sourceIP && context.sourceIP.isInRange(ip("10.0.0.0/8")) };"#,
];

fn main() {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let before = resident();
    let engine = Engine::new(Arc::new(World::new()), Arc::new(Signals::new()));
    let domain = Domain::new(now);
    let leaf = domain.feed(engine.world(), now);
    let own = Question {
        authority: None,
        ..domain.question(3, now)
    };
    let chained = Question {
        authority: Some(Authority::Digest(leaf.digest)),
        ..own.clone()
    };
    let brought = Question {
        authority: Some(Authority::Statements(leaf.statements)),
        ..own.clone()
    };
    println!(
        "{} identities: {:.1} MiB more resident than before, {:.1} MiB in all",
        engine.world().identities(),
        resident() - before,
        resident()
    );
    println!("                                by the wall clock           on the CPU");
    println!("question                 p50 µs  p99 µs  p99.9 µs  p50 µs  p99 µs  p99.9 µs");
    for (name, question) in [
        ("own authority", &own),
        ("chain of 3, by digest", &chained),
        ("chain of 3, brought", &brought),
    ] {
        measure(name, &engine, question, now);
    }
    println!(
        "after {} decisions: {:.1} MiB resident",
        3 * DECISIONS,
        resident()
    );
}

fn measure(name: &str, engine: &Engine, question: &Question, now: Timestamp) {
    let caller = Caller {
        name: "gateway".to_owned(),
        vouches: false,
        authoritative: false,
    };
    let mut times = Vec::with_capacity(DECISIONS);
    let mut busy = Vec::with_capacity(DECISIONS);
    for request in 0..DECISIONS {
        // A hundred a second, so that nothing is odd about it.
        let moment = now + SignedDuration::from_millis(i64::try_from(request % 1000).unwrap());
        let (start, start_busy) = (Instant::now(), on_cpu());
        let answer = black_box(engine.decide(&caller, question, moment));
        busy.push(on_cpu().saturating_sub(start_busy));
        times.push(start.elapsed());
        assert!(answer.allowed, "{answer:?}");
    }
    println!("{name:23} {}  {}", percentiles(times), percentiles(busy));
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |thousandths: usize| {
        let time = times.get(times.len() * thousandths / 1000).unwrap();
        time.as_secs_f64() * 1e6
    };
    format!("{:7.1} {:7.1} {:9.1}", at(500), at(990), at(999))
}

/// The CPU time of this thread: on a machine that does something else besides, what the wall clock
/// shows is mostly that.
fn on_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// In MiB, of pages of 4 KiB.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4.0 / 1024.0
}

/// A trust domain and what signs for it.
struct Domain {
    name: TrustDomainName,
    authority: AuthoritySet,
    ring: KeyRing,
}

impl Domain {
    fn new(now: Timestamp) -> Self {
        let wanted = Wanted {
            trust_domain: DOMAIN.to_owned(),
            ca_lifetime_seconds: 30 * 86_400,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            epoch: 1,
            distrusted: BTreeSet::new(),
            max_leaf_ttl_seconds: 3600,
            bundle_propagated: true,
            propagation_seconds: 60,
        };
        let keys = WantedKeys {
            trust_domain: DOMAIN.to_owned(),
            lifetime_seconds: 30 * 86_400,
            epoch: 1,
            distrusted: BTreeSet::new(),
            longest_statement_seconds: 86_400,
            propagated: true,
            propagation_seconds: 60,
        };
        Self {
            name: TrustDomainName::parse(DOMAIN).unwrap(),
            authority: AuthoritySet::default().next(&wanted, now).unwrap().unwrap(),
            ring: KeyRing::default().next(&keys, now).unwrap().unwrap(),
        }
    }

    fn spiffe_id(&self, number: usize) -> SpiffeId {
        let (name, uid) = (format!("invoice-reader-{number}"), uid(number));
        SpiffeId::for_task(&self.name, "finance", &name, &uid, &uid).unwrap()
    }

    /// Everything; gives the delegation to agent 3.
    fn feed(&self, world: &World, now: Timestamp) -> HopFacts {
        world.put_owner(OwnerFacts {
            name: "alice".to_owned(),
            uid: "o-alice".to_owned(),
            kind: "Person".to_owned(),
            active: true,
            grants: grants(),
            users: vec!["alice@example.org".to_owned()],
        });
        world.put_trust_domain(TrustDomainFacts {
            name: DOMAIN.to_owned(),
            bundle: Arc::new(self.authority.bundle()),
            keys: Arc::new(self.ring.trusted().unwrap()),
        });
        for number in 0..IDENTITIES {
            world.put_identity(self.identity(number, now));
        }
        world.set_rules(Rules {
            resources: vec![ResourceRule {
                pattern: "ledger/*".to_owned(),
                sensitivity: DataClass::Internal,
                residency: vec!["eu".to_owned()],
            }],
            ..Rules::default()
        });
        world.set_policies(Arc::new(policies()));
        world.set_freshness(Freshness::Fresh);
        let hops = self.chain(now);
        for hop in &hops {
            world.put_hop(hop.clone());
        }
        hops.last().unwrap().clone()
    }

    fn identity(&self, number: usize, now: Timestamp) -> IdentityFacts {
        IdentityFacts {
            uid: uid(number),
            namespace: "finance".to_owned(),
            name: format!("invoice-reader-{number}"),
            spiffe_id: self.spiffe_id(number).to_string(),
            trust_domain: DOMAIN.to_owned(),
            owner: "alice".to_owned(),
            task: format!("jobs.batch/reconcile-2026-11-{number}"),
            requester: Some("system:serviceaccount:flux-system:kustomize".to_owned()),
            grants: grants(),
            attributes: BTreeMap::from([("purpose".to_owned(), "reconciliation".to_owned())]),
            state: IdentityState::Active,
            certificate: Some(CurrentCertificate {
                serial_number: format!("{number:032x}"),
                not_after: now + SignedDuration::from_secs(3600),
            }),
            in_pods: None,
            deadline: Some(now + SignedDuration::from_secs(7200)),
        }
    }

    fn chain(&self, now: Timestamp) -> Vec<HopFacts> {
        let signer = self.ring.signer(Purpose::Statements).unwrap();
        let zero = Claims {
            issuer: self.name.clone(),
            subject: owner_subject(&self.name, "alice").unwrap(),
            delegator: None,
            id: "o-alice/d-1".to_owned(),
            issued_at: now,
            expires_at: now + SignedDuration::from_secs(3600),
            depth: 0,
            max_depth: 16,
            parent: None,
            grants: grants(),
            owner: "alice".to_owned(),
            task: None,
            requester: Some("alice@example.org".to_owned()),
            agent_statement: None,
        };
        let mut statements: Vec<Statement> = vec![signer.countersign(&zero).unwrap()];
        let mut hops = Vec::new();
        for hop in 1..=3 {
            let parent = statements.last().unwrap();
            let above = parent.claims();
            let claims = Claims {
                subject: self.spiffe_id(hop),
                delegator: Some(above.subject.clone()),
                id: format!("d-{hop}"),
                depth: above.depth + 1,
                parent: Some(*parent.digest()),
                task: Some(Task {
                    group: "batch".to_owned(),
                    resource: "jobs".to_owned(),
                    namespace: "finance".to_owned(),
                    name: "reconcile".to_owned(),
                    uid: uid(hop),
                }),
                ..above.clone()
            };
            statements.push(signer.countersign(&claims).unwrap());
            let last = statements.last().unwrap();
            let above = hop.checked_sub(1).filter(|it| *it > 0);
            hops.push(HopFacts {
                uid: format!("d-{hop}"),
                namespace: "finance".to_owned(),
                name: format!("to-{hop}"),
                digest: *last.digest(),
                parent_uid: above.map(|it| format!("d-{it}")),
                delegator_uid: above.map(uid),
                delegate_uid: uid(hop),
                root_owner: ("alice".to_owned(), "o-alice".to_owned()),
                root_requester: Some("alice@example.org".to_owned()),
                state: HopState::Active,
                expires: last.claims().expires_at,
                statements: statements
                    .iter()
                    .map(|it| it.compact().to_owned())
                    .collect(),
            });
        }
        hops
    }

    /// An agent reads an invoice.
    fn question(&self, number: usize, now: Timestamp) -> Question {
        let agent = self.spiffe_id(number);
        let request = LeafRequest {
            spiffe_id: agent.as_str(),
            key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
            ttl_seconds: 600,
            not_after_cap: None,
        };
        let signer = self.authority.signer().unwrap().unwrap();
        let leaf = signer.issue(&request, now).unwrap();
        Question {
            agent: agent.to_string(),
            certificate: Some(PresentedCertificate {
                der: pem::parse(leaf.chain_pem).unwrap().into_contents(),
            }),
            action: "read".to_owned(),
            resource: ResourceRef {
                kind: "document".to_owned(),
                path: "ledger/invoices/7".to_owned(),
                ..ResourceRef::default()
            },
            authority: None,
            call: Call {
                source_ip: Some("10.1.2.3".parse().unwrap()),
                tool: Some("search".to_owned()),
                ..Call::default()
            },
        }
    }
}

fn uid(number: usize) -> String {
    format!("9d1c2a52-8c7e-4d55-9b7e-{number:012}")
}

fn grants() -> Vec<Grant> {
    serde_json::from_str(r#"[{"actions": ["read", "list"], "resources": ["ledger/*"]}]"#).unwrap()
}

fn policies() -> PolicySet {
    let texts = (0..).zip(POLICIES).map(|(number, cedar)| PolicyText {
        id: format!("p{number}"),
        cedar: cedar.to_owned(),
        obligations: Vec::new(),
    });
    let source = PolicySource {
        scope: Scope::Cluster,
        name: "guard".to_owned(),
        mode: Mode::Enforce,
        policies: texts.collect(),
        tests: Vec::new(),
    };
    PolicySet::of([compile(&source).unwrap()])
}
