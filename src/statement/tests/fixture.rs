//! A fixed clock, a trust domain with its keys, and chains of any length.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_core::{Grant, SpiffeId, TrustDomainName};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Chain, ChainError, Claims, KeyRing, Options, Purpose, Signer, Statement, Task, TrustedKeys,
    WantedKeys, jws, owner_subject, verify_chain,
};

pub(super) const DOMAIN: &str = "example.org";
pub(super) const DAY: i64 = 86_400;

pub(super) fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub(super) fn plus(moment: Timestamp, seconds: i64) -> Timestamp {
    moment + SignedDuration::from_secs(seconds)
}

/// 30 days of life, statements of a day at most, a minute for a bundle to arrive.
pub(super) fn want() -> WantedKeys {
    WantedKeys {
        trust_domain: DOMAIN.to_owned(),
        lifetime_seconds: 30 * 86_400,
        epoch: 1,
        distrusted: BTreeSet::new(),
        longest_statement_seconds: 86_400,
        propagated: true,
        propagation_seconds: 60,
    }
}

pub(super) fn step(ring: &KeyRing, want: &WantedKeys, now: Timestamp) -> KeyRing {
    let next = ring
        .next(want, now)
        .unwrap()
        .unwrap_or_else(|| ring.clone());
    assert_eq!(
        next.next(want, now).unwrap(),
        None,
        "a second call changes nothing"
    );
    next
}

/// The ring after the first call at [`start`].
pub(super) fn ring() -> KeyRing {
    step(&KeyRing::default(), &want(), start())
}

pub(super) fn ring_of(domain: &str) -> KeyRing {
    let want = WantedKeys {
        trust_domain: domain.to_owned(),
        ..want()
    };
    step(&KeyRing::default(), &want, start())
}

pub(super) fn signer(ring: &KeyRing) -> Arc<Signer> {
    ring.signer(Purpose::Statements).unwrap()
}

pub(super) fn domain() -> TrustDomainName {
    TrustDomainName::parse(DOMAIN).unwrap()
}

pub(super) fn agent(hop: usize) -> SpiffeId {
    let agent = format!("agent-{hop}");
    SpiffeId::for_task(&domain(), "finance", &agent, "t-1", "i-2").unwrap()
}

pub(super) fn grants(value: Value) -> Vec<Grant> {
    serde_json::from_value(value).unwrap()
}

pub(super) fn root_claims() -> Claims {
    Claims {
        issuer: domain(),
        subject: owner_subject(&domain(), "alice").unwrap(),
        delegator: None,
        id: "owner-uid/root-uid".to_owned(),
        issued_at: start(),
        expires_at: plus(start(), 3600),
        depth: 0,
        max_depth: 16,
        parent: None,
        grants: grants(json!([{
            "actions": ["read", "list"], "resources": ["ledger/*"],
            "constraints": {"maxDataClass": "Confidential", "audiences": ["bank", "audit"],
                            "notAfter": "2026-12-01T00:00:00Z", "maxCalls": 100},
        }])),
        owner: "alice".to_owned(),
        task: None,
        requester: Some("alice@example.org".to_owned()),
        agent_statement: None,
    }
}

/// A hop below `parent` that takes nothing away.
pub(super) fn below(parent: &Statement) -> Claims {
    let above = parent.claims();
    let hop = usize::from(above.depth) + 1;
    Claims {
        subject: agent(hop),
        delegator: Some(above.subject.clone()),
        id: format!("uid-{hop}"),
        depth: above.depth + 1,
        parent: Some(*parent.digest()),
        task: Some(Task {
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: "finance".to_owned(),
            name: "reconcile".to_owned(),
            uid: "t-1".to_owned(),
        }),
        ..above.clone()
    }
}

/// Hop 0 and `hops` below it.
pub(super) fn chain(signer: &Signer, hops: usize) -> Vec<Statement> {
    chain_of(signer, hops, |_| {})
}

pub(super) fn chain_of(
    signer: &Signer,
    hops: usize,
    alter: impl Fn(&mut Claims),
) -> Vec<Statement> {
    let sign = |mut claims: Claims| {
        alter(&mut claims);
        signer.countersign(&claims).unwrap()
    };
    let mut all = vec![sign(root_claims())];
    for _ in 0..hops {
        let next = sign(below(all.last().unwrap()));
        all.push(next);
    }
    all
}

pub(super) fn texts(chain: &[Statement]) -> Vec<String> {
    chain.iter().map(|it| it.compact().to_owned()).collect()
}

pub(super) fn verify(
    texts: &[impl AsRef<str>],
    keys: &TrustedKeys,
    now: Timestamp,
) -> Result<Chain, ChainError> {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    verify_chain(&texts, keys, now, &Options::default())
}

/// Hop and category of a refusal.
pub(super) fn refusal(
    texts: &[impl AsRef<str>],
    keys: &TrustedKeys,
    now: Timestamp,
) -> (Option<usize>, &'static str) {
    let error = verify(texts, keys, now).unwrap_err();
    (error.hop, error.category())
}

/// A JWS with any header and payload, signed with the ring's active key for `purpose`.
pub(super) fn forge(ring: &KeyRing, purpose: Purpose, header: &str, payload: &[u8]) -> String {
    let key = &ring.active(purpose.into()).unwrap().key;
    jws::assemble(&jws::encode(header.as_bytes()), payload, |message| {
        key.sign_jose(message).map(|(_, signature)| signature)
    })
    .unwrap()
}

/// The header of the ring's active key for `purpose`, under any `typ`.
pub(super) fn header_of(ring: &KeyRing, purpose: Purpose, typ: &str) -> String {
    let signer = ring.signer(purpose).unwrap();
    let kid = signer.kid();
    format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#)
}

pub(super) fn payload(compact: &str) -> Value {
    let part = compact.split('.').nth(1).unwrap();
    serde_json::from_slice(&jws::decode(part, "").unwrap()).unwrap()
}

pub(super) fn header(compact: &str) -> Value {
    let part = compact.split('.').next().unwrap();
    serde_json::from_slice(&jws::decode(part, "").unwrap()).unwrap()
}

pub(super) fn bundle_json(ring: &KeyRing) -> String {
    json!({"keys": ring.jwks(), "spiffe_sequence": 1}).to_string()
}

pub(super) const HOUR: i64 = 3600;
