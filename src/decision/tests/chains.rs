//! Chains of delegations: whose they are, and when they end.

use super::fixture::*;
use crate::*;

fn brought(bed: &Bed) -> Question {
    Question {
        authority: Some(Authority::Statements(bed.hops[2].statements.clone())),
        ..bed.question(3)
    }
}

/// A change after which the chain must deny, by its digest and brought along, whatever was
/// remembered; and after which what it undoes allows again.
fn denies(reason: Reason, change: impl Fn(&Bed), undo: impl Fn(&Bed)) {
    let bed = Bed::new();
    assert_eq!(bed.by_chain(), Reason::Permitted);
    assert_eq!(bed.ask(&brought(&bed)).reason, Reason::Permitted);
    change(&bed);
    assert_eq!(bed.by_chain(), reason);
    assert_eq!(bed.ask(&brought(&bed)).reason, reason);
    undo(&bed);
    assert_eq!(bed.by_chain(), Reason::Permitted);
    assert_eq!(bed.ask(&brought(&bed)).reason, Reason::Permitted);
}

#[test]
fn a_deleted_delegation_denies_all_below_it() {
    let restore = |hop: usize| move |bed: &Bed| bed.world().put_hop(bed.hops[hop].clone());
    denies(
        Reason::DelegationEnded,
        |bed| bed.world().remove_hop("d-1"),
        restore(0),
    );
    denies(
        Reason::DelegationEnded,
        |bed| bed.world().remove_hop("d-2"),
        restore(1),
    );
    denies(
        Reason::UnknownDelegation,
        |bed| bed.world().remove_hop("d-3"),
        restore(2),
    );
}

#[test]
fn a_hop_that_is_over_or_suspended_denies_all_below_it() {
    for hop in 0..3 {
        let state = |state| {
            move |bed: &Bed| {
                let facts = bed.hops[hop].clone();
                bed.world().put_hop(HopFacts { state, ..facts });
            }
        };
        let active = state(HopState::Active);
        denies(Reason::DelegationEnded, state(HopState::Ended), active);
        denies(
            Reason::DelegationSuspended,
            state(HopState::Suspended),
            active,
        );
        let ends_now = move |bed: &Bed| {
            bed.world().put_hop(HopFacts {
                expires: start(),
                ..bed.hops[hop].clone()
            });
        };
        denies(Reason::DelegationEnded, ends_now, active);
    }
}

#[test]
fn an_agent_above_that_may_not_act_denies_all_below_it() {
    let restore = |hop| move |bed: &Bed| bed.world().put_identity(identity(hop));
    for hop in [1, 2] {
        let uid = format!("i-{hop}");
        denies(
            Reason::DelegationEnded,
            |bed| bed.world().remove_identity(&uid),
            restore(hop),
        );
        let put = |change: &'static dyn Fn(&mut IdentityFacts)| {
            move |bed: &Bed| {
                let mut identity = identity(hop);
                change(&mut identity);
                bed.world().put_identity(identity);
            }
        };
        let suspended = put(&|it| it.state = IdentityState::Suspended);
        denies(Reason::DelegationSuspended, suspended, restore(hop));
        let ended = put(&|it| it.state = IdentityState::Ended);
        denies(Reason::DelegationEnded, ended, restore(hop));
        let over = put(&|it| it.deadline = Some(start()));
        denies(Reason::DelegationEnded, over, restore(hop));
        let orphaned = put(&|it| it.owner = "bob".to_owned());
        denies(Reason::DelegationEnded, orphaned, restore(hop));
        // One of the same name that was made anew isn't the one that handed on.
        let replaced = put(&|it| it.uid = "i-9".to_owned());
        denies(
            Reason::DelegationEnded,
            |bed| {
                bed.world().remove_identity(&uid);
                replaced(bed);
            },
            restore(hop),
        );
    }
}

