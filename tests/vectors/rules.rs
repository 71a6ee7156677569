//! Hops that don't follow the one above, each well signed.

use serde_json::{Value, json};

use crate::keys::{digest_of, encode};
use crate::story::{Draft, T0, chain, drafts, signed, spiffe_id};
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let set = |name: &'static str, value: Value| {
        move |draft: &mut Draft| draft.claims[name] = value.clone()
    };
    let mut all = vec![
        broken(
            "other-trust-domain",
            "a whole chain of example.com, signed by our key",
            0,
            "other-trust-domain",
            |draft| {
                draft.claims["iss"] = json!("spiffe://example.com");
                draft.claims["sub"] = json!("spiffe://example.com/owner/alice");
            },
        ),
        broken(
            "other-trust-domain-below",
            "hop 2 is of example.com",
            2,
            "other-trust-domain",
            |draft| {
                draft.claims["iss"] = json!("spiffe://example.com");
                draft.claims["sub"] = json!("spiffe://example.com/a");
                draft.claims["delegator"] = json!("spiffe://example.com/b");
            },
        ),
        broken(
            "another-delegator",
            "the delegator is not the delegate above",
            2,
            "delegator",
            set("delegator", json!(spiffe_id("ledger", 9))),
        ),
        broken(
            "another-owner",
            "bob answers for hop 2",
            2,
            "other-owner",
            set("owner", json!("bob")),
        ),
        broken(
            "one-deeper",
            "depth 3 below depth 1",
            2,
            "depth",
            set("del_depth", json!(3)),
        ),
        broken(
            "as-deep",
            "depth 1 below depth 1",
            2,
            "depth",
            set("del_depth", json!(1)),
        ),
        broken(
            "max-depth-widened",
            "hop 2 allows one more below than hop 1",
            2,
            "widens-depth",
            set("del_max_depth", json!(4)),
        ),
        broken(
            "expiry-widened",
            "hop 2 ends a second after hop 1",
            2,
            "widens-expiry",
            set("exp", json!(T0 + 3601)),
        ),
        broken(
            "before-its-parent",
            "hop 2 was issued a second before hop 1",
            2,
            "before-parent",
            set("iat", json!(T0 - 1)),
        ),
        broken(
            "to-itself",
            "the delegate is the delegator",
            2,
            "cycle",
            set("sub", json!(spiffe_id("planner", 1))),
        ),
    ];
    all.extend(linkage());
    all.extend(depth());
    all.extend(ids());
    all
}

fn broken(
    name: &str,
    description: &str,
    bad: usize,
    category: &str,
    edit: impl Fn(&mut Draft),
) -> Vector {
    let statements = chain(3, |hop, draft| {
        if hop == bad {
            edit(draft);
        }
    });
    Vector::broken(name, description, statements, bad, category)
}

/// Hops of another chain, which are as good as those here.
fn linkage() -> Vec<Vector> {
    let good = chain(4, |_, _| {});
    let other = chain(4, |_, draft| {
        draft.claims["requester"] = json!("bob@example.com")
    });
    let pick = |from: &[&[String]]| -> Vec<String> { from.concat() };
    let of_the_whole = chain(3, |hop, draft| {
        if hop == 2 {
            // As if all of the parent were its signing input.
            draft.claims["par_hash"] = json!(encode(&digest_of(&format!("{}.", good[1]))));
        }
    });
    vec![
        Vector::broken(
            "hop-of-another-chain",
            "hop 2 follows another hop 1",
            pick(&[&good[..2], &other[2..3]]),
            2,
            "parent-hash",
        ),
        Vector::broken(
            "root-of-another-chain",
            "hop 0 was replaced",
            pick(&[&other[..1], &good[1..]]),
            1,
            "parent-hash",
        ),
        Vector::broken(
            "hop-left-out",
            "hop 2 is missing",
            pick(&[&good[..2], &good[3..]]),
            2,
            "parent-hash",
        ),
        Vector::broken(
            "hops-swapped",
            "hops 1 and 2 the other way round",
            pick(&[&good[..1], &good[2..3], &good[1..2], &good[3..]]),
            1,
            "parent-hash",
        ),
        Vector::broken(
            "hop-twice",
            "hop 2 follows itself",
            pick(&[&good[..3], &good[2..3]]),
            3,
            "parent-hash",
        ),
        Vector::broken(
            "hash-with-the-signature",
            "par_hash is the hash of the parent's whole text, signature included",
            of_the_whole,
            2,
            "parent-hash",
        ),
        Vector::broken(
            "no-root",
            "it begins at hop 1",
            good[1..].to_vec(),
            0,
            "no-root",
        ),
        Vector::broken(
            "root-twice",
            "hop 0 follows hop 0",
            pick(&[&good[..1], &good[..1]]),
            1,
            "parent-hash",
        ),
    ]
}

fn depth() -> Vec<Vector> {
    let too_deep = chain(4, |hop, draft| {
        if hop == 1 || hop == 2 {
            draft.claims["del_max_depth"] = json!(2);
        }
    });
    vec![Vector::broken(
        "deeper-than-allowed",
        "hop 1 allows one more below it, and there are two",
        too_deep,
        3,
        "too-deep",
    )]
}

/// Subjects and IDs of hops further above.
fn ids() -> Vec<Vector> {
    let of_above = |name: &'static str, above: usize, at: usize| {
        let all = drafts(4);
        signed(all.clone(), move |hop, draft| {
            if hop == at {
                draft.claims[name] = all[above].claims[name].clone();
            }
        })
    };
    vec![
        Vector::broken(
            "cycle",
            "hop 3 gives back to the planner of hop 1",
            of_above("sub", 1, 3),
            3,
            "cycle",
        ),
        Vector::broken(
            "jti-of-its-parent",
            "the jti of the hop above",
            of_above("jti", 1, 2),
            2,
            "reused-id",
        ),
        Vector::broken(
            "jti-of-an-ancestor",
            "the jti of a hop further above",
            of_above("jti", 1, 3),
            3,
            "reused-id",
        ),
    ]
}
