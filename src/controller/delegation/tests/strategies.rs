//! Whatever can be seen, sensible more often than not.

use std::sync::LazyLock;

use countersign_core::{Constraints, DataClass, Grant, TrustDomainName};
use countersign_statement::Digest;
use countersign_statement::agent::Request;
use proptest::option;
use proptest::prelude::*;

use super::super::observed::{
    Agent, AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Recorded, Signed,
    Standing,
};
use super::super::plan::plan;
use super::fixture::{
    NEXT_RING, RING, agent, apply_with, as_parent, at, below, grant, granted, id, live, root, with,
};
use super::refusals::because;
use crate::identity::{Admits, OwnerState};
use crate::retired::Before;

/// Chains to stand on: a root, and hops below it.
static ABOVE: LazyLock<[Observed; 3]> = LazyLock::new(|| {
    let bound = Constraints {
        max_data_class: Some(DataClass::Confidential),
        audiences: Some(vec!["bank".to_owned(), "audit".to_owned()]),
        not_after: Some(at(10_000)),
        max_calls: Some(100),
    };
    let first = granted(with(root(), |it| it.delegation.max_depth = 2));
    let second = with(below(&first), |it| {
        it.delegation.grants = vec![Grant {
            constraints: bound,
            ..grant("read", "ledger/*")
        }];
        it.delegation.expires_after_seconds = 600;
    });
    let second = granted(second);
    let third = granted(with(below(&second), |it| {
        it.delegation.grants.clone_from(&second.delegation.grants);
    }));
    [first, second, third]
});

/// Mostly `usual`, else one of the others.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    others: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![30 => Just(usual), 1 => others]
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.02)
}

fn constraints() -> impl Strategy<Value = Constraints> {
    let class = prop_oneof![
        Just(DataClass::Public),
        Just(DataClass::Confidential),
        Just(DataClass::Restricted)
    ];
    let audience = prop_oneof![Just("bank"), Just("audit"), Just("press")];
    (
        option::of(class),
        option::of(prop::collection::vec(
            audience.prop_map(str::to_owned),
            0..3,
        )),
        option::of((0_i64..20_000).prop_map(at)),
        option::of(0_u64..200),
    )
        .prop_map(|fields| Constraints {
            max_data_class: fields.0,
            audiences: fields.1,
            not_after: fields.2,
            max_calls: fields.3,
        })
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let action = prop_oneof![6 => Just("read"), 1 => Just("list"), 1 => Just("*")];
    let resource = prop_oneof![
        4 => Just("ledger/*"),
        4 => Just("ledger/invoices"),
        1 => Just("*"),
        1 => Just("payroll/x"),
    ];
    let within = Constraints {
        max_data_class: Some(DataClass::Public),
        audiences: Some(vec!["bank".to_owned()]),
        not_after: Some(at(9_000)),
        max_calls: Some(1),
    };
    let constraints = prop_oneof![3 => Just(within), 1 => constraints()];
    let one = (action, resource, constraints).prop_map(|(action, resource, constraints)| Grant {
        constraints,
        ..grant(action, resource)
    });
    prop::collection::vec(one, 0..3)
}

fn life(name: &'static str) -> impl Strategy<Value = Life> {
    let others = prop_oneof![
        Just(Life::Waiting),
        Just(Life::Suspended { spiffe_id: None }),
        Just(Life::Over("it ended".to_owned())),
        Just(live("robot")),
        Just(live("planner")),
        Just(Life::Live {
            spiffe_id: "nothing".to_owned()
        }),
    ];
    mostly(live(name), others)
}

fn some_agent(name: &'static str) -> impl Strategy<Value = AgentSeen> {
    let uid = mostly(format!("{name}-uid"), Just("another-uid".to_owned()));
    let own = mostly(vec![grant("*", "*")], grants());
    let deadline = option::weighted(0.1, (-10_i64..2000).prop_map(at));
    let found = (uid, life(name), own, deadline).prop_map(move |(uid, life, grants, deadline)| {
        AgentSeen::Found(Agent {
            uid,
            life,
            grants,
            deadline,
            ..agent(name)
        })
    });
    prop_oneof![1 => Just(AgentSeen::Missing), 40 => found]
}

fn some_owner() -> impl Strategy<Value = OwnerSeen> {
    let uid = mostly("alice-uid".to_owned(), Just("another-uid".to_owned()));
    let others = prop_oneof![Just(OwnerState::Suspended), Just(OwnerState::Departed)];
    let state = mostly(OwnerState::Active, others);
    let has = vec![grant("read", "ledger/*"), grant("list", "ledger/*")];
    let found = (uid, state, mostly(has, grants()));
    let found = found.prop_map(|(uid, state, grants)| OwnerSeen::Found { uid, state, grants });
    prop_oneof![1 => Just(OwnerSeen::Missing), 40 => found]
}

fn standing() -> impl Strategy<Value = Standing> {
    let others = prop_oneof![
        Just(Standing::Waiting),
        Just(Standing::Held("it is refused".to_owned())),
        Just(Standing::Suspended("it is suspended".to_owned())),
        Just(Standing::Over("it ended".to_owned())),
    ];
    mostly(Standing::Good, others)
}

