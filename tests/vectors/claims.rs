//! Claims that one statement alone shows to be wrong.

use serde_json::json;

use crate::story::{Draft, T0, chain, text};
use crate::vector::Vector;

pub(crate) fn vectors() -> Vec<Vector> {
    let mut all = written();
    all.extend(values());
    all
}

/// One thing about the claims of one hop.
pub(crate) fn broken(
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

/// How they are written.
fn written() -> Vec<Vector> {
    let cases: [(&str, &str, &str, &str); 15] = [
        (
            "claim-twice",
            "two ends: readers would differ in which counts",
            "\"exp\":",
            "\"exp\":9999999999,\"exp\":",
        ),
        (
            "claim-twice-by-escape",
            "the same name, written otherwise",
            "\"exp\":",
            "\"\\u0065xp\":9999999999,\"exp\":",
        ),
        (
            "member-twice-in-a-grant",
            "two lists of actions",
            "\"actions\":",
            "\"actions\":[\"read\"],\"actions\":",
        ),
        (
            "unknown-claim",
            "a claim that isn't known",
            "\"exp\":",
            "\"nbf\":0,\"exp\":",
        ),
        (
            "unknown-member-of-a-grant",
            "RFC 9396 has it, this format hasn't",
            "\"actions\":",
            "\"locations\":[],\"actions\":",
        ),
        (
            "unknown-member-of-a-task",
            "a member that isn't known",
            "\"resource\":",
            "\"kind\":\"Job\",\"resource\":",
        ),
        (
            "null-claim",
            "null is not absent",
            "\"requester\":\"system:serviceaccount:finance:planner\"",
            "\"requester\":null",
        ),
        (
            "time-with-a-fraction",
            "times are whole seconds",
            "\"exp\":1794817800",
            "\"exp\":1794817800.0",
        ),
        (
            "time-with-an-exponent",
            "integers have no exponent",
            "\"exp\":1794817800",
            "\"exp\":17948178e2",
        ),
        (
            "time-as-text",
            "a string is no time",
            "\"exp\":1794817800",
            "\"exp\":\"1794817800\"",
        ),
        (
            "negative-depth",
            "a depth below 0",
            "\"del_depth\":2",
            "\"del_depth\":-2",
        ),
        (
            "minus-zero",
            "-0 is no integer here",
            "\"iat\":1794816060",
            "\"iat\":-0",
        ),
        (
            "lone-surrogate",
            "half of a character",
            "\"owner\":\"alice\"",
            "\"owner\":\"alice\\ud800\"",
        ),
        ("trailing-text", "more behind the object", "}", "}}"),
        (
            "not-a-number",
            "no JSON, though some take it",
            "\"del_depth\":2",
            "\"del_depth\":NaN",
        ),
    ];
    let mut all: Vec<Vector> = cases
        .into_iter()
        .map(|(name, description, from, to)| {
            broken(name, description, 2, "bad-claims", |draft| {
                if name == "trailing-text" {
                    draft.payload = Some(text(&draft.claims) + "}");
                } else {
                    draft.rewrite(from, to);
                }
            })
        })
        .collect();
    all.push(broken(
        "claims-no-object",
        "an empty array",
        2,
        "bad-claims",
        |draft| {
            draft.payload = Some("[]".to_owned());
        },
    ));
    all
}

/// Values that are none, each at hop 2.
fn values() -> Vec<Vector> {
    let long = |length| json!("x".repeat(length));
    let sub = |text: &str| json!(text);
    let cases = [
        ("no-jti", "an empty jti", "/jti", json!(""), "bad-claims"),
        (
            "long-jti",
            "a jti of 521 bytes",
            "/jti",
            long(521),
            "bad-claims",
        ),
        (
            "long-owner",
            "an owner of 1,025 bytes",
            "/owner",
            long(1025),
            "bad-claims",
        ),
        (
            "long-requester",
            "a requester of 1,026 bytes in 513 characters",
            "/requester",
            json!("é".repeat(513)),
            "bad-claims",
        ),
        (
            "long-task",
            "a task's name of 1,025 bytes",
            "/task/name",
            long(1025),
            "bad-claims",
        ),
        (
            "iss-not-spiffe",
            "an issuer with another scheme",
            "/iss",
            sub("https://example.org"),
            "bad-claims",
        ),
        (
            "iss-with-a-path",
            "an issuer is a trust domain",
            "/iss",
            sub("spiffe://example.org/a"),
            "bad-claims",
        ),
        (
            "iss-in-capitals",
            "a trust domain has no capitals",
            "/iss",
            sub("spiffe://Example.org"),
            "bad-claims",
        ),
        (
            "sub-without-path",
            "a delegate is not a trust domain",
            "/sub",
            sub("spiffe://example.org"),
            "bad-claims",
        ),
        (
            "sub-that-leads-elsewhere",
            "a segment that is ..",
            "/sub",
            sub("spiffe://example.org/ns/../agent"),
            "bad-claims",
        ),
        (
            "sub-with-an-empty-segment",
            "two slashes",
            "/sub",
            sub("spiffe://example.org/ns//agent"),
            "bad-claims",
        ),
        (
            "sub-with-an-escape",
            "percent signs are not of SPIFFE IDs",
            "/sub",
            sub("spiffe://example.org/ns/a%2fb"),
            "bad-claims",
        ),
        (
            "long-sub",
            "a SPIFFE ID of 2,049 bytes",
            "/sub",
            json!(format!("spiffe://example.org/{}", "x".repeat(2028))),
            "bad-claims",
        ),
        (
            "sub-of-another-trust-domain",
            "a delegate of another trust domain than iss",
            "/sub",
            sub("spiffe://example.com/ns/finance/agent/a"),
            "bad-claims",
        ),
        (
            "sub-of-a-longer-trust-domain",
            "one whose name begins the same",
            "/sub",
            sub("spiffe://example.org.example.com/a"),
            "bad-claims",
        ),
        (
            "sub-of-an-owner",
            "an owner is no delegate",
            "/sub",
            sub("spiffe://example.org/owner/bob"),
            "bad-claims",
        ),
        (
            "par-hash-short",
            "42 characters",
            "/par_hash",
            long(42),
            "bad-claims",
        ),
        (
            "par-hash-in-hex",
            "hex is no digest here",
            "/par_hash",
            json!("0".repeat(64)),
            "bad-claims",
        ),
        (
            "par-hash-non-canonical",
            "its last character has bits set that aren't used",
            "/par_hash",
            json!("_".repeat(43)),
            "bad-claims",
        ),
        (
            "negative-iat",
            "from before 1970",
            "/iat",
            json!(-1),
            "bad-claims",
        ),
        (
            "exp-out-of-range",
            "beyond the year 9999",
            "/exp",
            json!(253_402_207_201_i64),
            "bad-claims",
        ),
        (
            "depth-of-256",
            "more than a depth can be",
            "/del_max_depth",
            json!(256),
            "bad-claims",
        ),
        (
            "other-type-of-detail",
            "an authorization detail of another kind",
            "/authorization_details/0/type",
            json!("account_information"),
            "bad-claims",
        ),
        (
            "grant-as-object",
            "grants are an array",
            "/authorization_details",
            json!({}),
            "bad-claims",
        ),
        (
            "action-as-number",
            "actions are strings",
            "/authorization_details/0/actions/0",
            json!(1),
            "bad-claims",
        ),
        (
            "no-lifetime",
            "it ends when it begins",
            "/exp",
            json!(T0 + 60),
            "no-lifetime",
        ),
        (
            "ends-before-it-begins",
            "exp before iat",
            "/exp",
            json!(T0),
            "no-lifetime",
        ),
        (
            "max-depth-of-17",
            "deeper than any chain goes",
            "/del_max_depth",
            json!(17),
            "too-deep",
        ),
        (
            "depth-beyond-its-own",
            "deeper than it allows itself",
            "/del_max_depth",
            json!(1),
            "too-deep",
        ),
    ];
    let mut all: Vec<Vector> = cases
        .into_iter()
        .map(|(name, description, place, value, category)| {
            broken(name, description, 2, category, |draft| {
                *draft.claims.pointer_mut(place).unwrap() = value.clone();
            })
        })
        .collect();
    let grant = json!({"type": "countersign_grant", "actions": ["read"], "resources": ["ledger/invoices/2026/1"], "constraints": {"maxDataClass": "Public"}});
    let place = |member| match member {
        "grants" => "/authorization_details",
        "actions" => "/authorization_details/0/actions",
        "resources" => "/authorization_details/0/resources",
        _ => "/authorization_details/0/constraints/audiences",
    };
    let many = [
        ("grants", 65, grant),
        ("actions", 33, json!("read")),
        ("resources", 65, json!("ledger/invoices/2026/1")),
        ("audiences", 33, json!("finance")),
    ];
    for (member, count, value) in many {
        let name = format!("many-{member}");
        let description = format!("{count} {member}");
        all.push(broken(&name, &description, 2, "bad-claims", |draft| {
            draft.claims["authorization_details"][0]["constraints"]["audiences"] = json!([]);
            *draft.claims.pointer_mut(place(member)).unwrap() = json!(vec![value.clone(); count]);
        }));
    }
    all
}
