//! An explanation for people.

use super::advice::Agent;
use super::model::Why;
use crate::text::{clean, time};
use crate::trail::Hop;

/// A bar at 100, in characters.
const BAR: usize = 20;

/// As lines.
pub(crate) fn text(why: &Why) -> String {
    let verdict = if why.allowed { "allowed" } else { "denied" };
    let mut lines = vec![clean(&format!(
        "{verdict}: {} on {} ({})",
        why.action, why.resource, why.reason
    ))];
    if !why.explanation.is_empty() {
        lines.push(format!("  {}", clean(&why.explanation)));
    }
    if let Some(allow) = &why.not_given_out {
        lines.push(clean(&format!(
            "  record {allow} allows it: it was not known to be stored in time, and was never given out"
        )));
    }
    lines.extend(who(why));
    lines.extend(authority(why));
    lines.extend(policies(why));
    lines.extend(risk(why));
    if !why.advice.is_empty() {
        lines.push("what to do".to_owned());
        lines.push(format!("  {}", clean(&why.advice)));
    }
    lines.extend(why.gaps.iter().map(|it| format!("missing: {}", clean(it))));
    lines.join("\n")
}

fn field(name: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| format!("  {name:<14}{}", clean(value)))
}

fn who(why: &Why) -> Vec<String> {
    let named = why.identity.as_ref().map(|it| it.name.clone());
    let named = named.unwrap_or_else(|| agent(why.spiffe_id.as_deref().unwrap_or_default()));
    let or_none = |it: &Option<String>| it.clone().unwrap_or_default();
    let fields = [
        ("decision", why.id.clone()),
        ("when", time(why.time)),
        ("agent", named),
        ("SPIFFE ID", or_none(&why.spiffe_id)),
        ("certificate", or_none(&why.serial_number)),
        ("owner", or_none(&why.owner)),
        ("requested by", or_none(&why.requester)),
        ("data", why.sensitivity.clone()),
        ("asked by", why.caller.clone()),
        ("request", or_none(&why.request_id)),
        ("record", why.record.clone()),
    ];
    let lines = fields.iter();
    lines
        .filter_map(|(name, value)| field(name, value))
        .collect()
}

fn authority(why: &Why) -> Vec<String> {
    let Some(held) = &why.delegation else {
        return vec!["on its own authority, within its owner's grants".to_owned()];
    };
    let mut lines = vec![format!(
        "on the authority of a delegation {} from its owner, until {}",
        hops(held.depth),
        time(held.expires)
    )];
    lines.extend(field("statement", &held.digest));
    lines.extend(why.chain.iter().map(|hop| clean(&one_line(hop))));
    lines
}

fn hops(depth: u8) -> String {
    match depth {
        1 => "1 hop".to_owned(),
        more => format!("{more} hops"),
    }
}

fn one_line(hop: &Hop) -> String {
    let mut line = format!(
        "  hop {}  {}: {} to {}",
        hop.depth,
        hop.delegation,
        agent(&hop.from),
        agent(&hop.to)
    );
    if let Some(requester) = &hop.requester {
        line.push_str(&format!(", asked for by {requester}"));
    }
    if let Some(end) = &hop.end {
        let moment = end
            .time
            .map_or_else(String::new, |it| format!(" at {}", time(it)));
        line.push_str(&format!(", ended{moment} ({})", end.reason));
    }
    line
}

/// `namespace/name` of a SPIFFE ID; other text as it is.
fn agent(text: &str) -> String {
    let known = text.starts_with("spiffe://").then(|| Agent::of(Some(text)));
    match known {
        Some(it) if it.namespace != "NAMESPACE" && it.name != "NAME" => {
            format!("{}/{}", it.namespace, it.name)
        }
        _ => text.to_owned(),
    }
}

fn policies(why: &Why) -> Vec<String> {
    let mut lines = vec![match why.policies.as_slice() {
        [] => "no policy decided it".to_owned(),
        _ => "decided by".to_owned(),
    }];
    lines.extend(why.policies.iter().map(|it| format!("  {}", clean(it))));
    lines.extend(field("policy set", &why.policy_set));
    if !why.would_deny.is_empty() {
        lines.push("would be denied by, were their mode Enforce".to_owned());
        lines.extend(why.would_deny.iter().map(|it| format!("  {}", clean(it))));
    }
    if !why.obligations.is_empty() {
        lines.push(format!(
            "to be done along with it: {}",
            clean(&why.obligations.join(", "))
        ));
    }
    lines
}

fn risk(why: &Why) -> Vec<String> {
    let mut lines = vec![format!(
        "risk {} of 100, anomaly {} of 100",
        why.risk, why.anomaly
    )];
    let kinds = why.risk_parts.iter().map(|it| clean(&it.kind));
    let kinds: Vec<String> = kinds.collect();
    let widest = kinds.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    for (part, kind) in why.risk_parts.iter().zip(&kinds) {
        let line = format!(
            "  {kind:<widest$}  {:>3} {}  {}",
            part.score,
            bar(part.score),
            clean(&part.why)
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Of a score from 0 to 100: what is more than nothing shows.
pub(crate) fn bar(score: u8) -> String {
    let full = (usize::from(score.min(100)) * BAR).div_ceil(100);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}
