//! Each refusal: its reason, and a message that says what to do.

use countersign_core::{Constraints, DataClass, TrustDomainName};
use countersign_statement::agent::Request;

use super::super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, ParentSeen, Signed,
};
use super::super::plan::plan;
use super::fixture::{
    agent, assert_held, assert_ready, assert_settles, at, below, delegate, delegator, grant,
    granted, granted_hop, id, live, message, parent, passed, root, with,
};
use crate::identity::{Admits, Refusal};

/// One way to be refused: whether a root or a hop, what is changed, and what is said.
struct Case {
    of: fn() -> Observed,
    reason: &'static str,
    /// What of the message tells a person what to do.
    tells: &'static str,
    change: fn(&mut Observed),
}

pub(super) fn because(reason: &'static str) -> Refusal {
    Refusal {
        reason,
        message: format!("{reason}: do this"),
    }
}

pub(super) fn hop() -> Observed {
    below(&granted(root()))
}

/// A hop that its delegator signed itself, five seconds before it was created.
pub(super) fn signed() -> Observed {
    let mut seen = hop();
    let chain = seen.parent_chain().unwrap();
    let request = Request {
        delegator: chain.leaf().claims().subject.clone(),
        delegate: id("reader"),
        id: "jti-1".to_owned(),
        issued_at: at(-10),
        expires_at: at(890),
        max_depth: 9,
        parent: *chain.leaf().digest(),
        grants: seen.delegation.grants.clone(),
    };
    seen.delegation.statement = Some("a.b.c".to_owned());
    seen.signed = Some(Ok(Signed {
        request,
        revoked: false,
    }));
    seen
}

fn asks(seen: &mut Observed, change: impl FnOnce(&mut Request)) {
    match &mut seen.signed {
        Some(Ok(signed)) => change(&mut signed.request),
        other => panic!("not signed: {other:?}"),
    }
}

fn no_constraints() -> Constraints {
    Constraints::default()
}

/// The owner's grants get these constraints, and the root asks for those.
fn bound(seen: &mut Observed, above: Constraints, below: Constraints) {
    if let DelegatorSeen::Owner(OwnerSeen::Found { grants, .. }) = &mut seen.delegator {
        for grant in grants {
            grant.constraints = above.clone();
        }
    }
    for grant in &mut seen.delegation.grants {
        grant.constraints = below.clone();
    }
}

