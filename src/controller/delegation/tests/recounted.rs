//! What is countersigned: how far it reaches, when it is kept, and when it is countersigned anew.

use countersign_statement::MAX_DEPTH;

use super::super::grantable::Proposal;
use super::super::observed::{DelegatorSeen, DomainSeen, Observed, OwnerSeen};
use super::super::plan::plan;
use super::fixture::{
    LIFE, MAX_LIFE, NEXT_RING, RING, agent, apply_with, as_parent, assert_ready, at, below,
    delegate, grant, granted, granted_hop, id, message, parent, passed, recorded, root, with,
    written,
};

fn proposal(seen: &Observed) -> Proposal {
    let plan = plan(seen);
    plan.grant.clone().unwrap_or_else(|| panic!("{plan:?}"))
}

#[test]
fn a_root_is_countersigned_below_its_owners_grants() {
    let seen = root();
    let Proposal { first, claims } = proposal(&seen);
    let first = first.unwrap();
    assert_eq!(first.subject.as_str(), "spiffe://example.org/owner/alice");
    assert_eq!(first.id, "alice-uid/hop-1-uid");
    assert_eq!((first.depth, first.max_depth), (0, MAX_DEPTH));
    assert_eq!(first.grants.len(), 2);
    assert_eq!(claims.delegator, Some(first.subject));
    assert_eq!(
        (&claims.subject, &claims.id[..]),
        (&id("planner"), "hop-1-uid")
    );
    assert_eq!((claims.depth, claims.max_depth), (1, 9));
    assert_eq!((claims.issued_at, claims.expires_at), (at(0), at(895)));
    assert_eq!(claims.requester.as_deref(), Some("alice@example.com"));
    assert_eq!(claims.task, agent("planner").task);
    assert_ready(&seen, true);
}

#[test]
fn a_hop_is_countersigned_below_its_parents_statement() {
    let seen = below(&granted(root()));
    let Proposal { first, claims } = proposal(&seen);
    assert_eq!(first, None);
    let above = seen.parent_chain().unwrap().leaf();
    assert_eq!(claims.parent, Some(*above.digest()));
    assert_eq!(claims.delegator, Some(id("planner")));
    assert_eq!((&claims.subject, claims.depth), (&id("reader"), 2));
    assert_eq!(claims.owner, "alice");
    assert_ready(&seen, true);
}

#[test]
fn status_shows_depth_root_both_agents_and_what_is_in_effect() {
    let mut seen = below(&granted(root()));
    delegate(&mut seen).grants = vec![grant("*", "ledger/invoices")];
    let plan = plan(&seen);
    let shown = &plan.status.as_ref().unwrap().shown;
    assert_eq!(shown.depth, Some(2));
    assert_eq!(shown.grants, [grant("read", "ledger/invoices")], "of both");
    let root = shown.root.as_ref().unwrap();
    assert_eq!(
        (&root.delegation.name[..], &root.uid[..]),
        ("hop-1", "hop-1-uid")
    );
    assert_eq!(
        (&root.owner[..], &root.owner_uid[..]),
        ("alice", "alice-uid")
    );
    assert_eq!(shown.delegator.as_deref(), Some(id("planner").as_str()));
    assert_eq!(shown.delegate.as_deref(), Some(id("reader").as_str()));
    assert_eq!(
        message(&plan),
        "hop 2 from owner alice, countersigned by trust domain example.org"
    );
}

#[test]
fn what_a_delegate_may_not_do_itself_is_not_in_effect_and_that_is_said() {
    let mut seen = root();
    delegate(&mut seen).grants = vec![grant("pay", "bills/*")];
    let plan = plan(&seen);
    assert!(plan.status.as_ref().unwrap().shown.grants.is_empty());
    assert!(message(&plan).contains("nothing of it is in effect"));
}

