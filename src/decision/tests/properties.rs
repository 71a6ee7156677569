//! Taking away never gives.

use std::cell::OnceCell;

use countersign_core::{Grant, permits};
use proptest::prelude::*;
use serde_json::json;

use super::fixture::*;
use crate::*;

/// Something that is taken away, or set to less.
#[derive(Debug, Clone)]
enum Loss {
    Identity(usize),
    State(usize, IdentityState),
    Deadline(usize),
    Certificate(usize),
    Hop(usize),
    HopState(usize, HopState),
    Owner,
    InactiveOwner,
    ReplacedOwner,
    OwnerGrants,
    Grants(usize),
    TrustDomain,
    Serial(usize),
    Statement(usize),
    Rules,
    Policies,
    Stale,
    Deny(usize),
    EndSessions(usize),
    Risk(usize),
}

fn loss() -> impl Strategy<Value = Loss> {
    let state = prop_oneof![
        Just(IdentityState::Pending),
        Just(IdentityState::Suspended),
        Just(IdentityState::Ended)
    ];
    let hop_state = prop_oneof![Just(HopState::Suspended), Just(HopState::Ended)];
    prop_oneof![
        (1..=3_usize).prop_map(Loss::Identity),
        (1..=3_usize, state).prop_map(|(hop, state)| Loss::State(hop, state)),
        (1..=3_usize).prop_map(Loss::Deadline),
        (1..=3_usize).prop_map(Loss::Certificate),
        (1..=3_usize).prop_map(Loss::Hop),
        (1..=3_usize, hop_state).prop_map(|(hop, state)| Loss::HopState(hop, state)),
        Just(Loss::Owner),
        Just(Loss::InactiveOwner),
        Just(Loss::ReplacedOwner),
        Just(Loss::OwnerGrants),
        (1..=3_usize).prop_map(Loss::Grants),
        Just(Loss::TrustDomain),
        (1..=3_usize).prop_map(Loss::Serial),
        (1..=3_usize).prop_map(Loss::Statement),
        Just(Loss::Rules),
        Just(Loss::Policies),
        Just(Loss::Stale),
        (1..=3_usize).prop_map(Loss::Deny),
        (1..=3_usize).prop_map(Loss::EndSessions),
        (1..=3_usize).prop_map(Loss::Risk),
    ]
}

fn narrowed() -> Vec<Grant> {
    grants(json!([{"actions": ["read"], "resources": ["ledger/invoices/*"]}]))
}

/// Does it. What is set again is set as it was, but for what is lost.
fn lose(bed: &Bed, kept: &mut Kept, loss: &Loss) {
    let world = bed.world();
    match *loss {
        Loss::Identity(hop) => {
            kept.identities[hop - 1] = None;
            world.remove_identity(&format!("i-{hop}"));
        }
        Loss::State(hop, state) => kept.identity(bed, hop, |it| it.state = state),
        Loss::Deadline(hop) => kept.identity(bed, hop, |it| it.deadline = Some(start())),
        Loss::Certificate(hop) => kept.identity(bed, hop, |it| it.certificate = None),
        Loss::Grants(hop) => kept.identity(bed, hop, |it| it.grants = narrowed()),
        Loss::Hop(hop) => {
            kept.hops[hop - 1] = None;
            world.remove_hop(&format!("d-{hop}"));
        }
        Loss::HopState(hop, state) => {
            if let Some(facts) = &mut kept.hops[hop - 1] {
                facts.state = state;
                world.put_hop(facts.clone());
            }
        }
        Loss::Owner => {
            kept.owner = None;
            world.remove_owner("alice");
        }
        Loss::InactiveOwner => kept.owner(bed, |it| it.active = false),
        Loss::ReplacedOwner => kept.owner(bed, |it| it.uid = "o-other".to_owned()),
        Loss::OwnerGrants => kept.owner(bed, |it| it.grants = narrowed()),
        Loss::TrustDomain => world.remove_trust_domain(DOMAIN),
        Loss::Serial(hop) => {
            let certificate = bed.certificate(hop).der;
            let parsed = countersign_authority::verify_svid(
                &[certificate],
                &bed.authority.bundle(),
                start(),
            );
            world.revoke_serial(&parsed.unwrap().serial_number, after(3600));
        }
        Loss::Statement(hop) => world.revoke_statement(bed.hops[hop - 1].digest, after(3600)),
        Loss::Rules => world.set_rules(Rules {
            suspend_at: Some(30),
            ..Rules::default()
        }),
        Loss::Policies => world.set_policies(policies(&[])),
        Loss::Stale => world.set_freshness(Freshness::NotReady),
        Loss::Deny(hop) => notice(bed, hop, Effect::Deny),
        Loss::EndSessions(hop) => notice(bed, hop, Effect::EndSessions),
        Loss::Risk(hop) => notice(bed, hop, Effect::Risk),
    }
}