#[test]
fn nothing_is_told_of_the_agents_above() {
    let bed = Bed::new();
    bed.world().put_identity(IdentityFacts {
        state: IdentityState::Suspended,
        ..identity(1)
    });
    let answer = bed.ask(&bed.chained());
    assert_eq!(answer.reason, Reason::DelegationSuspended);
    assert!(
        !answer.explanation.contains("agent-1"),
        "{}",
        answer.explanation
    );
}

#[test]
fn the_owner_of_the_root_is_the_one_who_delegated() {
    // The agents have an owner of their own, who stays.
    let set = |bed: &Bed| {
        bed.world().put_owner(owner("bob"));
        for hop in 1..=3 {
            bed.world().put_identity(IdentityFacts {
                owner: "bob".to_owned(),
                ..identity(hop)
            });
        }
    };
    let restore = |bed: &Bed| bed.world().put_owner(owner("alice"));
    denies(
        Reason::OwnerGone,
        |bed| {
            set(bed);
            bed.world().remove_owner("alice");
        },
        restore,
    );
    denies(
        Reason::OwnerGone,
        |bed| {
            set(bed);
            bed.world().put_owner(OwnerFacts {
                uid: "o-another".to_owned(),
                ..owner("alice")
            });
        },
        restore,
    );
    denies(
        Reason::OwnerGone,
        |bed| {
            set(bed);
            bed.world().put_owner(OwnerFacts {
                active: false,
                ..owner("alice")
            });
        },
        restore,
    );
}

#[test]
fn a_revoked_statement_denies_all_below_it() {
    for hop in 0..=3 {
        let bed = Bed::new();
        let digest = match hop {
            0 => zero_of(&bed.hops[0]),
            hop => bed.hops[hop - 1].digest,
        };
        assert_eq!(bed.by_chain(), Reason::Permitted);
        bed.world().revoke_statement(digest, after(3600));
        assert_eq!(bed.by_chain(), Reason::DelegationEnded, "hop {hop}");
        assert_eq!(bed.ask(&brought(&bed)).reason, Reason::DelegationEnded);
        assert_eq!(bed.own(), Reason::Permitted);
    }
}

#[test]
fn a_denial_names_the_chain_for_the_log() {
    let bed = Bed::new();
    bed.world()
        .revoke_statement(zero_of(&bed.hops[0]), after(3600));
    let agent = bed.ask(&bed.chained()).agent.unwrap();
    assert_eq!(agent.delegation, Some(bed.hops[2].digest));
    assert_eq!(agent.root, Some(zero_of(&bed.hops[0])));
    assert_eq!(agent.requester.as_deref(), Some("root@example.org"));
    bed.world().remove_hop("d-2");
    let agent = bed.ask(&bed.chained()).agent.unwrap();
    assert_eq!(agent.delegation, Some(bed.hops[2].digest));
    assert_eq!(agent.delegation_uid.as_deref(), Some("d-3"));
    assert_eq!(agent.root, None);
}

#[test]
fn somebody_elses_chain_is_refused() {
    let bed = Bed::new();
    for hop in [1, 2] {
        let by_digest = Question {
            authority: Some(Authority::Digest(bed.hops[2].digest)),
            ..bed.question(hop)
        };
        assert_eq!(bed.ask(&by_digest).reason, Reason::NotTheDelegate);
        let brought = Question {
            authority: Some(Authority::Statements(bed.hops[2].statements.clone())),
            ..bed.question(hop)
        };
        assert_eq!(bed.ask(&brought).reason, Reason::NotTheDelegate);
    }
    // Nor does an identity count that took its name.
    bed.world().remove_identity("i-3");
    bed.world().put_identity(IdentityFacts {
        uid: "i-9".to_owned(),
        ..identity(3)
    });
    assert_eq!(bed.by_chain(), Reason::NotTheDelegate);
}

#[test]
fn a_shorter_part_of_a_chain_is_its_delegates() {
    let bed = Bed::new();
    let question = Question {
        authority: Some(Authority::Statements(bed.hops[1].statements.clone())),
        ..bed.question(2)
    };
    let answer = bed.ask(&question);
    assert_eq!(answer.reason, Reason::Permitted, "{answer:?}");
    assert_eq!(answer.agent.unwrap().depth, 2);
    // Hop 0 alone is nobody's.
    let zero = bed.hops[0].statements[..1].to_vec();
    let question = Question {
        authority: Some(Authority::Statements(zero)),
        ..bed.question(1)
    };
    assert_eq!(bed.ask(&question).reason, Reason::UnknownDelegation);
}