#[test]
fn an_expiry_is_cut_to_the_earliest_that_bounds_it() {
    let ends = |change: fn(&mut Observed)| proposal(&with(root(), change)).claims.expires_at;
    assert_eq!(ends(|it| it.delegation.expires_after_seconds = 60), at(55));
    assert_eq!(ends(|it| it.domain.max_lifetime_seconds = 100), at(95));
    assert_eq!(ends(|it| delegate(it).deadline = Some(at(50))), at(50));
    assert_eq!(ends(|it| delegate(it).deadline = Some(at(5000))), at(895));
    let long = |it: &mut Observed| it.delegation.expires_after_seconds = u64::MAX;
    assert_eq!(ends(long), at(i64::try_from(MAX_LIFE).unwrap() - 5));
    let short = granted(with(root(), |it| it.delegation.expires_after_seconds = 60));
    let hop = below(&short);
    assert_eq!(hop.delegation.expires_after_seconds, LIFE);
    assert_eq!(proposal(&hop).claims.expires_at, at(55), "its parent's");
}

#[test]
fn a_deadline_within_a_second_is_cut_to_the_whole_one() {
    let nanos = jiff::SignedDuration::from_millis(50_400);
    let seen = with(root(), |it| delegate(it).deadline = Some(at(0) + nanos));
    assert_eq!(proposal(&seen).claims.expires_at, at(50));
    assert_ready(&seen, true);
}

#[test]
fn a_depth_is_cut_to_its_parents() {
    let shallow = granted(with(root(), |it| it.delegation.max_depth = 1));
    let hop = with(below(&shallow), |it| it.delegation.max_depth = 15);
    assert_eq!(proposal(&hop).claims.max_depth, 2);
    let deep = with(root(), |it| it.delegation.max_depth = 255);
    assert_eq!(proposal(&deep).claims.max_depth, MAX_DEPTH);
}

#[test]
fn sixteen_hops_are_as_deep_as_it_goes() {
    let mut seen = granted(with(root(), |it| it.delegation.max_depth = 15));
    for hop in 2..=17_u8 {
        let mut next = below(&with(seen.clone(), |it| it.recorded.shown.depth = Some(1)));
        let name = format!("agent-{hop}");
        next.delegation.uid = format!("hop-{hop}-uid");
        next.delegation.to = super::fixture::name(&name);
        next.delegation.max_depth = 15;
        next.delegate = super::super::observed::AgentSeen::Found(agent(&name));
        if hop == 17 {
            super::fixture::assert_held(&next, "Stalled", "TooDeep");
        } else {
            seen = granted(next);
            assert_eq!(seen.recorded.shown.depth, Some(hop));
        }
    }
}

#[test]
fn what_was_countersigned_is_kept_as_it_is() {
    for seen in [granted(root()), granted_hop()] {
        for seconds in [0, 1, 894] {
            let later = with(seen.clone(), |it| it.now = at(seconds));
            assert_ready(&later, false);
            let plan = plan(&later);
            assert_eq!(
                plan.again,
                Some(at(895)),
                "nothing is left until it expires"
            );
            let status = plan.status.unwrap();
            assert_eq!(status.statements, seen.recorded.statements);
            assert_eq!(status.issued, Some(at(0)));
        }
    }
}

#[test]
fn when_more_is_allowed_afterwards_it_is_kept() {
    let seen = with(granted(root()), |it| {
        if let DelegatorSeen::Owner(OwnerSeen::Found { grants, .. }) = &mut it.delegator {
            grants.push(grant("pay", "bills/*"));
        }
        it.domain.max_lifetime_seconds = 100_000;
        delegate(it).deadline = Some(at(90_000));
    });
    assert_ready(&seen, false);
}

#[test]
fn when_less_time_is_left_it_is_countersigned_anew() {
    let seen = with(granted(root()), |it| {
        it.now = at(10);
        delegate(it).deadline = Some(at(100));
    });
    assert_ready(&seen, true);
    let claims = proposal(&seen).claims;
    assert_eq!((claims.issued_at, claims.expires_at), (at(10), at(100)));
}

#[test]
fn a_parent_countersigned_anew_takes_its_children_along() {
    let mut above = granted(root());
    let child = granted(below(&above));
    // Somebody took its statement out of its status.
    above.recorded.statements.clear();
    above.recorded.chain = None;
    above.now = at(5);
    let above = granted(above);
    let seen = with(child.clone(), |it| {
        it.now = at(6);
        it.parent = as_parent(&above);
    });
    assert_ready(&seen, true);
    let anew = granted(seen);
    assert_ne!(anew.recorded.digest, child.recorded.digest);
    assert_eq!(
        anew.recorded.chain.unwrap().leaf().claims().parent,
        above.recorded.digest
    );
}

