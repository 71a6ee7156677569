//! Grants that widen, on each dimension.

use serde_json::{Value, json};

use crate::story::chain;
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let mut all = paths();
    all.extend(constraints());
    let grant = |actions: Value, resources: Value, constraints: Value| {
        json!({
            "type": "countersign_grant", "actions": actions, "resources": resources,
            "constraints": constraints,
        })
    };
    let cases = [
        (
            "action",
            "an action that the parent hasn't",
            json!([grant(json!(["read", "write"]), json!(["a"]), json!({}))]),
        ),
        (
            "any-action",
            "* where the parent has two actions",
            json!([grant(json!(["*"]), json!(["a"]), json!({}))]),
        ),
        (
            "action-of-another-grant",
            "list is granted, but on b only",
            json!([grant(json!(["list"]), json!(["a"]), json!({}))]),
        ),
        (
            "second-grant",
            "the first is within, the second isn't",
            json!([
                grant(json!(["read"]), json!(["a"]), json!({})),
                grant(json!(["read"]), json!(["c"]), json!({})),
            ]),
        ),
    ];
    for (name, description, child) in cases {
        let parent = json!([
            grant(json!(["read"]), json!(["a"]), json!({})),
            grant(json!(["list"]), json!(["b"]), json!({})),
        ]);
        all.push(wider(name, description, parent, child));
    }
    // Two of the parent's grants, each of which has the one constraint less strict.
    let parent = json!([
        grant(json!(["read"]), json!(["a"]), json!({"maxCalls": 5})),
        grant(
            json!(["read"]),
            json!(["a"]),
            json!({"maxDataClass": "Public"})
        ),
    ]);
    all.push(wider(
        "constraint-of-neither",
        "two grants of the parent never add up: one bounds the calls, the other the class, the child neither",
        parent,
        json!([grant(json!(["read"]), json!(["a"]), json!({}))]),
    ));
    all
}

/// Hop 2 against hop 1, whose owner may do anything.
fn wider(name: &str, description: &str, parent: Value, child: Value) -> Vector {
    let all = json!([{"type": "countersign_grant", "actions": ["*"], "resources": ["*"]}]);
    let grants = [all, parent, child];
    let statements = chain(3, |hop, draft| {
        draft.claims["authorization_details"] = grants[hop].clone();
    });
    Vector::broken(
        &format!("widens-{name}"),
        description,
        statements,
        2,
        "widens-grants",
    )
}

fn paths() -> Vec<Vector> {
    let grant = |resource: &str| json!([{"type": "countersign_grant", "actions": ["read"], "resources": [resource]}]);
    let cases = [
        ("path", "another path", "a/b", "a/c"),
        ("path-above", "a/* doesn't cover a", "a/*", "a"),
        (
            "path-prefix",
            "a segment is whole: a/b doesn't cover a/bc",
            "a/b",
            "a/bc",
        ),
        (
            "path-below",
            "a/b doesn't cover what is below it",
            "a/b",
            "a/b/c",
        ),
        (
            "path-one-segment",
            "a * in the middle is one segment",
            "a/*/c",
            "a/b/b/c",
        ),
        (
            "path-last-star",
            "a last * stands for more than one segment",
            "a/*/c",
            "a/*",
        ),
        (
            "path-star-below",
            "* below stands for more than b",
            "a/b",
            "a/*",
        ),
        (
            "path-star-in-a-segment",
            "a * within a segment is a character",
            "a/b*",
            "a/bc",
        ),
        ("path-case", "bytes are compared", "a/b", "a/B"),
        ("path-dots", "nothing is resolved", "a/b", "a/c/../b"),
        ("path-slash", "an empty segment is a segment", "a/b", "a/b/"),
    ];
    cases
        .into_iter()
        .map(|(name, description, parent, child)| {
            wider(name, description, grant(parent), grant(child))
        })
        .collect()
}

fn constraints() -> Vec<Vector> {
    let grant = |constraints: Value| {
        json!([{
            "type": "countersign_grant", "actions": ["read"], "resources": ["a"],
            "constraints": constraints,
        }])
    };
    let above = json!({
        "maxDataClass": "Internal", "audiences": ["b", "a"], "notAfter": "2026-11-30T18:00:00Z",
        "maxCalls": 10,
    });
    let cases = [
        ("data-class", "maxDataClass", json!("Confidential")),
        ("audience", "audiences", json!(["a", "c"])),
        ("not-after", "notAfter", json!("2026-11-30T18:00:01Z")),
        ("calls", "maxCalls", json!(11)),
    ];
    let mut all = Vec::new();
    for (name, member, more) in cases {
        let mut child = above.clone();
        child[member] = more;
        all.push(wider(
            name,
            &format!("{member} is less strict than above"),
            grant(above.clone()),
            grant(child.clone()),
        ));
        child.as_object_mut().unwrap().remove(member);
        all.push(wider(
            &format!("{name}-absent"),
            &format!("{member} is bounded above and not here"),
            grant(above.clone()),
            grant(child),
        ));
    }
    all
}
