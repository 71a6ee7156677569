//! How long a chain takes to verify, cold and remembered:
//! `cargo run --release -p countersign-statement --example speed`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, prints, and stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Instant;

use countersign_core::{Grant, SpiffeId, TrustDomainName};
use countersign_statement::{
    Claims, KeyRing, Options, Purpose, Statement, Task, Verifier, WantedKeys, owner_subject,
    verify_chain,
};
use jiff::{SignedDuration, Timestamp};

const ROUNDS: u32 = 400;

fn main() {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let want = WantedKeys {
        trust_domain: "example.org".to_owned(),
        lifetime_seconds: 30 * 86_400,
        epoch: 1,
        distrusted: BTreeSet::new(),
        longest_statement_seconds: 86_400,
        propagated: true,
        propagation_seconds: 60,
    };
    let ring = KeyRing::default().next(&want, now).unwrap().unwrap();
    let keys = ring.trusted().unwrap();
    let all = chain(&ring, now);
    println!("statements  bytes  cold µs  remembered µs");
    for count in [1, 2, 3, 4, 5, 6, 8, 9, 16, 17] {
        let texts: Vec<&str> = all.iter().take(count).map(Statement::compact).collect();
        let bytes: usize = texts.iter().map(|it| it.len()).sum();
        let options = Options::default();
        let cold = best(|| {
            black_box(verify_chain(&texts, &keys, now, &options).unwrap());
        });
        let verifier = Verifier::new(keys.clone(), 100);
        let warm = best(|| {
            black_box(verifier.verify(&texts, now, &options).unwrap());
        });
        println!("{count:10} {bytes:6} {cold:8.1} {warm:14.2}");
    }
}

/// The best mean of several runs, in µs.
fn best(mut one: impl FnMut()) -> f64 {
    let run = |one: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| one());
        start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    };
    (0..7).map(|_| run(&mut one)).fold(f64::MAX, f64::min)
}

fn chain(ring: &KeyRing, now: Timestamp) -> Vec<Statement> {
    let signer = ring.signer(Purpose::Statements).unwrap();
    let domain = TrustDomainName::parse("example.org").unwrap();
    let grant: Grant = serde_json::from_str(
        r#"{"actions": ["read", "list"], "resources": ["ledger/invoices/*"],
            "constraints": {"maxDataClass": "Confidential", "audiences": ["ledger"], "maxCalls": 100}}"#,
    )
    .unwrap();
    let root = Claims {
        issuer: domain.clone(),
        subject: owner_subject(&domain, "alice").unwrap(),
        delegator: None,
        id: "6f1c2a52-8c7e-4d55-9b7e-0a6f0f0c8a11/1b0f7a52-8c7e-4d55-9b7e-0a6f0f0c8a12".to_owned(),
        issued_at: now,
        expires_at: now + SignedDuration::from_secs(3600),
        depth: 0,
        max_depth: 16,
        parent: None,
        grants: vec![grant],
        owner: "alice".to_owned(),
        task: None,
        requester: Some("alice@example.org".to_owned()),
        agent_statement: None,
    };
    let mut all = vec![signer.countersign(&root).unwrap()];
    while let Some(parent) = all.last().filter(|_| all.len() < 17) {
        let above = parent.claims();
        let agent = format!("agent-{}", all.len());
        let uid = "9d1c2a52-8c7e-4d55-9b7e-0a6f0f0c8a13";
        let claims = Claims {
            subject: SpiffeId::for_task(&domain, "finance", &agent, uid, uid).unwrap(),
            delegator: Some(above.subject.clone()),
            id: format!("{uid}-{}", all.len()),
            depth: above.depth + 1,
            parent: Some(*parent.digest()),
            task: Some(Task {
                group: "batch".to_owned(),
                resource: "jobs".to_owned(),
                namespace: "finance".to_owned(),
                name: "reconcile-2026-11".to_owned(),
                uid: uid.to_owned(),
            }),
            ..above.clone()
        };
        all.push(signer.countersign(&claims).unwrap());
    }
    all
}
