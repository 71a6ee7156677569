//! Narrowing is an order, intersection its greatest lower bound, and chains can't climb.

use std::slice::from_ref;

use proptest::prelude::*;

use super::super::{Constraints, Grant, Part, intersect, narrow};
use super::meaning::Meaning;
use super::{any_grant, grants, single};

fn within(parent: &[Grant], child: &[Grant]) -> bool {
    narrow(parent, child).is_ok()
}

/// What a delegator makes of its own grants.
#[derive(Debug, Clone)]
enum Step {
    /// Only what these have too.
    Within(Vec<Grant>),
    /// One more, which may widen.
    And(Grant),
    /// Without constraints, which may widen.
    Unbounded,
    /// Without the first.
    Fewer,
}

impl Step {
    fn taken(&self, mut from: Vec<Grant>) -> Vec<Grant> {
        match self {
            Self::Within(others) => from = intersect(&from, others),
            Self::And(grant) => from.push(grant.clone()),
            Self::Unbounded => {
                for grant in &mut from {
                    grant.constraints = Constraints::default();
                }
            }
            Self::Fewer => from = from.into_iter().skip(1).collect(),
        }
        from
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => grants().prop_map(Step::Within),
        2 => any_grant().prop_map(Step::And),
        1 => Just(Step::Unbounded),
        2 => Just(Step::Fewer),
    ]
}

/// The owner's grants first.
fn chain() -> impl Strategy<Value = Vec<Vec<Grant>>> {
    let owner = prop::collection::vec(any_grant(), 1..5);
    (owner, prop::collection::vec(step(), 1..6)).prop_map(|(owner, steps)| {
        let mut chain = vec![owner];
        for step in steps {
            let grants = step.taken(chain[chain.len() - 1].clone());
            chain.push(grants);
        }
        chain
    })
}

proptest! {
    #[test]
    fn narrowing_is_reflexive(a in grants()) {
        prop_assert!(within(&a, &a));
    }

    #[test]
    fn narrowing_is_transitive(a in single(), b in single(), c in single()) {
        let (a, b, c) = ([a], [b], [c]);
        if within(&a, &b) && within(&b, &c) {
            prop_assert!(within(&a, &c));
        }
    }

    #[test]
    fn narrowing_by_several_grants_is_transitive(
        a in grants(),
        b in grants(),
        c in grants(),
        narrowed in any::<bool>(),
    ) {
        let (b, c) = if narrowed {
            let b = intersect(&b, &a);
            let c = intersect(&c, &b);
            (b, c)
        } else {
            (b, c)
        };
        if within(&a, &b) && within(&b, &c) {
            prop_assert!(within(&a, &c));
        }
    }

    #[test]
    fn a_chain_that_widens_anywhere_is_refused_and_the_end_of_any_other_narrows_all_above(
        chain in chain(),
    ) {
        let meanings: Vec<Meaning> = chain.iter().map(|it| Meaning::of(it)).collect();
        let accepted = chain.windows(2).all(|hop| within(&hop[0], &hop[1]));
        let climbs = meanings.windows(2).any(|hop| !hop[1].is_within(&hop[0]));
        prop_assert!(!(accepted && climbs));
        if accepted {
            let leaf = chain.len() - 1;
            for above in 0..leaf {
                prop_assert!(within(&chain[above], &chain[leaf]));
                prop_assert!(meanings[leaf].is_within(&meanings[above]));
            }
        }
    }

    #[test]
    fn what_is_said_to_widen_does_so_alone(parent in grants(), child in grants()) {
        let Err(widening) = narrow(&parent, &child) else { return Ok(()) };
        let alone = Grant {
            actions: vec![widening.action.clone()],
            resources: vec![widening.resource.clone()],
            constraints: child[widening.grant].constraints.clone(),
        };
        let again = narrow(&parent, from_ref(&alone)).unwrap_err();
        prop_assert_eq!(&again.part, &widening.part);
        let unbounded: Vec<Grant> = parent
            .into_iter()
            .map(|it| Grant { constraints: Constraints::default(), ..it })
            .collect();
        let granted = within(&unbounded, &[alone]);
        prop_assert_eq!(granted, widening.part != Part::NotGranted);
    }

    #[test]
    fn an_intersection_is_within_both(a in grants(), b in grants()) {
        let both = intersect(&a, &b);
        prop_assert!(within(&a, &both));
        prop_assert!(within(&b, &both));
    }

    #[test]
    fn whatever_is_within_both_is_within_their_intersection(
        a in grants(),
        b in grants(),
        pool in prop::collection::vec(any_grant(), 0..32),
    ) {
        let lower: Vec<Grant> = pool
            .into_iter()
            .filter(|it| within(&a, from_ref(it)) && within(&b, from_ref(it)))
            .collect();
        prop_assert!(within(&intersect(&a, &b), &lower));
    }

    #[test]
    fn intersection_commutes_associates_and_is_idempotent(
        a in grants(),
        b in grants(),
        c in grants(),
    ) {
        let same = |one: &[Grant], other: &[Grant]| within(one, other) && within(other, one);
        prop_assert!(same(&intersect(&a, &b), &intersect(&b, &a)));
        prop_assert!(same(&intersect(&a, &a), &a));
        let left = intersect(&intersect(&a, &b), &c);
        let right = intersect(&a, &intersect(&b, &c));
        prop_assert!(same(&left, &right));
    }

    #[test]
    fn no_grant_of_an_intersection_lies_within_another(a in grants(), b in grants()) {
        let both = intersect(&a, &b);
        for (index, grant) in both.iter().enumerate() {
            for (other, above) in both.iter().enumerate() {
                let covered = within(from_ref(above), from_ref(grant));
                prop_assert!(index == other || !covered);
            }
        }
    }
}
