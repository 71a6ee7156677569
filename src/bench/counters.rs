//! What the API server counted: writes by resource and result.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;

use crate::api::Api;

const WRITES: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];

/// Mutating requests, by verb, resource, subresource and status code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    writes: BTreeMap<Key, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    verb: String,
    resource: String,
    subresource: String,
    code: String,
}

impl Counters {
    /// Everything since the API server's start, but for leases: those are written by the clock.
    pub(crate) async fn read(api: &Api) -> Result<Self> {
        let text = api.fetch_text("/metrics").await?;
        let mut writes = BTreeMap::new();
        for line in text.lines() {
            if let Some((key, count)) = parse(line) {
                *writes.entry(key).or_default() += count;
            }
        }
        Ok(Self { writes })
    }

    /// What came on top since then.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let more = |(key, count): (&Key, &u64)| {
            let before = earlier.writes.get(key).copied().unwrap_or_default();
            (*count > before).then(|| (key.clone(), count - before))
        };
        Self {
            writes: self.writes.iter().filter_map(more).collect(),
        }
    }

    /// Without the writes to one resource: the harness' own.
    pub(crate) fn without(mut self, resource: &str) -> Self {
        self.writes.retain(|key, _| key.resource != resource);
        self
    }

    /// What was stored, or meant to be.
    pub(crate) fn total(&self) -> u64 {
        let stored = self.writes.iter().filter(|(key, _)| !key.asks());
        stored.map(|(_, count)| count).sum()
    }

    /// Questions about permissions: a POST that stores nothing.
    pub(crate) fn questions(&self) -> u64 {
        let asked = self.writes.iter().filter(|(key, _)| key.asks());
        asked.map(|(_, count)| count).sum()
    }

    /// Refused because somebody else was faster, or because it exists.
    pub(crate) fn conflicts(&self) -> u64 {
        let conflicts = self.writes.iter().filter(|(key, _)| key.code == "409");
        conflicts.map(|(_, count)| count).sum()
    }
}

impl Key {
    fn asks(&self) -> bool {
        self.resource == "subjectaccessreviews"
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, count)) in self.writes.iter().enumerate() {
            let slash = if key.subresource.is_empty() { "" } else { "/" };
            let comma = if index == 0 { "" } else { ", " };
            write!(
                f,
                "{comma}{count} {} {}{slash}{} ({})",
                key.verb, key.resource, key.subresource, key.code
            )?;
        }
        Ok(())
    }
}

/// A line of `apiserver_request_total` that is a write.
fn parse(line: &str) -> Option<(Key, u64)> {
    let rest = line.strip_prefix("apiserver_request_total{")?;
    let (labels, count) = rest.split_once("} ")?;
    let label = |name: &str| {
        let mut labels = labels.split(',').filter_map(|it| it.split_once('='));
        let (_, value) = labels.find(|(key, _)| *key == name)?;
        Some(value.trim_matches('"').to_owned())
    };
    let key = Key {
        verb: label("verb")?,
        resource: label("resource")?,
        subresource: label("subresource")?,
        code: label("code")?,
    };
    let counts = WRITES.contains(&key.verb.as_str())
        && key.resource != "leases"
        && label("dry_run")?.is_empty();
    // Counts are written as floats, in exponent form from a million on.
    let count = count.trim().parse::<f64>().ok()?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter is a natural number far below 2^53"
    )]
    counts.then_some((key, count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_read_off_the_metrics_and_leases_are_not() {
        let write = r#"apiserver_request_total{code="201",component="apiserver",dry_run="",group="countersign.dev",resource="agentidentities",scope="resource",subresource="",verb="POST",version="v1alpha1"} 300"#;
        let (key, count) = parse(write).unwrap();
        assert_eq!((key.resource.as_str(), count), ("agentidentities", 300));
        assert!(parse(&write.replace("agentidentities", "leases")).is_none());
        assert!(parse(&write.replace("POST", "GET")).is_none());
        assert!(parse(&write.replace("dry_run=\"\"", "dry_run=\"All\"")).is_none());
        assert!(parse("# HELP apiserver_request_total").is_none());
    }
}