/// A parent as it should be, or altered.
fn some_parent(hop: usize) -> impl Strategy<Value = ParentSeen> {
    let chain = prop_oneof![40 => Just(hop), 1 => 0..3_usize];
    let delegate = prop_oneof![
        40 => Just(None),
        1 => Just(Some(None)),
        1 => Just(Some(Some("another-uid".to_owned()))),
    ];
    let found = (rarely(), standing(), chain, rarely(), delegate);
    let found = found.prop_map(move |(another, standing, chain, unread, delegate)| {
        let mut seen = as_parent(&ABOVE[hop]);
        if let ParentSeen::Found(parent) = &mut seen {
            if another {
                "another-uid".clone_into(&mut parent.uid);
            }
            parent.standing = standing;
            parent.chain = ABOVE[chain].recorded.chain.clone().filter(|_| !unread);
            parent.delegate = delegate.unwrap_or_else(|| parent.delegate.take());
        }
        seen
    });
    let others = prop_oneof![Just(ParentSeen::Missing), Just(ParentSeen::Stranger)];
    prop_oneof![1 => others, 30 => found]
}

/// A root, or a hop in good order, as far as its own spec goes.
fn asked() -> impl Strategy<Value = Observed> {
    let spec = (
        rarely(),
        rarely(),
        option::weighted(0.4, grants()),
        rarely(),
        prop_oneof![1 => 1_u64..2000, 1 => Just(u64::MAX), 2 => Just(900)],
        prop_oneof![20 => 0..4_u8, 1 => any::<u8>()],
        rarely(),
        1_i64..4,
    );
    (0..4_usize, spec).prop_map(|(hop, spec)| {
        let seen = match hop.checked_sub(1) {
            None => root(),
            Some(above) => {
                let above = &ABOVE[above];
                with(below(above), |it| {
                    it.delegation.grants.clone_from(&above.delegation.grants);
                })
            }
        };
        with(seen, |seen| {
            let asked = &mut seen.delegation;
            asked.deleting = spec.0;
            asked.revoked = spec.1;
            if let Some(grants) = spec.2 {
                asked.grants = grants;
            }
            asked.unknown_constraint = spec.3;
            asked.expires_after_seconds = spec.4;
            asked.max_depth = spec.5;
            asked.requester = asked.requester.take().filter(|_| !spec.6);
            asked.generation = spec.7;
        })
    })
}

fn before() -> impl Strategy<Value = Before> {
    let others = prop_oneof![Just(Before::Ended), Just(Before::NotKnown)];
    mostly(Before::NotEnded, others)
}

/// What it rests on.
fn surroundings(seen: Observed) -> BoxedStrategy<Observed> {
    let depth = match &seen.parent {
        ParentSeen::Found(parent) => parent.chain.as_ref().map_or(1, |chain| chain.hops().len()),
        _ => 1,
    };
    let (delegator, parent) = match depth {
        1 => (
            some_owner().prop_map(DelegatorSeen::Owner).boxed(),
            Just(ParentSeen::None).boxed(),
        ),
        hop => (
            some_agent(super::fixture::AGENTS[hop - 2])
                .prop_map(DelegatorSeen::Agent)
                .boxed(),
            some_parent(hop - 2).boxed(),
        ),
    };
    let delegate = some_agent(super::fixture::AGENTS[depth - 1]);
    let unknown = Just(Admits::Unknown("500".to_owned()));
    let admits = mostly(Admits::Yes, prop_oneof![Just(Admits::No), unknown]);
    let domain = (
        prop_oneof![18 => Just(0), 1 => Just(1), 1 => Just(2)],
        prop_oneof![8 => Just(3600), 1 => 0..1000_u64],
        rarely(),
    );
    (
        prop_oneof![1 => -10_i64..1000, 3 => 0_i64..10],
        (delegator, delegate, parent),
        (rarely(), admits, rarely(), rarely(), before()),
        domain,
    )
        .prop_map(move |(now, (delegator, delegate, parent), facts, domain)| {
            let mut seen = Observed {
                now: at(now),
                delegator,
                delegate,
                parent,
                accepted: !facts.0,
                admits: facts.1,
                closed: facts.2.then(|| because("Shut")),
                clock_off: facts.3,
                before: facts.4,
                ..seen.clone()
            };
            match domain.0 {
                1 => seen.domain.name = None,
                2 if depth > 1 => elsewhere(&mut seen),
                _ => {}
            }
            seen.domain.max_lifetime_seconds = domain.1;
            if domain.2 {
                seen.domain.ready = Err(because("TrustDomainNotReady"));
            }
            seen
        })
        .boxed()
}

/// Its delegate is of another trust domain.
fn elsewhere(seen: &mut Observed) {
    seen.domain.name = TrustDomainName::parse("other.example").ok();
    if let AgentSeen::Found(agent) = &mut seen.delegate {
        "other.example".clone_into(&mut agent.trust_domain);
        if let Life::Live { spiffe_id } = &mut agent.life {
            *spiffe_id = spiffe_id.replace("example.org", "other.example");
        }
    }
}

