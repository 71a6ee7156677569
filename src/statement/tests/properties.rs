//! No chain that widens anywhere is accepted, and every one that doesn't is.

use countersign_core::{Constraints, DataClass, Grant, narrow};
use proptest::prelude::*;

use super::fixture::*;
use crate::Claims;

fn constraints() -> impl Strategy<Value = Constraints> {
    let class = prop::option::of(prop_oneof![
        Just(DataClass::Public),
        Just(DataClass::Internal),
        Just(DataClass::Restricted),
    ]);
    let audience = prop_oneof![Just("a"), Just("b")].prop_map(str::to_owned);
    let audiences = prop::option::of(prop::collection::vec(audience, 0..3));
    let not_after = prop::option::of((0i64..3).prop_map(|days| plus(start(), days * DAY)));
    let calls = prop::option::of(0u64..3);
    (class, audiences, not_after, calls).prop_map(
        |(max_data_class, audiences, not_after, max_calls)| Constraints {
            max_data_class,
            audiences,
            not_after,
            max_calls,
        },
    )
}

fn grant() -> impl Strategy<Value = Grant> {
    let action = prop_oneof![Just("read"), Just("write")].prop_map(str::to_owned);
    let segment = prop_oneof![Just("*"), Just("a"), Just("b")];
    let path = prop::collection::vec(segment, 1..3).prop_map(|it| it.join("/"));
    let words = prop::collection::vec(action, 1..3);
    (words, prop::collection::vec(path, 1..3), constraints()).prop_map(
        |(actions, resources, constraints)| Grant {
            actions,
            resources,
            constraints,
        },
    )
}

/// How a hop differs from the one above.
#[derive(Debug, Clone)]
struct Change {
    grants: Option<Vec<Grant>>,
    later: i64,
    begins: i64,
    deeper: i8,
}

fn change() -> impl Strategy<Value = Change> {
    let grants = prop::option::weighted(0.3, prop::collection::vec(grant(), 0..3));
    let mostly_nothing = prop_oneof![8 => Just(0i64), 3 => Just(-60), 1 => Just(1)];
    let begins = prop_oneof![8 => Just(0i64), 3 => Just(5), 1 => Just(-1)];
    let deeper = prop_oneof![8 => Just(0i8), 3 => Just(-1), 1 => Just(1)];
    (grants, mostly_nothing, begins, deeper).prop_map(|(grants, later, begins, deeper)| Change {
        grants,
        later,
        begins,
        deeper,
    })
}

/// The rules, said once more in other words, over the whole chain.
fn is_within(chain: &[Claims]) -> bool {
    chain.iter().enumerate().all(|(hop, claims)| {
        chain[..hop].iter().all(|above| {
            claims.expires_at <= above.expires_at
                && claims.issued_at >= above.issued_at
                && claims.max_depth <= above.max_depth
                && claims.depth <= above.max_depth
                && narrow(&above.grants, &claims.grants).is_ok()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_chain_is_accepted_exactly_if_no_hop_widens_any_above(
        root in prop::collection::vec(grant(), 1..3),
        max_depth in 3u8..=16,
        changes in prop::collection::vec(change(), 0..6),
    ) {
        let ring = ring();
        let signer = signer(&ring);
        let root = Claims { grants: root, max_depth, ..root_claims() };
        let mut statements = vec![signer.countersign(&root).unwrap()];
        for change in changes {
            let mut claims = below(statements.last().unwrap());
            claims.grants = change.grants.unwrap_or(claims.grants);
            claims.expires_at = plus(claims.expires_at, change.later);
            claims.issued_at = plus(claims.issued_at, change.begins);
            claims.max_depth = claims.max_depth.saturating_add_signed(change.deeper);
            // What contradicts itself isn't even signed.
            match signer.countersign(&claims) {
                Ok(statement) => statements.push(statement),
                Err(why) => {
                    prop_assert_eq!(why.category(), "too-deep");
                    break;
                }
            }
        }
        let all: Vec<Claims> = statements.iter().map(|it| it.claims().clone()).collect();
        let verified = verify(&texts(&statements), &ring.trusted().unwrap(), plus(start(), 60));
        prop_assert_eq!(verified.is_ok(), is_within(&all), "{:?}", verified.err());
    }
}
