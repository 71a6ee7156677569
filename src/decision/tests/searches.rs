//! What would be allowed.

use super::fixture::*;
use crate::*;

fn search() -> Search {
    Search {
        agent: Some(agent(1)),
        action: Some("read".to_owned()),
        resource: Some(ResourceRef {
            path: PATH.to_owned(),
            ..ResourceRef::default()
        }),
        resource_kind: None,
        authority: None,
        call: Call::default(),
        after: None,
        limit: 100,
    }
}

fn find(bed: &Bed, search: &Search) -> Found {
    bed.engine.search(&trusted(), search, start())
}

#[test]
fn agents_are_found_in_their_order_page_by_page() {
    let bed = Bed::new();
    bed.world().put_identity(IdentityFacts {
        state: IdentityState::Suspended,
        ..identity(2)
    });
    let mut wanted = Search {
        agent: None,
        ..search()
    };
    let found = find(&bed, &wanted);
    assert_eq!(found.results, [agent(1), agent(3)]);
    assert_eq!(found.next, None);
    wanted.limit = 1;
    let found = find(&bed, &wanted);
    assert_eq!(
        (found.results, found.next),
        (vec![agent(1)], Some(agent(1)))
    );
    wanted.after = Some(agent(1));
    let found = find(&bed, &wanted);
    assert_eq!((found.results, found.next), (vec![agent(3)], None));
}

#[test]
fn actions_are_those_of_grants() {
    let bed = Bed::new();
    let wanted = Search {
        action: None,
        ..search()
    };
    assert_eq!(find(&bed, &wanted).results, ["list", "read"]);
    let permit = "permit (principal, action == Countersign::Action::\"read\", resource);";
    bed.world().set_policies(policies(&[("read", permit)]));
    assert_eq!(find(&bed, &wanted).results, ["read"]);
    let any = grants(serde_json::json!([{"actions": ["*"], "resources": ["ledger/*"]}]));
    bed.world().put_identity(IdentityFacts {
        grants: any.clone(),
        ..identity(1)
    });
    bed.world().put_owner(OwnerFacts {
        grants: any,
        ..owner("alice")
    });
    bed.world().set_policies(policies(&[("all", PERMIT_ALL)]));
    let found = find(&bed, &wanted).results;
    assert!(
        found.len() > 10 && found.contains(&"delete".to_owned()),
        "{found:?}"
    );
}

#[test]
fn resources_are_those_that_have_a_name() {
    let bed = Bed::new();
    let named = serde_json::json!([{"actions": ["read"],
        "resources": ["ledger/*", "ledger/b", "ledger/a", "docs/handbook"]}]);
    bed.world().put_identity(IdentityFacts {
        grants: grants(named),
        ..identity(1)
    });
    let wanted = Search {
        resource: None,
        ..search()
    };
    // Not the handbook: the owner doesn't have it.
    assert_eq!(find(&bed, &wanted).results, ["ledger/a", "ledger/b"]);
    let limited = Search { limit: 1, ..wanted };
    let found = find(&bed, &limited);
    assert_eq!(found.next.as_deref(), Some("ledger/a"));
}

#[test]
fn who_may_not_vouch_finds_nothing_and_neither_does_half_a_search() {
    let bed = Bed::new();
    let wanted = Search {
        agent: None,
        ..search()
    };
    let found = bed.engine.search(&caller(), &wanted, start());
    assert_eq!(found, Found::default());
    assert_eq!(find(&bed, &search()), Found::default());
    let nothing = Search {
        agent: None,
        action: None,
        ..search()
    };
    assert_eq!(find(&bed, &nothing), Found::default());
}

#[test]
fn a_search_counts_nothing() {
    let bed = Bed::new();
    let one = serde_json::json!([{"actions": ["read"], "resources": ["ledger/*"],
        "constraints": {"maxCalls": 1}}]);
    bed.world().put_identity(IdentityFacts {
        grants: grants(one),
        ..identity(1)
    });
    let wanted = Search {
        action: None,
        ..search()
    };
    for _ in 0..3 {
        assert_eq!(find(&bed, &wanted).results, ["read"]);
    }
    assert!(bed.engine.behaviour().is_empty());
    assert_eq!(bed.own(), Reason::Permitted);
    assert!(find(&bed, &wanted).results.is_empty());
}

#[test]
fn a_page_looks_at_ten_thousand_and_says_where_to_go_on() {
    let bed = Bed::new();
    for number in 0..10_010 {
        bed.world().put_identity(IdentityFacts {
            uid: format!("n-{number}"),
            spiffe_id: format!("spiffe://example.org/a/{number:05}"),
            state: IdentityState::Ended,
            ..identity(1)
        });
    }
    let mut wanted = Search {
        agent: None,
        ..search()
    };
    let found = find(&bed, &wanted);
    assert!(found.results.is_empty());
    assert_eq!(found.next.as_deref(), Some("spiffe://example.org/a/09999"));
    wanted.after = found.next;
    assert_eq!(find(&bed, &wanted).results, [agent(1), agent(2), agent(3)]);
}