fn notice(bed: &Bed, hop: usize, effect: Effect) {
    let id = format!("{hop} {effect:?}");
    let signal = signal(&id, SignalSubject::Agent(agent(hop)), effect);
    bed.signals().accept(signal, start()).unwrap();
}

/// What the world was fed with last.
struct Kept {
    identities: [Option<IdentityFacts>; 3],
    hops: [Option<HopFacts>; 3],
    owner: Option<OwnerFacts>,
}

impl Kept {
    fn of(bed: &Bed) -> Self {
        Self {
            identities: [1, 2, 3].map(|hop| Some(identity(hop))),
            hops: [0, 1, 2].map(|hop| Some(bed.hops[hop].clone())),
            owner: Some(owner("alice")),
        }
    }

    fn identity(&mut self, bed: &Bed, hop: usize, change: impl FnOnce(&mut IdentityFacts)) {
        if let Some(facts) = &mut self.identities[hop - 1] {
            change(facts);
            bed.world().put_identity(facts.clone());
        }
    }

    fn owner(&mut self, bed: &Bed, change: impl FnOnce(&mut OwnerFacts)) {
        if let Some(facts) = &mut self.owner {
            change(facts);
            bed.world().put_owner(facts.clone());
        }
    }
}

/// All that the three agents can ask of a few things.
fn questions(bed: &Bed) -> Vec<(Caller, Question)> {
    let mut all = Vec::new();
    for hop in 1..=3 {
        for (action, path) in [
            ("read", PATH),
            ("list", "ledger/7"),
            ("write", PATH),
            ("read", "vault/1"),
        ] {
            for authority in [
                None,
                Some(Authority::Digest(bed.hops[hop - 1].digest)),
                Some(Authority::Statements(bed.hops[2].statements.clone())),
            ] {
                for caller in [caller(), trusted()] {
                    let mut question = bed.question(hop);
                    question.action = action.to_owned();
                    question.resource.path = path.to_owned();
                    question.authority = authority.clone();
                    if caller.vouches {
                        question.certificate = None;
                    }
                    all.push((caller, question));
                }
            }
        }
    }
    all
}

fn allowed(bed: &Bed, questions: &[(Caller, Question)]) -> Vec<bool> {
    let ask = |(caller, question): &(Caller, Question)| {
        bed.engine.decide(caller, question, start()).allowed
    };
    questions.iter().map(ask).collect()
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    config.failure_persistence = None;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_taken_away_never_allows_what_was_denied(
        losses in prop::collection::vec(loss(), 1..6)
    ) {
        let bed = Bed::new();
        let questions = questions(&bed);
        let mut kept = Kept::of(&bed);
        let mut before = allowed(&bed, &questions);
        prop_assert!(before.contains(&true) && before.contains(&false));
        for loss in &losses {
            lose(&bed, &mut kept, loss);
            let now = allowed(&bed, &questions);
            for ((question, before), now) in questions.iter().zip(&before).zip(&now) {
                prop_assert!(*before || !*now, "{loss:?} allowed {question:?}");
            }
            before = now;
        }
    }

    #[test]
    fn what_is_allowed_is_granted_by_everybody_above(
        depth in 0..=3_u8,
        narrow in prop::collection::vec(grant(), 1..3),
        own in prop::collection::vec(grant(), 1..3),
        owners in prop::collection::vec(grant(), 1..3),
    ) {
        let bed = Bed::new();
        let zero = OnceCell::new();
        let chain = bed.chain(|claims| {
            // Wide above, and from one hop on what was drawn.
            let wide = grants(json!([{"actions": ["*"], "resources": ["*"]}]));
            claims.grants = if claims.depth >= depth { narrow.clone() } else { wide };
            if claims.depth == 0 {
                zero.set(claims.grants.clone()).unwrap();
            }
        });
        chain.iter().for_each(|it| bed.world().put_hop(it.clone()));
        bed.world().put_identity(IdentityFacts { grants: own.clone(), ..identity(3) });
        bed.world().put_owner(OwnerFacts { grants: owners.clone(), ..owner("alice") });
        for action in ["read", "write"] {
            for path in ["a", "a/1", "a/1/x", "b/1", "b/2"] {
                let mut question = bed.question(3);
                question.authority = Some(Authority::Digest(chain[2].digest));
                question.action = action.to_owned();
                question.resource.path = path.to_owned();
                let lists = [&own, &owners, zero.get().unwrap(), &narrow];
                let granted = lists.iter().all(|it| permits(it, action, path));
                let answer = bed.ask(&question);
                prop_assert_eq!(answer.allowed, granted, "{:?}", answer);
            }
        }
    }
}

fn grant() -> impl Strategy<Value = Grant> {
    let action = prop_oneof![Just("*"), Just("read"), Just("write")];
    let path = prop_oneof![
        Just("*"),
        Just("a"),
        Just("a/*"),
        Just("a/*/x"),
        Just("*/1"),
        Just("b/2")
    ];
    (action, path).prop_map(|(action, path)| {
        let all = json!([{"actions": [action], "resources": [path]}]);
        grants(all).remove(0)
    })
}
