//! A root and hops below it in good order, real keys, and what `execute` does to what is seen.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use countersign_api as api;
use countersign_core::{Constraints, Grant, Requester, SpiffeId, TrustDomainName};
use countersign_statement::{
    Chain, KeyRing, Options, Purpose, Signer, Statement, Task, TrustedKeys, Verifier, WantedKeys,
};
use jiff::Timestamp;

use super::super::grantable::Proposal;
use super::super::observed::{
    Agent, AgentSeen, Delegation, DelegatorSeen, DomainSeen, From, Life, ObjectName, Observed,
    OwnerSeen, Parent, ParentSeen, Recorded, Standing,
};
use super::super::parse;
use super::super::plan::{Plan, plan};
use crate::identity::{Admits, OwnerState};
use crate::retired::Before;

/// The moment at which the tests begin, in seconds.
pub(super) const T0: i64 = 1_800_000_000;
/// How long each delegation lives at most.
pub(super) const LIFE: u64 = 900;
/// What the trust domain allows.
pub(super) const MAX_LIFE: u64 = 3600;
/// Who hands on to whom, from hop 1 on; the owner is above.
pub(super) const AGENTS: [&str; 5] = ["planner", "reader", "clerk", "robot", "printer"];

/// What everything is signed and verified with.
pub(super) static RING: LazyLock<Keys> = LazyLock::new(Keys::new);
/// The same trust domain's keys once those were distrusted.
pub(super) static NEXT_RING: LazyLock<Keys> = LazyLock::new(Keys::new);

/// A key ring as `observe` and `execute` have it at hand.
pub(super) struct Keys {
    signer: Arc<Signer>,
    pub(super) trusted: TrustedKeys,
    verifier: Verifier,
}

impl Keys {
    fn new() -> Self {
        let ring = ring();
        Self {
            signer: ring.signer(Purpose::Statements).unwrap(),
            trusted: ring.trusted().unwrap(),
            verifier: Verifier::new(ring.trusted().unwrap(), 100_000),
        }
    }

    /// The chain, if it verifies. Hop by hop: a batch of signatures is quick only when optimised.
    pub(super) fn verified(&self, statements: &[String], now: Timestamp) -> Option<Arc<Chain>> {
        let texts: Vec<&str> = statements.iter().map(String::as_str).collect();
        let mut chain = None;
        for count in 1..=texts.len() {
            let verified = self
                .verifier
                .verify(&texts[..count], now, &Options::default());
            chain = Some(verified.ok()?);
        }
        chain
    }
}

/// So many seconds after the beginning.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(T0 + seconds).unwrap()
}

fn ring() -> KeyRing {
    let want = WantedKeys {
        trust_domain: "example.org".to_owned(),
        lifetime_seconds: 30 * 86_400,
        epoch: 1,
        distrusted: BTreeSet::new(),
        longest_statement_seconds: 86_400,
        propagated: true,
        propagation_seconds: 60,
    };
    // Old enough for every moment of the tests.
    let made = at(-86_400);
    KeyRing::default().next(&want, made).unwrap().unwrap()
}

pub(super) fn grant(action: &str, resource: &str) -> Grant {
    Grant {
        actions: vec![action.to_owned()],
        resources: vec![resource.to_owned()],
        constraints: Constraints::default(),
    }
}

pub(super) fn domain_name() -> TrustDomainName {
    TrustDomainName::parse("example.org").unwrap()
}

/// The SPIFFE ID of an agent of this name.
pub(super) fn id(name: &str) -> SpiffeId {
    let uid = format!("{name}-uid");
    SpiffeId::for_task(&domain_name(), "finance", name, "task-1", &uid).unwrap()
}

/// An agent of this name that has its credential.
pub(super) fn live(name: &str) -> Life {
    Life::Live {
        spiffe_id: id(name).to_string(),
    }
}

pub(super) fn agent(name: &str) -> Agent {
    Agent {
        uid: format!("{name}-uid"),
        life: live(name),
        trust_domain: "example.org".to_owned(),
        owner: "alice".to_owned(),
        grants: vec![grant("*", "*")],
        deadline: None,
        task: Some(Task {
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: "finance".to_owned(),
            name: "reconcile".to_owned(),
            uid: "task-1".to_owned(),
        }),
    }
}

pub(super) fn owner() -> OwnerSeen {
    OwnerSeen::Found {
        uid: "alice-uid".to_owned(),
        state: OwnerState::Active,
        grants: vec![grant("read", "ledger/*"), grant("list", "ledger/*")],
    }
}

pub(super) fn name(name: &str) -> ObjectName {
    ObjectName {
        namespace: "finance".to_owned(),
        name: name.to_owned(),
    }
}