#[test]
fn a_chain_that_nobody_knows_is_refused_however_well_signed() {
    let bed = Bed::new();
    let other = bed.chain(|claims| claims.id = format!("{}-other", claims.id));
    let question = Question {
        authority: Some(Authority::Statements(other[2].statements.clone())),
        ..bed.question(3)
    };
    assert_eq!(bed.ask(&question).reason, Reason::UnknownDelegation);
    let question = Question {
        authority: Some(Authority::Digest(other[2].digest)),
        ..bed.question(3)
    };
    assert_eq!(bed.ask(&question).reason, Reason::UnknownDelegation);
}

#[test]
fn a_chain_that_does_not_verify_is_refused() {
    let bed = Bed::new();
    let reason = |statements: Vec<String>| {
        let question = Question {
            authority: Some(Authority::Statements(statements)),
            ..bed.question(3)
        };
        bed.ask(&question).reason
    };
    let good = bed.hops[2].statements.clone();
    let mut without_one = good.clone();
    without_one.remove(1);
    let mut turned = good.clone();
    turned.reverse();
    let mut forged = good.clone();
    forged[3].replace_range(100..101, "A");
    forged[3].replace_range(101..102, "B");
    for statements in [
        Vec::new(),
        without_one,
        turned,
        forged,
        vec![String::new()],
        vec!["a".repeat(16 * 1024 + 1)],
        vec!["a.b.c".to_owned(); 100_000],
    ] {
        assert_eq!(reason(statements), Reason::BadChain);
    }
    assert_eq!(reason(good), Reason::Permitted);
}

#[test]
fn keys_that_are_no_longer_trusted_sign_nothing() {
    let bed = Bed::new();
    assert_eq!(bed.by_chain(), Reason::Permitted);
    let domain = bed.trust_domain();
    let other = Bed::new().trust_domain().keys;
    bed.world().put_trust_domain(TrustDomainFacts {
        keys: other,
        ..domain.clone()
    });
    assert_eq!(bed.by_chain(), Reason::BadChain);
    bed.world().put_trust_domain(domain);
    assert_eq!(bed.by_chain(), Reason::Permitted);
}

#[test]
fn facts_that_do_not_fit_the_statements_are_refused() {
    let changes: [&dyn Fn(&mut HopFacts); 4] = [
        &|it| it.delegator_uid = Some("i-3".to_owned()),
        &|it| it.delegator_uid = None,
        &|it| it.parent_uid = None,
        &|it| it.root_owner.0 = "bob".to_owned(),
    ];
    for change in changes {
        let bed = Bed::new();
        bed.world().put_owner(owner("bob"));
        let mut hop = bed.hops[1].clone();
        change(&mut hop);
        bed.world().put_hop(hop);
        assert_eq!(bed.by_chain(), Reason::BadChain);
    }
    // A circle ends.
    let bed = Bed::new();
    bed.world().put_hop(HopFacts {
        parent_uid: Some("d-3".to_owned()),
        ..bed.hops[0].clone()
    });
    assert_eq!(bed.by_chain(), Reason::DelegationEnded);
}

#[test]
fn a_chain_ends_with_its_statements() {
    let bed = Bed::new();
    bed.world().put_identity(IdentityFacts {
        certificate: Some(CurrentCertificate {
            serial_number: "03".to_owned(),
            not_after: after(7200),
        }),
        ..identity(3)
    });
    let question = Question {
        certificate: Some(bed.issue(&agent(3), start(), 7200)),
        ..bed.chained()
    };
    assert_eq!(bed.ask_at(&question, after(3599)).reason, Reason::Permitted);
    let answer = bed.ask_at(&question, after(3600));
    assert_eq!(answer.reason, Reason::DelegationEnded);
}
