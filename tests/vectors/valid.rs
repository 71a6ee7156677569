//! Chains that are good.

use serde_json::{Value, json};

use crate::keys::{self, RETIRED, RETIRED_AT};
use crate::story::{Draft, NOW, T0, chain, text};
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let mut all = lengths();
    all.extend(grants());
    all.extend(times());
    all.extend(forms());
    all
}

/// `count` edited hops, of which the last one's claims are expected.
fn good(
    name: &str,
    description: &str,
    count: usize,
    mut edit: impl FnMut(usize, &mut Draft),
) -> Vector {
    let mut leaf = Value::Null;
    let statements = chain(count, |hop, draft| {
        edit(hop, draft);
        leaf = draft.claims.clone();
    });
    Vector::valid(name, description, statements, &leaf)
}

fn lengths() -> Vec<Vector> {
    let of = |name, description, count| good(name, description, count, |_, _| {});
    vec![
        of("one-statement", "hop 0 alone: what an owner may hand on", 1),
        of(
            "three-statements",
            "an owner, a planner, a reader of invoices",
            3,
        ),
        of(
            "the-story",
            "narrower at each hop, with constraints: that of examples/60-delegations.yaml",
            4,
        ),
        of("seventeen-statements", "as deep as a chain goes", 17),
    ]
}

fn grants() -> Vec<Vector> {
    let detail = |actions: Value, resources: Value| json!({"type": "countersign_grant", "actions": actions, "resources": resources});
    vec![
        good(
            "grants-equal",
            "a hop with all that its parent has, its depth and its end too",
            3,
            |hop, draft| {
                if hop > 0 {
                    draft.claims["authorization_details"] =
                        json!([detail(json!(["read"]), json!(["ledger/*"]))]);
                    draft.claims["iat"] = json!(T0);
                    draft.claims["exp"] = json!(T0 + 3600);
                    draft.claims["del_max_depth"] = json!(16);
                }
            },
        ),
        good(
            "grants-of-two",
            "one grant of the child lies partly within the one, partly within the other of its parent",
            3,
            |hop, draft| {
                if hop == 1 {
                    draft.claims["authorization_details"] = json!([
                        detail(json!(["read"]), json!(["ledger/invoices/*"])),
                        detail(json!(["read"]), json!(["ledger/orders/*/lines"])),
                    ]);
                }
                if hop == 2 {
                    draft.claims["authorization_details"] = json!([detail(
                        json!(["read"]),
                        json!([
                            "ledger/invoices/7",
                            "ledger/orders/7/lines",
                            "ledger/orders/*/lines"
                        ]),
                    )]);
                }
            },
        ),
        good(
            "grants-any-action",
            "* stands for any action, and for *; the last * of a path for all segments below, another one for one",
            3,
            |hop, draft| {
                let (action, resource) = [("*", "*"), ("*", "a/*/c/*"), ("read", "a/b/c/d/e")][hop];
                draft.claims["authorization_details"] =
                    json!([detail(json!([action]), json!([resource]))]);
            },
        ),
        good(
            "grants-each-constraint",
            "each constraint as it is above, and then stricter",
            4,
            |hop, draft| {
                let constraints = [
                    json!({"maxDataClass": "Restricted", "audiences": ["a", "b", "c"], "notAfter": "2026-11-30T18:00:00Z", "maxCalls": 10}),
                    json!({"maxDataClass": "Restricted", "audiences": ["c", "b", "a", "a"], "notAfter": "2026-11-30T18:00:00Z", "maxCalls": 10}),
                    json!({"maxDataClass": "Confidential", "audiences": ["b"], "notAfter": "2026-11-30T17:59:59Z", "maxCalls": 9}),
                    json!({"maxDataClass": "Public", "audiences": [], "notAfter": "2024-02-29T00:00:00Z", "maxCalls": 0}),
                ];
                let mut grant = detail(json!(["read"]), json!(["ledger/*"]));
                grant["constraints"] = constraints[hop].clone();
                draft.claims["authorization_details"] = json!([grant]);
            },
        ),
        good(
            "grants-none",
            "a delegate that may do nothing; its parent's empty constraints constrain nothing",
            3,
            |hop, draft| {
                if hop == 1 {
                    draft.claims["authorization_details"][0]["constraints"] = json!({});
                }
                if hop == 2 {
                    draft.claims["authorization_details"] = json!([]);
                }
            },
        ),
    ]
}

fn times() -> Vec<Vector> {
    let retired = |iat: i64| {
        move |hop: usize, draft: &mut Draft| {
            if hop <= 1 {
                draft.key = RETIRED;
                draft.claims["iat"] = json!(T0);
            }
            if hop == 1 {
                draft.claims["iat"] = json!(iat);
            }
        }
    };
    vec![
        good(
            "key-rotated",
            "hops 0 and 1 are signed by a key that was retired later, hop 2 by the next one",
            3,
            retired(T0 + 10),
        ),
        good(
            "key-retired-that-second",
            "hop 1 was issued in the second in which its key was retired",
            3,
            retired(RETIRED_AT),
        ),
        good("last-second", "a second before it expires", 3, |_, _| {}).at(T0 + 1799),
        good(
            "clock-ahead",
            "hop 2 was issued 60 seconds after now: so much may clocks differ",
            3,
            |_, _| {},
        )
        .at(T0),
    ]
}

fn forms() -> Vec<Vector> {
    let mut other_keys = keys::bundle();
    other_keys["keys"].as_array_mut().unwrap().extend([
        json!({"use": "jwt-svid", "kty": "EC", "kid": "of others", "crv": "P-256", "x": "-", "y": "-"}),
        json!({"use": "countersign-some-day", "kty": "AKP", "kid": "later"}),
        json!({"kty": "oct"}),
    ]);
    vec![
        good(
            "members-in-any-order",
            "the claims' members in another order, with white space and escapes: only the header has one form",
            3,
            |hop, draft| {
                if hop == 2 {
                    let text = text(&draft.claims);
                    draft.payload = Some(format!("\n{text}\t"));
                    draft.rewrite("\"sub\":", "\"\\u0073ub\" : ");
                    draft.rewrite("alice", "\\u0061lice");
                }
            },
        ),
        good("no-requester", "nobody knows who asked", 3, |_, draft| {
            draft.claims.as_object_mut().unwrap().remove("requester");
        }),
        good(
            "agent-statement-left-alone",
            "the delegator's own statement counts as what the trust domain countersigned it for, where it isn't verified",
            3,
            |hop, draft| {
                if hop == 2 {
                    draft.claims["statement"] = json!("anything");
                }
            },
        ),
        good(
            "keys-for-others",
            "keys of another use are skipped",
            3,
            |_, _| {},
        )
        .with_bundle(other_keys)
        .at(NOW),
    ]
}
