//! Medians.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::case::{Case, Cases};

/// Measurements of one case in a row, before the others have their turn: noise of the machine that
/// lasts longer than that hits all of them alike.
const ROUND: u32 = 50;

/// Checks that aren't timed before each series: caches and branch predictors settle, and the
/// processor's clock rises.
const WARM_UP: u32 = 20;

/// Every case so many times, in rounds, as `{"biscuit": {"1": {"p50_us": …, "bytes": …}, …}, …}`.
pub(crate) fn all(cases: &Cases, iterations: u32) -> Result<Value> {
    let mut all: Vec<(&Case, Vec<Duration>)> = cases.iter().map(|it| (it, Vec::new())).collect();
    let mut left = iterations;
    while left > 0 {
        let round = left.min(ROUND);
        for (case, times) in &mut all {
            series(case, round, times)?;
        }
        left -= round;
    }

    let mut peers = Map::new();
    for (case, times) in all {
        let of_peer = peers
            .entry(case.peer.to_string())
            .or_insert_with(|| json!({}));
        let of_peer = of_peer.as_object_mut().context("it was made an object")?;
        of_peer.insert(case.hops.to_string(), answer(case, times)?);
    }
    Ok(Value::Object(peers))
}

/// One case so many times in a row, as `{"p50_us": …, "bytes": …}`.
pub(crate) fn batch(case: &Case, iterations: u32) -> Result<Value> {
    let mut times = Vec::new();
    series(case, iterations, &mut times)?;
    answer(case, times)
}

fn series(case: &Case, iterations: u32, times: &mut Vec<Duration>) -> Result<()> {
    for _ in 0..WARM_UP {
        case.chain.check()?;
    }
    for _ in 0..iterations {
        let start = Instant::now();
        let checked = case.chain.check();
        times.push(start.elapsed());
        checked.with_context(|| format!("{}, {} hops", case.peer, case.hops))?;
    }
    Ok(())
}

fn answer(case: &Case, times: Vec<Duration>) -> Result<Value> {
    let p50 = median(times).context("nothing was measured")?;
    // Tenths of a microsecond: what repeats from run to run.
    let micros = (p50.as_nanos() as f64 / 100.0).round() / 10.0;
    Ok(json!({"p50_us": micros, "bytes": case.chain.bytes()}))
}

/// The lower one of two in the middle.
fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_lower_one_in_the_middle() {
        let of =
            |micros: &[u64]| median(micros.iter().copied().map(Duration::from_micros).collect());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some(Duration::from_micros(7)));
        assert_eq!(of(&[9, 1, 5]), Some(Duration::from_micros(5)));
        assert_eq!(of(&[9, 1, 5, 3]), Some(Duration::from_micros(3)));
    }
}
