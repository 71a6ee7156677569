//! A batch for each line that asks for one, so that somebody else's verifier can be timed between.
//!
//! `biscuit 8` is answered with `{"p50_us": …, "bytes": …}`, anything else and a chain that is
//! refused with `{"error": …}`: one line for each line.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::case::Cases;
use crate::measure;

/// Answers until the lines end, each answer being the median of so many checks.
pub(crate) fn answer(
    cases: &Cases,
    iterations: u32,
    lines: impl BufRead,
    mut answers: impl Write,
) -> Result<()> {
    for line in lines.lines() {
        let line = line.context("a line can't be read")?;
        let answer = one(cases, iterations, &line)
            .unwrap_or_else(|error| json!({"error": format!("{error:#}")}));
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn one(cases: &Cases, iterations: u32, line: &str) -> Result<Value> {
    let (peer, hops) = line.trim().split_once(' ').context("not `peer hops`")?;
    let hops = hops.trim().parse().context("hops are a number")?;
    let case = cases
        .find(peer, hops)
        .with_context(|| format!("{peer}, {hops} hops: not prepared"))?;
    measure::batch(case, iterations)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_one_line() {
        let cases = Cases::prepare(&[1, 2]).unwrap();
        let asked = b"biscuit 2\ntenuo 1\ntenuo 3\n\nbiscuit two\n";
        let mut answers = Vec::new();
        answer(&cases, 1, asked.as_slice(), &mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let answers: Vec<Value> = answers
            .lines()
            .map(|it| serde_json::from_str(it).unwrap())
            .collect();
        let measured: Vec<bool> = answers
            .iter()
            .map(|it| it.get("p50_us").is_some())
            .collect();
        assert_eq!(measured, [true, true, false, false, false]);
        assert!(answers.iter().skip(2).all(|it| it.get("error").is_some()));
    }
}