/// A new root from alice to the planner, with everything in order and nothing countersigned yet.
pub(super) fn root() -> Observed {
    Observed {
        now: at(0),
        delegation: Delegation {
            uid: "hop-1-uid".to_owned(),
            namespace: "finance".to_owned(),
            name: "hop-1".to_owned(),
            generation: 1,
            created: at(-5),
            deleting: false,
            from: From::Owner("alice".to_owned()),
            to: name(AGENTS[0]),
            parent: None,
            grants: vec![grant("read", "ledger/*")],
            unknown_constraint: false,
            expires_after_seconds: LIFE,
            max_depth: 8,
            statement: None,
            revoked: false,
            requester: Some(Requester {
                username: "alice@example.com".to_owned(),
                uid: None,
                groups: Vec::new(),
            }),
        },
        recorded: Recorded::default(),
        delegator: DelegatorSeen::Owner(owner()),
        delegate: AgentSeen::Found(agent(AGENTS[0])),
        parent: ParentSeen::None,
        accepted: true,
        admits: Admits::Yes,
        domain: DomainSeen {
            name: Some(domain_name()),
            max_lifetime_seconds: MAX_LIFE,
            ready: Ok(()),
        },
        signed: None,
        closed: None,
        before: Before::NotEnded,
        clock_off: false,
    }
}

/// A new hop below `parent`, from its delegate to the next agent.
pub(super) fn below(parent: &Observed) -> Observed {
    let hop = usize::from(parent.recorded.shown.depth.unwrap_or(1));
    let mut seen = root();
    let asked = &mut seen.delegation;
    asked.uid = format!("hop-{}-uid", hop + 1);
    asked.name = format!("hop-{}", hop + 1);
    asked.from = From::Agent(parent.delegation.to.name.clone());
    asked.to = name(AGENTS[hop]);
    asked.parent = Some(parent.delegation.key());
    asked.max_depth = 8 - u8::try_from(hop).unwrap();
    seen.now = parent.now;
    seen.delegator = DelegatorSeen::Agent(parent.delegate.clone());
    seen.delegate = AgentSeen::Found(agent(AGENTS[hop]));
    seen.parent = as_parent(parent);
    seen
}

/// What a child sees of a delegation.
pub(super) fn as_parent(seen: &Observed) -> ParentSeen {
    let recorded = &seen.recorded;
    ParentSeen::Found(Box::new(Parent {
        uid: seen.delegation.uid.clone(),
        delegate: recorded.delegate.clone(),
        standing: match &recorded.completed {
            Some((_, message)) => Standing::Over(message.clone()),
            None if recorded.granted => Standing::Good,
            None => Standing::Waiting,
        },
        chain: recorded.chain.clone(),
        root: recorded.shown.root.clone(),
    }))
}

/// The same once it is countersigned.
pub(super) fn granted(seen: Observed) -> Observed {
    let plan = plan(&seen);
    assert!(plan.grant.is_some(), "{plan:?}");
    passed(seen)
}

/// The same after a pass over it.
pub(super) fn passed(mut seen: Observed) -> Observed {
    let plan = plan(&seen);
    apply(&mut seen, &plan);
    seen
}

/// A countersigned hop below a countersigned root.
pub(super) fn granted_hop() -> Observed {
    granted(below(&granted(root())))
}

/// Changes something.
pub(super) fn with(mut seen: Observed, change: impl FnOnce(&mut Observed)) -> Observed {
    change(&mut seen);
    seen
}

pub(super) fn delegator(seen: &mut Observed) -> &mut Agent {
    match &mut seen.delegator {
        DelegatorSeen::Agent(AgentSeen::Found(agent)) => agent,
        other => panic!("no agent: {other:?}"),
    }
}

pub(super) fn delegate(seen: &mut Observed) -> &mut Agent {
    match &mut seen.delegate {
        AgentSeen::Found(agent) => agent,
        AgentSeen::Missing => panic!("no delegate"),
    }
}

pub(super) fn parent(seen: &mut Observed) -> &mut Parent {
    match &mut seen.parent {
        ParentSeen::Found(parent) => parent,
        other => panic!("no parent: {other:?}"),
    }
}

/// What the signer makes of a proposal: the chain, this hop last.
pub(super) fn sign(seen: &Observed, proposal: &Proposal, ring: &Keys) -> Vec<Statement> {
    let signer = &ring.signer;
    let mut claims = proposal.claims.clone();
    let mut all: Vec<Statement> = match &proposal.first {
        Some(first) => vec![signer.countersign(first).unwrap()],
        None => seen.parent_chain().unwrap().hops().cloned().collect(),
    };
    if proposal.first.is_some() {
        claims.parent = Some(*all[0].digest());
    }
    all.push(signer.countersign(&claims).unwrap());
    all
}

