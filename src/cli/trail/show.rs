//! A trail for people: one step on each line, back to who first allowed it.

use super::model::{Decided, End, Hop, Trail};
use crate::grants;
use crate::text::{clean, short, time};

/// As lines.
pub(crate) fn text(trail: &Trail, events: bool) -> String {
    let mut lines = Vec::new();
    if let Some(decision) = &trail.decision {
        lines.push(decided(decision));
    }
    if let Some(identity) = &trail.identity {
        lines.push(format!("agent {}", clean(&identity.name)));
        let mut field = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|it| !it.is_empty()) {
                lines.push(format!("  {name:<13}{}", clean(&value)));
            }
        };
        field("SPIFFE ID", Some(identity.spiffe_id.clone()));
        field("task", identity.task.clone());
        field("owner", identity.owner.clone());
        field("requested by", identity.requester.clone());
        field("since", identity.since.map(time));
        field("ended", identity.end.as_ref().map(end));
    }
    for (place, chain) in trail.chains.iter().enumerate() {
        if trail.chains.len() > 1 {
            lines.push(format!("chain {} of {}", place + 1, trail.chains.len()));
        }
        for hop in chain {
            lines.extend(hop_lines(hop));
        }
        lines.push(first(chain, trail.gaps.is_empty()));
    }
    if trail.chains.is_empty() && trail.identity.is_some() && trail.gaps.is_empty() {
        lines.push("no delegation: it acts on its own grants, within its owner's".to_owned());
    }
    if events && !trail.events.is_empty() {
        lines.push("records".to_owned());
        for it in &trail.events {
            let serial = it
                .serial
                .as_ref()
                .map_or_else(String::new, |it| format!("  serial {it}"));
            let line = format!(
                "  {}  {:<18} {}{serial}  {}  [{}]",
                time(it.time),
                it.kind,
                it.object,
                it.reason,
                it.record
            );
            lines.push(clean(&line));
        }
    }
    lines.extend(
        trail
            .gaps
            .iter()
            .map(|it| format!("missing: {}", clean(it))),
    );
    lines.join("\n")
}

fn decided(decision: &Decided) -> String {
    let verdict = if decision.allowed {
        "allowed"
    } else {
        "denied"
    };
    let allow = decision.not_given_out.as_ref();
    let allow = allow.map_or_else(String::new, |it| format!("; never given out: [{it}]"));
    clean(&format!(
        "decision {}: {verdict} {} on {}, {}, {}  [{}]{allow}",
        decision.id,
        decision.action,
        decision.resource,
        decision.reason,
        time(decision.time),
        decision.record
    ))
}

fn hop_lines(hop: &Hop) -> Vec<String> {
    let mut lines = vec![format!(
        "hop {}  delegation {}",
        hop.depth,
        clean(&hop.delegation)
    )];
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|it| !it.is_empty()) {
            lines.push(format!("  {name:<13}{}", clean(&value)));
        }
    };
    field("from", Some(hop.from.clone()));
    field("to", Some(hop.to.clone()));
    field("requested by", hop.requester.clone());
    field("granted", hop.granted.map(time));
    field("until", hop.expires.map(time));
    field("ended", hop.end.as_ref().map(end));
    field("may", Some(short(&grants::line(&hop.grants), 300)));
    field("statement", Some(hop.digest.clone()));
    field("record", hop.record.clone());
    lines
}

/// Who it all comes from.
fn first(chain: &[Hop], complete: bool) -> String {
    match chain.last() {
        Some(root) if root.depth <= 1 || root.from.starts_with("owner ") => format!(
            "first allowed by {} for {}{}",
            clean(
                root.requester
                    .as_deref()
                    .unwrap_or("somebody whose name was not stamped")
            ),
            clean(&root.from),
            root.granted
                .map_or_else(String::new, |it| format!(", at {}", time(it)))
        ),
        _ if complete => "its root is not known".to_owned(),
        _ => "its root is not known: see what is missing".to_owned(),
    }
}

fn end(end: &End) -> String {
    match end.time {
        Some(moment) => format!("{} {}", time(moment), end.reason),
        None => end.reason.clone(),
    }
}
