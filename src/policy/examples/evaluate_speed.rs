//! How long policies take, and how much room agents:
//! `cargo run --release -p countersign-policy --example evaluate_speed`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, prints, and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use countersign_core::DataClass;
use countersign_policy::{
    AgentFacts, CallFacts, CertificateFacts, Compiled, ContextFacts, DelegationFacts, Mode,
    PolicySet, PolicySource, PolicyText, PreparedAgent, Request, ResourceFacts, Scope, SignalFacts,
    compile,
};

const ROUNDS: usize = 20_000;

/// Each is asked for every request.
const GUARDS: [&str; 4] = [
    "forbid (principal, action in Countersign::Action::\"any\", resource)
     when { context.signals.risk + 25 * resource.sensitivity > 100 };",
    "forbid (principal, action in [Countersign::Action::\"read\", Countersign::Action::\"write\", Countersign::Action::\"delete\"], resource)
     when { context.call.destructive && (context.signals.anomaly >= 60 || context.signals.ageMilliseconds > 5000) };",
    "forbid (principal, action, resource is Countersign::Resource)
     when { resource.sensitivity >= 2 }
     unless { context has sourceIP && context.sourceIP.isInRange(ip(\"10.0.0.0/8\")) };",
    "forbid (principal in Countersign::TrustDomain::\"example.org\", action, resource)
     when { resource.sensitivity == 3 && principal.owner.type != \"Person\" }
     unless { context.transport.mtls };",
];

/// The two that permit.
const GRANTS: [&str; 2] = [
    "permit (principal in Countersign::Namespace::\"finance\",
             action in [Countersign::Action::\"read\", Countersign::Action::\"list\"],
             resource in Countersign::Collection::\"ledger\")
     when { context.transport.mtls && resource.sensitivity <= 2 };",
    "permit (principal, action == Countersign::Action::\"read\", resource in Countersign::Collection::\"ledger/invoices\")
     when { context has delegation && context.delegation.depth <= 3 && context.delegation.expires > context.now };",
];

fn main() {
    let chain: Vec<AgentFacts> = ["planner", "sorter", "reader"].map(agent).into();
    let prepared: Vec<PreparedAgent> = chain.iter().map(PreparedAgent::of).collect();
    let (resource, context) = (resource(), context());
    println!("policies   one p50   p99   chain of three p50   p99   index µs");
    for count in [6, 10, 100, 1_000, 10_000] {
        let objects = policies(count);
        let start = Instant::now();
        let set = PolicySet::of(objects);
        let indexed = start.elapsed().as_micros();
        assert_eq!(set.len(), count);
        let verdict = set.evaluate(&chain[0], "read", &resource, &context);
        assert!(
            verdict.allowed && verdict.policies.len() == 2,
            "{verdict:?}"
        );
        let one = measure(|| {
            let request = Request::prepare("read", &resource, &context);
            black_box(request.evaluate(&set, &prepared[0]));
        });
        let three = measure(|| {
            let request = Request::prepare("read", &resource, &context);
            let mut inquiry = set.ask(&request);
            for agent in &prepared {
                black_box(inquiry.of(agent));
            }
        });
        println!(
            "{count:8} {:9.2} {:5.1} {:20.2} {:5.1} {indexed:10}",
            one.0, one.1, three.0, three.1
        );
    }
    let request = Request::prepare("read", &resource, &context);
    let set = PolicySet::of(policies(10));
    for (what, took) in [
        (
            "prepare a request",
            measure(|| drop(black_box(Request::prepare("read", &resource, &context)))),
        ),
        (
            "prepare an agent",
            measure(|| drop(black_box(PreparedAgent::of(&chain[0])))),
        ),
        (
            "evaluate a prepared agent",
            measure(|| drop(black_box(request.evaluate(&set, &prepared[0])))),
        ),
        (
            "evaluate with no policies",
            measure(|| {
                drop(black_box(
                    request.evaluate(&PolicySet::default(), &prepared[0]),
                ))
            }),
        ),
        (
            "compile an object of six",
            measure_few(|| drop(black_box(compile(&six()).unwrap()))),
        ),
    ] {
        println!("{what}: p50 {:.2} µs, p99 {:.1} µs", took.0, took.1);
    }
    let before = resident();
    let held: Vec<PreparedAgent> = (0..100_000)
        .map(|it| PreparedAgent::of(&agent(&format!("reader-{it}"))))
        .collect();
    let bytes = resident().saturating_sub(before) * 1_024 / held.len();
    println!("100,000 prepared agents: {bytes} bytes each");
}

/// p50 and p99 in µs.
fn measure(one: impl FnMut()) -> (f64, f64) {
    times(ROUNDS, one)
}

fn measure_few(one: impl FnMut()) -> (f64, f64) {
    times(200, one)
}

fn times(rounds: usize, mut one: impl FnMut()) -> (f64, f64) {
    (0..rounds / 10).for_each(|_| one());
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            one();
            start.elapsed().as_nanos() as f64 / 1_000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[rounds / 2], took[rounds * 99 / 100])
}

/// KiB of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn six() -> PolicySource {
    object(
        Scope::Cluster,
        "six",
        GUARDS
            .into_iter()
            .chain(GRANTS)
            .map(str::to_owned)
            .collect(),
    )
}

/// The six, and others that don't concern the request: of other namespaces, for other agents, on
/// other resources.
fn policies(count: usize) -> Vec<Compiled> {
    let mut all = vec![compile(&six()).unwrap()];
    let others: Vec<usize> = (6..count).collect();
    for (number, some) in others.chunks(50).enumerate() {
        let scope = match number % 3 {
            0 => Scope::Cluster,
            1 => Scope::Namespace("finance".to_owned()),
            _ => Scope::Namespace(format!("team-{number}")),
        };
        let texts = some.iter().map(|it| match it % 3 {
            0 => format!("permit (principal == Countersign::Agent::\"spiffe://example.org/ns/finance/agent/other-{it}\", action, resource);"),
            1 => format!("permit (principal in Countersign::Namespace::\"finance\", action == Countersign::Action::\"read\", resource in Countersign::Collection::\"vault/{it}\") when {{ resource.sensitivity < 3 }};"),
            _ => format!("forbid (principal in Countersign::Owner::\"owner-{it}\", action, resource in Countersign::Collection::\"ledger\") when {{ context.signals.risk > 10 }};"),
        });
        all.push(compile(&object(scope, &format!("other-{number}"), texts.collect())).unwrap());
    }
    all
}

fn object(scope: Scope, name: &str, texts: Vec<String>) -> PolicySource {
    let text = |(number, cedar)| PolicyText {
        id: format!("p{number}"),
        cedar,
        obligations: Vec::new(),
    };
    PolicySource {
        scope,
        name: name.to_owned(),
        mode: Mode::Enforce,
        policies: texts.into_iter().enumerate().map(text).collect(),
        tests: Vec::new(),
    }
}

fn agent(name: &str) -> AgentFacts {
    AgentFacts {
        spiffe_id: format!(
            "spiffe://example.org/ns/finance/agent/{name}/task/5b1e9f0c-4c1d-4c55-9b1b-6d7f0f5b8a11/0d3c7a52-98c1-4f0e-b6a5-1f2f3c4d5e6f"
        ),
        name: name.to_owned(),
        namespace: "finance".to_owned(),
        trust_domain: "example.org".to_owned(),
        owner: "alice".to_owned(),
        owner_type: "Person".to_owned(),
        task: "jobs.batch/reconcile-2026-11".to_owned(),
        claimed: BTreeMap::from([("purpose".to_owned(), "reconciliation".to_owned())]),
    }
}

fn resource() -> ResourceFacts {
    ResourceFacts {
        kind: "document".to_owned(),
        path: "ledger/invoices/2026-11/7".to_owned(),
        sensitivity: DataClass::Confidential,
        residency: vec!["eu".to_owned()],
        properties: BTreeMap::new(),
    }
}

fn context() -> ContextFacts {
    ContextFacts {
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
        source_ip: Some("10.1.2.3".parse().unwrap()),
        certificate: Some(CertificateFacts {
            serial_number: "4f2a9c".to_owned(),
            not_after: "2026-11-24T12:05:00Z".parse().unwrap(),
        }),
        call: CallFacts {
            action: "read".to_owned(),
            tool: Some("search".to_owned()),
            bytes: 512,
            destructive: false,
            audience: None,
        },
        signals: SignalFacts {
            risk: 10,
            anomaly: 5,
            codes: vec!["caep/risk-level-change".to_owned()],
            age_milliseconds: 100,
        },
        delegation: Some(DelegationFacts {
            depth: 2,
            root_owner: "alice".to_owned(),
            root_owner_type: "Person".to_owned(),
            requester: Some("alice@example.com".to_owned()),
            expires: "2026-11-24T13:00:00Z".parse().unwrap(),
        }),
    }
}
