//! Sets of grants: what narrows, and what two have in common, as the documentation has it.
//!
//! An input makes three sets of few words, so that they meet; with a bracket in front it is JSON.

#![no_main]

use countersign_core::{Constraints, DataClass, Grant, intersect, narrow, permits};
use countersign_fuzz::after;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

const ACTIONS: [&str; 4] = ["read", "write", "*", ""];
const SEGMENTS: [&str; 6] = ["a", "b", "*", "", ".", "ä*"];
const AUDIENCES: [&str; 3] = ["bank", "audit", ""];
/// More than these say the same again, and cost the square.
const MOST: usize = 8;

fuzz_target!(|data: &[u8]| {
    let sets = if data.first() == Some(&b'[') {
        serde_json::from_slice::<[Vec<Grant>; 3]>(data)
            .ok()
            .filter(|it| it.iter().all(|set| small(set)))
    } else {
        let mut input = Unstructured::new(data);
        let mut set = || set(&mut input);
        (|| Ok::<_, libfuzzer_sys::arbitrary::Error>([set()?, set()?, set()?]))().ok()
    };
    if let Some([a, b, c]) = sets {
        check(&a, &b, &c);
    }
});

fn check(a: &[Grant], b: &[Grant], c: &[Grant]) {
    let both = intersect(a, b);
    assert_eq!(narrow(a, a), Ok(()), "it lies within itself");
    assert_eq!(
        narrow(a, &both),
        Ok(()),
        "{a:?} and {b:?} have in common {both:?}"
    );
    assert_eq!(
        narrow(b, &both),
        Ok(()),
        "{a:?} and {b:?} have in common {both:?}"
    );
    let other = intersect(b, a);
    assert_eq!(
        narrow(&both, &other),
        Ok(()),
        "the order counts for nothing"
    );
    if narrow(a, b).is_ok() {
        assert_eq!(narrow(&both, b), Ok(()), "what lies within stays");
        if narrow(b, c).is_ok() {
            assert_eq!(narrow(a, c), Ok(()), "a chain narrows");
        }
    }
    if narrow(a, c).is_ok() && narrow(b, c).is_ok() {
        assert_eq!(narrow(&both, c), Ok(()), "no more lies within both");
    }
    bounded(a, b, &both);
    meaning(a, b, &both);
    for grants in [a, &both] {
        let text = serde_json::to_string(grants).expect("grants can be written");
        let read: Vec<Grant> = serde_json::from_str(&text).expect("and read");
        assert_eq!(read, grants);
    }
    if let Err(widening) = narrow(a, c) {
        assert!(widening.grant < c.len());
        assert!(!widening.to_string().is_empty());
    }
}

/// At most what is in each, and what each pair has.
fn bounded(a: &[Grant], b: &[Grant], both: &[Grant]) {
    let most = |one: usize, other: usize| one + other + one * other;
    assert!(both.len() <= most(a.len(), b.len()));
    let longest = |set: &[Grant]| set.iter().map(|it| it.resources.len()).max().unwrap_or(0);
    assert!(longest(both) <= most(longest(a), longest(b)));
}

/// Both allow what each allows, call by call.
fn meaning(a: &[Grant], b: &[Grant], both: &[Grant]) {
    for action in ["read", "write", "other", "*", ""] {
        for path in [
            "a", "b", "a/a", "a/b", "b/a", "a/b/a", "c", "*", "a/*", "a/.", "ä*", "",
        ] {
            let each = permits(a, action, path) && permits(b, action, path);
            assert_eq!(permits(both, action, path), each, "{action:?} on {path:?}");
        }
    }
}

fn set(input: &mut Unstructured<'_>) -> Result<Vec<Grant>> {
    let count = input.int_in_range(0..=3)?;
    (0..count).map(|_| grant(input)).collect()
}

fn grant(input: &mut Unstructured<'_>) -> Result<Grant> {
    let actions = words(input, &ACTIONS)?;
    let count = input.int_in_range(0..=3)?;
    let paths = (0..count).map(|_| Ok(words(input, &SEGMENTS)?.join("/")));
    Ok(Grant {
        actions,
        resources: paths.collect::<Result<_>>()?,
        constraints: constraints(input)?,
    })
}

fn constraints(input: &mut Unstructured<'_>) -> Result<Constraints> {
    let present: u8 = input.arbitrary()?;
    let classes = [
        DataClass::Public,
        DataClass::Internal,
        DataClass::Restricted,
    ];
    let there = |bit: u8| present & (1 << bit) != 0;
    Ok(Constraints {
        max_data_class: there(0)
            .then(|| input.choose(&classes).copied())
            .transpose()?,
        audiences: there(1).then(|| words(input, &AUDIENCES)).transpose()?,
        not_after: there(2)
            .then(|| input.int_in_range(0..=2).map(after))
            .transpose()?,
        max_calls: there(3).then(|| input.int_in_range(0..=2)).transpose()?,
    })
}

fn words(input: &mut Unstructured<'_>, from: &[&str]) -> Result<Vec<String>> {
    let count = input.int_in_range(0..=3)?;
    (0..count)
        .map(|_| Ok((*input.choose(from)?).to_owned()))
        .collect()
}

fn small(set: &[Grant]) -> bool {
    let small = |it: &Grant| it.actions.len() <= MOST && it.resources.len() <= MOST;
    set.len() <= MOST && set.iter().all(small)
}
