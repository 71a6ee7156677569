//! A summary for people.

use std::collections::BTreeMap;

use super::summary::Summary;
use crate::output::columns;
use crate::text::{clean, relative, short};

/// As lines and tables.
pub(crate) fn text(summary: &Summary) -> String {
    let now = summary.at;
    let mut parts = vec![operator(summary)];
    let domains = summary.trust_domains.iter().map(|it| {
        let condition = |kind: &str| {
            let word = it.conditions.get(kind).and_then(|it| it.split(' ').next());
            word.unwrap_or("<unknown>").to_owned()
        };
        [
            it.name.clone(),
            if it.ready { "True" } else { "False" }.to_owned(),
            condition("PoliciesInstalled"),
            condition("BundlePublished"),
            condition("ClockSynchronized"),
            short(&it.reason, 80),
        ]
    });
    let head = [
        "TRUST DOMAIN",
        "READY",
        "POLICIES",
        "BUNDLE",
        "CLOCK",
        "REASON",
    ];
    parts.push(columns(head, domains.collect()));
    let keys = summary.trust_domains.iter().flat_map(|domain| {
        domain.keys.iter().map(|it| {
            [
                domain.name.clone(),
                it.signs.clone(),
                format!("{:?}", it.slot),
                relative(it.expires, now),
                short(&it.id, 16),
            ]
        })
    });
    let keys: Vec<_> = keys.collect();
    if !keys.is_empty() {
        parts.push(columns(
            ["TRUST DOMAIN", "SIGNS", "SLOT", "EXPIRES", "ID"],
            keys,
        ));
    }
    parts.push(columns(
        ["KIND", "COUNT"],
        vec![
            ["owners".to_owned(), counts(&summary.owners)],
            ["identities".to_owned(), counts(&summary.identities)],
            ["delegations".to_owned(), counts(&summary.delegations)],
        ],
    ));
    if !summary.stalled.is_empty() {
        let rows = summary.stalled.iter().map(|it| {
            [
                it.kind.to_owned(),
                it.name.clone(),
                it.reason.clone(),
                it.since.map_or_else(String::new, |it| relative(it, now)),
                short(&it.message, 160),
            ]
        });
        parts.push(columns(
            ["STALLED", "NAME", "REASON", "SINCE", "MESSAGE"],
            rows.collect(),
        ));
    }
    if !summary.checkpoints.is_empty() {
        let rows = summary.checkpoints.iter().map(|it| {
            let age = match (&it.refused, it.time) {
                (Some(why), _) => format!("not to be believed: {why}"),
                (None, Some(time)) if it.is_old(now) => {
                    format!("{} (nothing recorded since?)", relative(time, now))
                }
                (None, Some(time)) => relative(time, now),
                (None, None) => "<unknown>".to_owned(),
            };
            let sequence = it
                .sequence
                .map_or_else(|| "<unknown>".to_owned(), |it| it.to_string());
            [it.chain.clone(), sequence, age]
        });
        parts.push(columns(
            ["AUDIT CHAIN", "SIGNED UP TO", "CHECKPOINT"],
            rows.collect(),
        ));
    }
    if summary.problems.is_empty() {
        parts.push("nothing needs anybody, as far as can be seen".to_owned());
    } else {
        let lines = summary
            .problems
            .iter()
            .map(|it| format!("problem: {}", clean(it)));
        parts.push(lines.collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn operator(summary: &Summary) -> String {
    let operator = &summary.operator;
    if let Some(why) = &operator.unknown {
        return format!("operator  <unknown>: {}", clean(why));
    }
    let Some(holder) = &operator.holder else {
        return "operator  nobody leads".to_owned();
    };
    let renewed = operator
        .renewed
        .map_or_else(|| "at no time".to_owned(), |it| relative(it, summary.at));
    format!("operator  {} leads, renewed {renewed}", clean(holder))
}

fn counts(counts: &BTreeMap<&'static str, usize>) -> String {
    let total: usize = counts.values().sum();
    let each: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if each.is_empty() {
        "0".to_owned()
    } else {
        format!("{total} ({})", each.join(", "))
    }
}
