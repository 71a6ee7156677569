//! Claims and constraints that don't belong where they are, or are missing.

use serde_json::{Value, json};

use crate::claims::broken;
use crate::story::{Draft, spiffe_id};
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let mut all = places();
    all.extend(constraints());
    all.extend(arrays());
    all
}

/// Claims that are there or absent where they shouldn't be.
fn places() -> Vec<Vector> {
    let mut all = Vec::new();
    for name in [
        "iss",
        "sub",
        "jti",
        "iat",
        "exp",
        "del_depth",
        "del_max_depth",
        "authorization_details",
        "owner",
        "par_hash",
        "delegator",
        "task",
    ] {
        all.push(broken(
            &format!("without-{}", name.replace('_', "-")),
            &format!("a hop without {name}"),
            2,
            "bad-claims",
            |draft| {
                draft.claims.as_object_mut().unwrap().remove(name);
            },
        ));
    }
    let task = json!({"group": "", "resource": "pods", "namespace": "a", "name": "a", "uid": "a"});
    let at_hop_0 = [
        ("par_hash", json!("A".repeat(43))),
        ("delegator", json!("spiffe://example.org/owner/alice")),
        ("task", task),
        ("statement", json!("anything")),
    ];
    for (name, value) in at_hop_0 {
        all.push(broken(
            &format!("hop-0-with-{}", name.replace('_', "-")),
            &format!("hop 0 with {name}"),
            0,
            "bad-claims",
            |draft| draft.claims[name] = value.clone(),
        ));
    }
    let sub = |text: &str| {
        let text = text.to_owned();
        move |draft: &mut Draft| draft.claims["sub"] = json!(text)
    };
    all.push(broken(
        "hop-0-of-an-agent",
        "an agent's grants as the beginning",
        0,
        "bad-claims",
        sub(&spiffe_id("planner", 1)),
    ));
    all.push(broken(
        "hop-0-of-another-owner",
        "sub is bob, owner alice",
        0,
        "bad-claims",
        sub("spiffe://example.org/owner/bob"),
    ));
    all.push(broken(
        "owner-with-a-slash",
        "an owner's name is one segment",
        0,
        "bad-claims",
        |draft| {
            draft.claims["owner"] = json!("alice/bob");
            draft.claims["sub"] = json!("spiffe://example.org/owner/alice/bob");
        },
    ));
    all
}

/// Constraints that nobody could keep.
fn constraints() -> Vec<Vector> {
    let cases = [
        (
            "unknown-constraint",
            "who doesn't know a bound can't keep it",
            json!({"maxDataClass": "Public", "maxAmount": 5}),
        ),
        (
            "constraint-by-another-name",
            "names are exact",
            json!({"max_calls": 5}),
        ),
        (
            "unknown-data-class",
            "a class that isn't known",
            json!({"maxDataClass": "Secret"}),
        ),
        (
            "data-class-in-small-letters",
            "values are exact",
            json!({"maxDataClass": "public"}),
        ),
        (
            "null-constraint",
            "null might mean none or no bound",
            json!({"maxDataClass": "Public", "maxCalls": null}),
        ),
        (
            "negative-calls",
            "fewer calls than none",
            json!({"maxCalls": -1}),
        ),
        (
            "calls-with-a-fraction",
            "half a call",
            json!({"maxCalls": 1.5}),
        ),
        (
            "not-after-with-a-fraction",
            "whole seconds only",
            json!({"notAfter": "2026-11-30T18:00:00.5Z"}),
        ),
        (
            "not-after-with-an-offset",
            "UTC only",
            json!({"notAfter": "2026-11-30T18:00:00+00:00"}),
        ),
        (
            "not-after-on-no-day",
            "30 February",
            json!({"notAfter": "2026-02-30T18:00:00Z"}),
        ),
        (
            "not-after-leap-second",
            "a second that most clocks haven't",
            json!({"notAfter": "2016-12-31T23:59:60Z"}),
        ),
        (
            "not-after-in-small-letters",
            "one spelling only",
            json!({"notAfter": "2026-11-30t18:00:00z"}),
        ),
        (
            "audience-as-text",
            "audiences are an array",
            json!({"audiences": "finance"}),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, description, constraints)| {
            broken(name, description, 2, "bad-claims", |draft| {
                draft.claims["authorization_details"][0]["constraints"] = constraints.clone();
            })
        })
        .collect()
}

/// Objects in other clothes: some libraries read a struct from an array too.
fn arrays() -> Vec<Vector> {
    let grants = |grant: Value| {
        move |draft: &mut Draft| draft.claims["authorization_details"] = json!([grant])
    };
    vec![
        broken(
            "task-as-array",
            "a task's members without their names",
            2,
            "bad-claims",
            |draft| {
                draft.claims["task"] = json!(["batch", "jobs", "finance", "a", "b"]);
            },
        ),
        broken(
            "grant-as-array",
            "a grant's members without their names",
            2,
            "bad-claims",
            grants(
                json!(["countersign_grant", ["read"], ["ledger/invoices/2026/1"], {"maxDataClass": "Public"}]),
            ),
        ),
        broken(
            "type-as-object",
            "a word as an object",
            2,
            "bad-claims",
            grants(
                json!({"type": {"countersign_grant": null}, "actions": ["read"], "resources": ["ledger/invoices/2026/1"], "constraints": {"maxDataClass": "Public"}}),
            ),
        ),
        broken(
            "class-as-object",
            "a word as an object",
            2,
            "bad-claims",
            grants(
                json!({"type": "countersign_grant", "actions": ["read"], "resources": ["ledger/invoices/2026/1"], "constraints": {"maxDataClass": {"Public": null}}}),
            ),
        ),
        broken(
            "constraints-as-array",
            "constraints without their names",
            2,
            "bad-claims",
            grants(
                json!({"type": "countersign_grant", "actions": ["read"], "resources": ["ledger/invoices/2026/1"], "constraints": ["Public", [], "2026-11-30T18:00:00Z", 1]}),
            ),
        ),
        broken(
            "claims-as-array",
            "claims without their names",
            2,
            "bad-claims",
            |draft| {
                let claims = &draft.claims;
                let names = [
                    "iss",
                    "sub",
                    "delegator",
                    "jti",
                    "iat",
                    "exp",
                    "del_depth",
                    "del_max_depth",
                    "par_hash",
                    "authorization_details",
                    "owner",
                    "task",
                    "requester",
                ];
                let mut values: Vec<&Value> = names.iter().map(|&it| &claims[it]).collect();
                let none = json!("x");
                values.push(&none);
                draft.payload = Some(json!(values).to_string());
            },
        ),
    ]
}
