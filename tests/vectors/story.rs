//! Whom the vectors are about: alice, her planner, its reader of invoices, and who writes the
//! report.

use serde_json::{Value, json};

use crate::keys::{Key, STATEMENTS, digest_of, encode};
use crate::vector::sorted;

pub(crate) const TRUST_DOMAIN: &str = "example.org";
/// 2026-11-16T08:00:00Z.
pub(crate) const T0: i64 = 1_794_816_000;
/// Five minutes later.
pub(crate) const NOW: i64 = T0 + 300;

/// A statement before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) claims: Value,
    pub(crate) key: Key,
    /// JSON; absent, the key's own.
    pub(crate) header: Option<String>,
    /// Instead of the claims.
    pub(crate) payload: Option<String>,
}

/// `count` statements that are as they should be but for what `edit` does to each.
pub(crate) fn chain(count: usize, edit: impl FnMut(usize, &mut Draft)) -> Vec<String> {
    signed(drafts(count), edit)
}

/// Edits and signs them from the first on; a `par_hash` is filled in where there should be one.
pub(crate) fn signed(drafts: Vec<Draft>, mut edit: impl FnMut(usize, &mut Draft)) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    for (hop, mut draft) in drafts.into_iter().enumerate() {
        if let Some(parent) = statements.last() {
            draft.claims["par_hash"] = json!(encode(&digest_of(parent)));
        }
        edit(hop, &mut draft);
        statements.push(draft.sign());
    }
    statements
}

impl Draft {
    fn new(claims: Value) -> Self {
        Self {
            claims,
            key: STATEMENTS,
            header: None,
            payload: None,
        }
    }

    pub(crate) fn sign(self) -> String {
        let header = self.header.unwrap_or_else(|| self.key.header());
        let payload = self.payload.unwrap_or_else(|| text(&self.claims));
        self.key.sign(&header, payload.as_bytes())
    }

    /// Changes the payload's text.
    pub(crate) fn rewrite(&mut self, from: &str, to: &str) {
        let text = self.payload.take().unwrap_or_else(|| text(&self.claims));
        assert!(text.contains(from), "{from} is not in {text}");
        self.payload = Some(text.replacen(from, to, 1));
    }
}

/// Claims as they are signed here.
pub(crate) fn text(claims: &Value) -> String {
    sorted(claims.clone()).to_string()
}

/// The first `count` hops of the story, or of a longer chain of agents that do the same.
pub(crate) fn drafts(count: usize) -> Vec<Draft> {
    let hop = if count <= 4 { hop_of_the_story } else { agent };
    (0..count).map(|depth| Draft::new(hop(depth))).collect()
}

fn hop_of_the_story(depth: usize) -> Value {
    let grant = |actions: &[&str], resource: &str, constraints: Value| {
        let mut grant = json!({
            "type": "countersign_grant", "actions": actions, "resources": [resource],
        });
        if constraints != json!({}) {
            grant["constraints"] = constraints;
        }
        json!([grant])
    };
    let (name, begin, end, most, grants) = match depth {
        0 => return owner(),
        1 => (
            "planner",
            0,
            3600,
            3,
            grant(&["read", "list"], "ledger/invoices/*", json!({})),
        ),
        2 => (
            "invoice-reader",
            60,
            1800,
            3,
            grant(
                &["read", "list"],
                "ledger/invoices/2026/*",
                json!({"maxDataClass": "Confidential"}),
            ),
        ),
        _ => (
            "report-writer",
            120,
            1020,
            3,
            grant(
                &["read"],
                "ledger/invoices/2026/11/*",
                json!({"maxDataClass": "Internal", "maxCalls": 500}),
            ),
        ),
    };
    let mut claims = below(depth, name, grants);
    claims["iat"] = json!(T0 + begin);
    claims["exp"] = json!(T0 + end);
    claims["del_max_depth"] = json!(most);
    claims
}

/// Hop 0.
fn owner() -> Value {
    json!({
        "iss": "spiffe://example.org",
        "sub": "spiffe://example.org/owner/alice",
        "jti": format!("{}/{}", uid("a11ce000", 0), uid("de1e0000", 1)),
        "iat": T0,
        "exp": T0 + 3600,
        "del_depth": 0,
        "del_max_depth": 16,
        "authorization_details": [
            {"type": "countersign_grant", "actions": ["read", "list"], "resources": ["ledger/*"]},
            {"type": "countersign_grant", "actions": ["serve"], "resources": ["ledger"]},
        ],
        "owner": "alice",
        "requester": "alice@example.com",
    })
}

/// A hop of a chain in which each hands on all it has.
fn agent(depth: usize) -> Value {
    if depth == 0 {
        return owner();
    }
    let grants = json!([
        {"type": "countersign_grant", "actions": ["read"], "resources": ["ledger/invoices/*"]},
    ]);
    let mut claims = below(depth, &format!("agent-{depth}"), grants);
    if depth > 1 {
        claims["delegator"] = json!(spiffe_id(&format!("agent-{}", depth - 1), depth - 1));
    }
    claims
}

fn below(depth: usize, name: &str, grants: Value) -> Value {
    let delegator = match depth {
        1 => "spiffe://example.org/owner/alice".to_owned(),
        2 => spiffe_id("planner", 1),
        _ => spiffe_id("invoice-reader", 2),
    };
    let requester = if depth == 1 {
        "alice@example.com".to_owned()
    } else {
        "system:serviceaccount:finance:planner".to_owned()
    };
    json!({
        "iss": "spiffe://example.org",
        "sub": spiffe_id(name, depth),
        "delegator": delegator,
        "jti": uid("de1e0000", depth),
        "iat": T0,
        "exp": T0 + 3600,
        "del_depth": depth,
        "del_max_depth": 16,
        "authorization_details": grants,
        "owner": "alice",
        "task": {
            "group": "batch", "resource": "jobs", "namespace": "finance", "name": "reconcile-2026-11",
            "uid": uid("7a5c0000", 0),
        },
        "requester": requester,
    })
}

/// The ID of the agent at this depth.
pub(crate) fn spiffe_id(name: &str, depth: usize) -> String {
    format!(
        "spiffe://example.org/ns/finance/agent/{name}/task/{}/{}",
        uid("7a5c0000", 0),
        uid("1de00000", depth)
    )
}

fn uid(first: &str, number: usize) -> String {
    format!("{first}-0000-4000-8000-{number:012}")
}