#[test]
fn once_a_key_is_distrusted_the_next_one_countersigns_all_from_the_root_down() {
    let mut above = granted(root());
    let mut child = granted(below(&above));
    above.recorded.chain = NEXT_RING.verified(&above.recorded.statements, at(0));
    child.recorded.chain = NEXT_RING.verified(&child.recorded.statements, at(0));
    assert_eq!(
        (&above.recorded.chain, &child.recorded.chain),
        (&None, &None)
    );
    child.parent = as_parent(&above);
    super::fixture::assert_held(&child, "Reconciling", "ParentNotReady");

    let again = plan(&above);
    apply_with(&mut above, &again, &NEXT_RING, None).unwrap();
    child.parent = as_parent(&above);
    let anew = plan(&child);
    assert!(anew.grant.is_some(), "{anew:?}");
    apply_with(&mut child, &anew, &NEXT_RING, None).unwrap();
    let chain = child.recorded.chain.as_ref().unwrap();
    assert_eq!(chain.hops().len(), 3);
    assert_eq!(plan(&child).grant, None, "once");
}

#[test]
fn an_altered_status_is_put_right() {
    let seen = granted_hop();
    let good = plan(&seen).status.unwrap();
    let altered = with(seen.clone(), |it| {
        let recorded = &mut it.recorded;
        recorded.shown = Default::default();
        recorded.digest = Some(countersign_statement::Digest::from_bytes([9; 32]));
        recorded.expires = Some(at(890));
        recorded.issued = None;
    });
    let status = plan(&altered).status.unwrap();
    assert_eq!(status, good, "by what was signed");
}

#[test]
fn another_delegations_chain_in_its_status_is_not_its_own() {
    let other = granted(with(root(), |it| {
        "other-uid".clone_into(&mut it.delegation.uid)
    }));
    let seen = with(granted(root()), |it| {
        it.recorded.statements = other.recorded.statements;
        it.recorded.chain = other.recorded.chain;
    });
    assert_ready(&seen, true);
}

#[test]
fn a_wider_statement_of_its_own_in_its_status_is_replaced() {
    let wide = granted(root());
    let narrow = with(root(), |it| {
        it.delegation.grants = vec![grant("read", "ledger/invoices")]
    });
    let seen = with(narrow, |it| it.recorded = wide.recorded);
    assert_ready(&seen, true);
    assert_eq!(
        proposal(&seen).claims.grants,
        [grant("read", "ledger/invoices")]
    );
}

#[test]
fn the_clock_of_another_replica_may_be_a_little_ahead() {
    let ahead = granted(with(root(), |it| it.now = at(3)));
    let seen = with(below(&ahead), |it| it.now = at(0));
    assert_ready(&seen, true);
    assert_eq!(
        proposal(&seen).claims.issued_at,
        at(3),
        "not before its parent"
    );
    assert_ready(&granted(seen), false);
}

#[test]
fn what_is_written_is_what_is_read_back() {
    let seen = granted_hop();
    let before = written(&seen, &plan(&seen), &RING, None).unwrap();
    assert_eq!(recorded(&before, &RING, seen.now), seen.recorded);
    assert_eq!(before.ancestors.len(), 2);
    assert!(before.statement.is_some());
    assert_eq!(before.depth, Some(2));
}

#[test]
fn a_delegate_without_a_trust_domain_is_waited_for() {
    let mut seen = root();
    seen.domain = DomainSeen {
        name: None,
        max_lifetime_seconds: 0,
        ready: Ok(()),
    };
    super::fixture::assert_held(&seen, "Reconciling", "TrustDomainNotReady");
    let seen = passed(seen);
    let mut hop = below(&with(seen.clone(), |it| it.recorded.shown.depth = Some(1)));
    assert_eq!(parent(&mut hop).chain, None);
    super::fixture::assert_held(&hop, "Reconciling", "ParentNotReady");
}
