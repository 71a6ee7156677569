//! The table, and the file that other benchmarks join.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One figure. `met` is true where there is no goal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    name: String,
    value: f64,
    unit: String,
    /// What it is measured against.
    peer: Option<String>,
    /// In the same unit.
    peer_value: Option<f64>,
    /// Ours divided by the peer's.
    ratio: Option<f64>,
    goal: Option<String>,
    met: bool,
}

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Results {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Entry {
    pub(crate) fn new(name: &str, value: f64, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: round(value),
            unit: unit.to_owned(),
            peer: None,
            peer_value: None,
            ratio: None,
            goal: None,
            met: true,
        }
    }

    pub(crate) fn against(mut self, peer: &str, value: f64) -> Self {
        self.peer = Some(peer.to_owned());
        self.peer_value = Some(round(value));
        self.ratio = (value > 0.0).then(|| round(self.value / value));
        self
    }

    pub(crate) fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(format!("at most {} {}", round(goal), self.unit));
        self.met = self.value <= round(goal);
        self
    }

    pub(crate) fn at_least(mut self, goal: f64) -> Self {
        self.goal = Some(format!("at least {} {}", round(goal), self.unit));
        self.met = self.value >= round(goal);
        self
    }

    pub(crate) fn ratio_at_least(mut self, goal: f64) -> Self {
        self.goal = Some(format!("at least {goal} of the peer's"));
        self.met = self.ratio.is_some_and(|ratio| ratio >= goal);
        self
    }

    pub(crate) fn ratio_at_most(mut self, goal: f64) -> Self {
        self.goal = Some(format!("at most {goal} of the peer's"));
        self.met = self.ratio.is_some_and(|ratio| ratio <= goal);
        self
    }
}

impl Results {
    /// Starts a file anew, or keeps what other benchmarks have written into it.
    pub(crate) fn open(folder: &Path, keep: bool) -> Result<Self> {
        let path = folder.join("results.json");
        let entries = match fs::read(&path) {
            Ok(json) if keep => {
                serde_json::from_slice(&json).with_context(|| format!("read {}", path.display()))?
            }
            Ok(_) => Vec::new(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        Ok(Self { path, entries })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds figures, in place of those of the same name, and writes the file.
    pub(crate) fn add(&mut self, entries: Vec<Entry>) -> Result<()> {
        for entry in entries {
            self.entries.retain(|it| it.name != entry.name);
            self.entries.push(entry);
        }
        let json = serde_json::to_string_pretty(&self.entries)?;
        fs::write(&self.path, json + "\n").with_context(|| format!("write {}", self.path.display()))
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["", "what", "value", "peer", "ratio", "goal"].map(str::to_owned);
        let rows: Vec<[String; 6]> = std::iter::once(heads)
            .chain(self.entries.iter().map(row))
            .collect();
        let width = |column: fn(&[String; 6]) -> &String| {
            let lengths = rows.iter().map(|row| column(row).chars().count());
            lengths.max().unwrap_or_default()
        };
        let [what, value, peer] = [width(|it| &it[1]), width(|it| &it[2]), width(|it| &it[3])];
        for [met, name, mine, theirs, ratio, goal] in &rows {
            writeln!(
                f,
                "{met:4}  {name:what$}  {mine:>value$}  {theirs:peer$}  {ratio:>6}  {goal}"
            )?;
        }
        let missed = self.entries.iter().filter(|it| !it.met).count();
        let of = self.entries.iter().filter(|it| it.goal.is_some()).count();
        write!(f, "{} of {of} goals met", of - missed)
    }
}

fn row(entry: &Entry) -> [String; 6] {
    let met = match (&entry.goal, entry.met) {
        (None, _) => "",
        (Some(_), true) => "ok",
        (Some(_), false) => "MISS",
    };
    let peer = match (&entry.peer, entry.peer_value) {
        (Some(peer), Some(value)) => format!("{value} {}: {peer}", entry.unit),
        _ => String::new(),
    };
    [
        met.to_owned(),
        entry.name.clone(),
        format!("{} {}", entry.value, entry.unit),
        peer,
        entry
            .ratio
            .map(|ratio| ratio.to_string())
            .unwrap_or_default(),
        entry.goal.clone().unwrap_or_default(),
    ]
}

/// Three digits are more than these measurements know.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_or_missed_and_no_goal_is_met() {
        assert!(Entry::new("a", 3.0, "writes").met);
        assert!(Entry::new("a", 3.0, "writes").at_most(3.0).met);
        assert!(!Entry::new("a", 3.01, "writes").at_most(3.0).met);
        assert!(Entry::new("a", 3.0, "/s").at_least(3.0).met);
        assert!(!Entry::new("a", 2.99, "/s").at_least(3.0).met);
        let slower = Entry::new("a", 70.0, "/s").against("plain", 100.0);
        assert!(!slower.clone().ratio_at_least(0.8).met);
        assert!(slower.ratio_at_most(0.8).met);
    }
}