/// What a status may hold: nothing; what a pass over it wrote, long ago, with keys that may be
/// distrusted; and what somebody made of that.
fn history(seen: Observed) -> BoxedStrategy<Observed> {
    let fields = (
        prop::bool::weighted(0.6),
        option::weighted(0.1, grants()),
        rarely(),
        0..40_u8,
    );
    (0_i64..5, fields)
        .prop_map(move |(then, (looked, grants, old_keys, altered))| {
            if !looked {
                return seen.clone();
            }
            let mut before = with(seen.clone(), |it| {
                it.now = at(then);
                if let Some(grants) = grants {
                    it.delegation.grants = grants;
                }
            });
            let first = plan(&before);
            let ring = if old_keys { &*NEXT_RING } else { &*RING };
            apply_with(&mut before, &first, ring, None);
            let mut recorded = before.recorded;
            alter(&mut recorded, altered);
            Observed {
                recorded,
                ..seen.clone()
            }
        })
        .boxed()
}

fn alter(recorded: &mut Recorded, how: u8) {
    let another = || Some("another-uid".to_owned());
    match how {
        0 => recorded.completed = Some(("Revoked".to_owned(), "it was".to_owned())),
        1 => recorded.digest = recorded.digest.map(|_| Digest::from_bytes([1; 32])),
        2 => recorded.delegate = another(),
        3 => recorded.delegator = another(),
        4 => recorded.parent = recorded.parent.as_ref().and_then(|_| another()),
        5 => recorded.statements.clear(),
        6 => recorded.statements.reverse(),
        7 => recorded.expires = recorded.expires.map(|_| at(2000)),
        8 => {
            (recorded.digest, recorded.granted) = (None, false);
        }
        9 => recorded
            .statements
            .clone_from(&ABOVE[0].recorded.statements),
        _ => {}
    }
}

fn some_signed(seen: Observed) -> BoxedStrategy<Observed> {
    let Some(chain) = seen.parent_chain() else {
        return Just(seen).boxed();
    };
    let (parent, delegator) = (
        *chain.leaf().digest(),
        chain.leaf().claims().subject.clone(),
    );
    let to = id(&seen.delegation.to.name);
    let depth = u8::try_from(chain.hops().len()).unwrap();
    let asked = &seen.delegation;
    let request = Request {
        delegator,
        delegate: to,
        id: "jti-1".to_owned(),
        issued_at: at(-20),
        expires_at: at(-20 + i64::try_from(asked.expires_after_seconds.min(2000)).unwrap()),
        max_depth: depth.saturating_add(asked.max_depth),
        parent,
        grants: asked.grants.clone(),
    };
    let signs = prop::bool::weighted(0.3);
    let fields = (signs, rarely(), rarely(), rarely(), rarely());
    fields
        .prop_map(move |(signs, bad, revoked, shorter, other)| {
            with(seen.clone(), |it| {
                if !signs {
                    return;
                }
                it.delegation.statement = Some("a.b.c".to_owned());
                if bad {
                    it.signed = Some(Err("its signature does not verify".to_owned()));
                    return;
                }
                let mut request = request.clone();
                if shorter {
                    request.expires_at = at(5);
                }
                if other {
                    request.parent = Digest::from_bytes([2; 32]);
                }
                it.signed = Some(Ok(Signed { request, revoked }));
            })
        })
        .boxed()
}

/// What `observe` says follows from the rest: see there.
pub(super) fn consistent(mut seen: Observed) -> Observed {
    let (now, ready) = (seen.now, seen.domain.ready.is_ok());
    let recorded = &mut seen.recorded;
    recorded.chain = RING.verified(&recorded.statements, now).filter(|_| ready);
    // What was countersigned isn't verified again.
    if recorded.granted && recorded.chain.is_some() {
        seen.signed = None;
    }
    if recorded.completed.is_some() {
        recorded.statements.clear();
        recorded.chain = None;
        recorded.finished = recorded.finished.or_else(|| Some(at(0)));
    }
    if let ParentSeen::Found(parent) = &mut seen.parent {
        parent.chain = parent.chain.take().filter(|it| it.expires_at() > now);
    }
    if seen.delegate == AgentSeen::Missing {
        seen.domain.name = None;
        seen.domain.max_lifetime_seconds = 0;
        seen.domain.ready = Ok(());
    }
    seen
}

/// Anything that can be seen.
pub(super) fn anything() -> impl Strategy<Value = Observed> {
    asked()
        .prop_flat_map(some_signed)
        .prop_flat_map(|good| history(good.clone()).prop_flat_map(surroundings))
        .prop_map(consistent)
}

/// Another sight of the same object: what may not change hasn't.
pub(super) fn later(before: &Observed, other: Observed) -> Observed {
    consistent(Observed {
        delegation: before.delegation.clone(),
        recorded: before.recorded.clone(),
        ..other
    })
}