const CASES: &[Case] = &[
    Case {
        of: root,
        reason: "Shut",
        tells: "do this",
        change: |it| it.closed = Some(because("Shut")),
    },
    Case {
        of: root,
        reason: "RequesterMissing",
        tells: "create the delegation again",
        change: |it| it.delegation.requester = None,
    },
    Case {
        of: root,
        reason: "GrantsTooLarge",
        tells: "write patterns, or several delegations",
        change: |it| it.delegation.grants[0].resources = vec!["ledger/x".to_owned(); 1025],
    },
    Case {
        of: root,
        reason: "UnknownConstraint",
        tells: "spec.grants has a constraint",
        change: |it| it.delegation.unknown_constraint = true,
    },
    Case {
        of: root,
        reason: "UnknownOwner",
        tells: "there is no AgentOwner alice: an admin creates it",
        change: |it| it.delegator = DelegatorSeen::Owner(OwnerSeen::Missing),
    },
    Case {
        of: hop,
        reason: "NotTheDelegate",
        tells: "an agent hands on only what it was given",
        change: |it| it.parent = ParentSeen::Stranger,
    },
    Case {
        of: hop,
        reason: "NotTheDelegate",
        tells: "an agent hands on only what it was given",
        change: |it| parent(it).delegate = Some("other".to_owned()),
    },
    Case {
        of: hop,
        reason: "NotTheDelegate",
        tells: "Delegation finance/hop-1 gives to another agent",
        change: |it| {
            delegator(it).life = live("clerk");
        },
    },
    Case {
        of: hop,
        reason: "NotTheDelegate",
        tells: "gives to another agent",
        change: |it| {
            // Whose status says so, and whose chain doesn't.
            parent(it).delegate = Some("clerk-uid".to_owned());
            it.delegator = DelegatorSeen::Agent(AgentSeen::Found(agent("clerk")));
        },
    },
    Case {
        of: hop,
        reason: "NamespaceNotAccepting",
        tells: "its label countersign.dev/accept-delegations must be true",
        change: |it| it.accepted = false,
    },
    Case {
        of: root,
        reason: "MayNotBind",
        tells: "alice@example.com is not among the subjects of AgentOwner alice, and does not hold the verb bind",
        change: |it| it.admits = Admits::No,
    },
    Case {
        of: hop,
        reason: "MayNotDelegate",
        tells: "does not hold the verb delegate on agentidentities.countersign.dev/planner in namespace finance",
        change: |it| it.admits = Admits::No,
    },
    Case {
        of: root,
        reason: "GrantsWiden",
        tells: "write",
        change: |it| it.delegation.grants = vec![grant("write", "ledger/*")],
    },
    Case {
        of: hop,
        reason: "GrantsWiden",
        tells: "payroll",
        change: |it| it.delegation.grants = vec![grant("read", "payroll/salaries")],
    },
    Case {
        of: hop,
        reason: "GrantsWiden",
        tells: "list",
        // Its owner has it, its parent doesn't.
        change: |it| it.delegation.grants = vec![grant("list", "ledger/*")],
    },
    Case {
        of: root,
        reason: "GrantsWiden",
        tells: "maxDataClass",
        change: |it| {
            let above = Constraints {
                max_data_class: Some(DataClass::Internal),
                ..no_constraints()
            };
            bound(it, above, no_constraints());
        },
    },
    Case {
        of: root,
        reason: "GrantsWiden",
        tells: "audiences",
        change: |it| {
            let above = Constraints {
                audiences: Some(vec!["bank".to_owned()]),
                ..no_constraints()
            };
            let below = Constraints {
                audiences: Some(vec!["bank".to_owned(), "press".to_owned()]),
                ..no_constraints()
            };
            bound(it, above, below);
        },
    },
    Case {
        of: root,
        reason: "GrantsWiden",
        tells: "notAfter",
        change: |it| {
            let not_after = |seconds| Constraints {
                not_after: Some(at(seconds)),
                ..no_constraints()
            };
            bound(it, not_after(100), not_after(101));
        },
    },
    Case {
        of: root,
        reason: "GrantsWiden",
        tells: "maxCalls",
        change: |it| {
            let calls = |calls| Constraints {
                max_calls: Some(calls),
                ..no_constraints()
            };
            bound(it, calls(10), calls(11));
        },
    },
    Case {
        of: hop,
        reason: "DelegatorLacks",
        tells: "not by spec.grants of the delegator itself",
        change: |it| delegator(it).grants = vec![grant("list", "*")],
    },
    Case {
        of: || below(&granted(with(root(), |it| it.delegation.max_depth = 0))),
        reason: "TooDeep",
        tells: "depth 2 is deeper than allowed: 1",
        change: |_| {},
    },
    Case {
        of: || below(&granted(hop())),
        reason: "Cycle",
        tells: "agent/planner",
        change: |it| it.delegate = AgentSeen::Found(agent("planner")),
    },
    Case {
        of: hop,
        reason: "Cycle",
        tells: "agent/planner",
        change: |it| it.delegate = AgentSeen::Found(agent("planner")),
    },
    Case {
        of: hop,
        reason: "OtherTrustDomain",
        tells: "other.example",
        change: |it| {
            it.domain.name = TrustDomainName::parse("other.example").ok();
            delegate(it).trust_domain = "other.example".to_owned();
            delegate(it).life = Life::Live {
                spiffe_id: "spiffe://other.example/ns/finance/agent/reader/task/t/i".to_owned(),
            };
        },
    },
    Case {
        of: root,
        reason: "DelegateInvalid",
        tells: "its delegate's SPIFFE ID can't be used",
        change: |it| {
            delegate(it).life = Life::Live {
                spiffe_id: "https://example.org/planner".to_owned(),
            };
        },
    },
    Case {
        of: hop,
        reason: "ChainBroken",
        tells: "it expires before it begins",
        change: |it| delegate(it).deadline = Some(at(0)),
    },
    Case {
        of: signed,
        reason: "StatementInvalid",
        tells: "its signature does not verify",
        change: |it| it.signed = Some(Err("its signature does not verify".to_owned())),
    },
    Case {
        of: signed,
        reason: "StatementInvalid",
        tells: "a certificate that is revoked",
        change: |it| {
            if let Some(Ok(signed)) = &mut it.signed {
                signed.revoked = true;
            }
        },
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "another delegate",
        change: |it| asks(it, |request| request.delegate = id("clerk")),
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "another delegator",
        change: |it| asks(it, |request| request.delegator = id("clerk")),
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "another par_hash",
        change: |it| {
            asks(it, |request| {
                request.parent = countersign_statement::Digest::from_bytes([7; 32]);
            });
        },
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "authorization_details are not spec.grants",
        change: |it| asks(it, |request| request.grants.push(grant("list", "ledger/*"))),
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "ledger",
        change: |it| {
            asks(it, |request| {
                request.grants = vec![grant("read", "ledger/invoices")]
            })
        },
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "del_max_depth is not the hop's depth and spec.maxDepth",
        change: |it| asks(it, |request| request.max_depth = 10),
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "it allows fewer hops below",
        change: |it| asks(it, |request| request.max_depth = 3),
    },
    Case {
        of: signed,
        reason: "StatementDiffers",
        tells: "exp is not iat and spec.expiresAfterSeconds",
        change: |it| asks(it, |request| request.expires_at = at(889)),
    },
];

