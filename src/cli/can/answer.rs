//! A decision point's answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::clean;
use crate::why::{Agent, advice};

/// Source: OpenID AuthZEN Authorization API 1.0, section 5.5 (Decision). What isn't known is kept for
/// `-o json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) decision: bool,
    #[serde(default)]
    pub(super) context: Context,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What this decision point says beside; another's may say anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) explanation: String,
    pub(super) policies: Vec<String>,
    pub(super) obligations: Vec<Obligation>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) risk: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Obligation {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// As lines, about the agent with this SPIFFE ID.
pub(super) fn text(answer: &Answer, spiffe_id: &str, explain: bool) -> String {
    let context = &answer.context;
    let verdict = if answer.decision { "yes" } else { "no" };
    let mut lines = vec![match context.reason.as_str() {
        "" => verdict.to_owned(),
        reason => format!("{verdict} ({})", clean(reason)),
    }];
    if !context.explanation.is_empty() {
        lines.push(format!("  {}", clean(&context.explanation)));
    }
    let mut field = |name: &str, values: &[String]| {
        if !values.is_empty() {
            lines.push(format!("  {name:<14}{}", clean(&values.join(", "))));
        }
    };
    field("policies", &context.policies);
    let obligations = context.obligations.iter().map(|it| it.kind.clone());
    field("obligations", &obligations.collect::<Vec<_>>());
    if explain {
        field("risk", &risk(&context.risk));
    }
    if !context.id.is_empty() {
        field("decision", std::slice::from_ref(&context.id));
    }
    let advice = advice(&context.reason, &Agent::of(Some(spiffe_id)), false);
    if explain && !context.reason.is_empty() && !advice.is_empty() {
        lines.push("what to do".to_owned());
        lines.push(format!("  {}", clean(&advice)));
    }
    lines.join("\n")
}

/// A number, or an object with parts.
fn risk(value: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_u64().map(|it| it.to_string());
    let Value::Object(risk) = value else {
        return number(value).into_iter().collect();
    };
    let named = |name: &str| Some(format!("{name} {}", number(risk.get(name)?)?));
    let mut shown: Vec<String> = ["risk", "anomaly"].into_iter().filter_map(named).collect();
    let parts = risk.get("parts").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        let kind = part.get("kind").and_then(Value::as_str);
        let score = part.get("score").and_then(number);
        if let (Some(kind), Some(score)) = (kind, score) {
            shown.push(format!("{kind} {score}"));
        }
    }
    shown
}