/// An object with this status; the rest of it isn't read.
pub(super) fn object(status: Option<api::DelegationStatus>) -> api::Delegation {
    let spec = serde_json::from_value(serde_json::json!({
        "from": {"owner": {"name": "alice"}},
        "to": {"name": "planner"},
        "grants": [],
    }));
    let mut object = api::Delegation::new("hop", spec.unwrap());
    object.status = status;
    object
}

/// What `execute` writes, if anything.
pub(super) fn written(
    seen: &Observed,
    plan: &Plan,
    ring: &Keys,
    before: Option<&api::DelegationStatus>,
) -> Option<api::DelegationStatus> {
    let mut status = plan.status.clone()?;
    if let Some(proposal) = &plan.grant {
        let chain = sign(seen, proposal, ring);
        status.digest = Some(*chain[chain.len() - 1].digest());
        status.statements = chain.iter().map(|it| it.compact().to_owned()).collect();
    }
    Some(parse::status(&status, &seen.delegation, before, seen.now))
}

/// What `execute` does with `ring`, and what is seen after it. What it wrote is returned.
pub(super) fn apply_with(
    seen: &mut Observed,
    plan: &Plan,
    ring: &Keys,
    before: Option<&api::DelegationStatus>,
) -> Option<api::DelegationStatus> {
    let status = written(seen, plan, ring, before)?;
    seen.recorded = recorded(&status, ring, seen.now);
    if seen.domain.ready.is_err() {
        seen.recorded.chain = None;
    }
    Some(status)
}

/// The same with the ring of all tests.
pub(super) fn apply(seen: &mut Observed, plan: &Plan) -> Option<api::DelegationStatus> {
    apply_with(seen, plan, &RING, None)
}

/// What is read back from a status.
pub(super) fn recorded(status: &api::DelegationStatus, ring: &Keys, now: Timestamp) -> Recorded {
    let object = object(Some(status.clone()));
    let recorded = parse::recorded(&object, None);
    let chain = ring.verified(&recorded.statements, now);
    Recorded { chain, ..recorded }
}

/// The conditions of a plan: kind, status, reason.
pub(super) fn said(plan: &Plan) -> Vec<(&'static str, bool, String)> {
    let conditions = plan.status.iter().flat_map(|status| &status.conditions);
    conditions
        .map(|it| (it.kind, it.status, it.reason.clone()))
        .collect()
}

/// Do the conditions of a plan say this, in this order?
#[track_caller]
pub(super) fn assert_says(plan: &Plan, expected: &[(&'static str, bool, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, status, reason)| (*kind, *status, (*reason).to_owned()))
        .collect();
    assert_eq!(said(plan), expected, "{plan:?}");
}

/// The message of the last condition.
#[track_caller]
pub(super) fn message(plan: &Plan) -> &str {
    let status = plan.status.as_ref().unwrap();
    &status.conditions.last().unwrap().message
}

/// Is it over, for this reason?
#[track_caller]
pub(super) fn assert_over(seen: &Observed, reason: &str) {
    let plan = plan(seen);
    assert_says(&plan, &[("Completed", true, reason)]);
    assert_eq!((&plan.grant, plan.again), (&None, None));
    assert_settles(seen);
}

/// Does it wait, is it refused, or suspended, for this reason?
#[track_caller]
pub(super) fn assert_held(seen: &Observed, kind: &'static str, reason: &str) {
    let plan = plan(seen);
    let held = [("Ready", false, reason), (kind, true, reason)];
    let from = usize::from(kind == "Suspended");
    assert_says(&plan, &held[from..]);
    assert_eq!(plan.grant, None);
    assert!(plan.again.is_some_and(|again| again > seen.now), "{plan:?}");
    assert_settles(seen);
}

/// Is it in force: countersigned now, or kept as it was?
#[track_caller]
pub(super) fn assert_ready(seen: &Observed, anew: bool) {
    let plan = plan(seen);
    assert_says(&plan, &[("Ready", true, "Countersigned")]);
    assert_eq!(plan.grant.is_some(), anew, "{plan:?}");
    assert_settles(seen);
}

/// Executes the plan and asserts that the next one has nothing to do.
#[track_caller]
pub(super) fn assert_settles(seen: &Observed) -> Observed {
    let mut after = seen.clone();
    let first = plan(seen);
    let before = apply(&mut after, &first);
    let second = plan(&after);
    assert_eq!(second.grant, None, "{first:?}");
    let now = written(&after, &second, &RING, before.as_ref());
    assert_eq!(now, before, "{first:?}");
    if let Some(again) = second.again {
        assert!(again > after.now, "{second:?}");
    }
    after
}