#[test]
fn each_refusal_has_its_reason_and_says_what_to_do() {
    for case in CASES {
        let seen = with((case.of)(), case.change);
        assert_held(&seen, "Stalled", case.reason);
        let plan = plan(&seen);
        let message = message(&plan);
        assert!(message.contains(case.tells), "{}: {message}", case.reason);
    }
}

#[test]
fn what_a_refusal_stood_against_is_granted_once_it_is_mended() {
    for case in CASES {
        let good = (case.of)();
        let seen = with(good.clone(), case.change);
        let recorded = passed(seen).recorded;
        // What was latched meanwhile was another agent, where the case put one there.
        let same = recorded.delegate == assert_settles(&good).recorded.delegate
            && recorded.delegator == assert_settles(&good).recorded.delegator;
        if same && case.reason != "TooDeep" {
            assert_ready(&Observed { recorded, ..good }, true);
        }
    }
}

#[test]
fn a_refusal_takes_the_readiness_of_what_was_granted_and_keeps_its_statement() {
    for change in [
        (|it: &mut Observed| it.accepted = false) as fn(&mut Observed),
        |it| it.delegation.unknown_constraint = true,
        |it| parent(it).delegate = Some("other".to_owned()),
    ] {
        let before = granted_hop();
        let seen = with(before.clone(), change);
        let plan = plan(&seen);
        let status = plan.status.unwrap();
        assert_eq!(status.conditions[0].kind, "Ready");
        assert!(!status.conditions[0].status);
        assert_eq!(status.statements, before.recorded.statements);
        assert_eq!(status.digest, before.recorded.digest);
        let mended = Observed {
            recorded: assert_settles(&seen).recorded,
            ..before
        };
        assert_ready(&mended, false);
    }
}

#[test]
fn an_owner_whose_grants_shrink_takes_back_what_was_handed_on() {
    let shrunk = with(granted(root()), |it| {
        if let DelegatorSeen::Owner(OwnerSeen::Found { grants, .. }) = &mut it.delegator {
            *grants = vec![grant("read", "ledger/invoices")];
        }
    });
    assert_held(&shrunk, "Stalled", "GrantsWiden");
}

#[test]
fn who_may_delegate_is_asked_before_a_grant_and_never_after() {
    for answer in [Admits::No, Admits::Unknown("500".to_owned())] {
        let seen = with(granted(root()), |it| it.admits = answer);
        assert_ready(&seen, false);
    }
}

#[test]
fn what_a_delegator_signed_before_it_was_posted_is_countersigned_until_its_own_end() {
    let seen = signed();
    assert_ready(&seen, true);
    let plan = plan(&seen);
    let claims = &plan.grant.as_ref().unwrap().claims;
    assert_eq!(claims.expires_at, at(890), "not 895, from its creation on");
    assert_eq!(claims.agent_statement.as_deref(), Some("a.b.c"));
}

/// The same once it is countersigned, which isn't verified again.
fn countersigned() -> Observed {
    with(granted(signed()), |it| it.signed = None)
}

#[test]
fn what_a_delegator_signed_is_outdated_when_its_parent_is_countersigned_anew() {
    assert_ready(&countersigned(), false);
    let mut seen = countersigned();
    let anew = granted(with(root(), |it| it.now = at(1)));
    parent(&mut seen).chain = anew.recorded.chain;
    seen.now = at(2);
    assert_held(&seen, "Stalled", "StatementOutdated");
    let plan = plan(&seen);
    assert!(message(&plan).contains("sign a new one, in a new Delegation"));
}

#[test]
fn a_chain_of_another_delegation_in_its_status_covers_no_statement() {
    let sibling = granted(with(hop(), |it| {
        "sibling-uid".clone_into(&mut it.delegation.uid);
    }));
    let seen = with(countersigned(), |it| it.recorded = sibling.recorded);
    let plan = plan(&seen);
    assert_eq!(plan.grant, None, "nobody has verified its statement");
    assert_held(&seen, "Stalled", "StatementInvalid");
}
