//! Both sides in turns: what slows the machine down slows both alike.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use super::wire::{Connection, Door};
use crate::cases::statistics::{median, percentile};

/// Questions in a row to one side.
pub(super) const BLOCK: usize = 100;

/// Answers that aren't timed, at first.
pub(super) const WARM_UP: usize = 2000;

/// Who answers.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) door: Door,
    /// Whole requests, asked in turn.
    pub(crate) requests: Vec<Vec<u8>>,
    /// What the body of an allow has.
    pub(crate) allow: &'static str,
}

/// How long answers took, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// One connection to a side, and the questions.
struct Line<'a> {
    side: &'a Side,
    open: Connection,
    next: usize,
}

/// One question at a time over one connection to each side, in turns of [`BLOCK`].
pub(crate) async fn latency(sides: &[&Side], blocks: usize) -> Result<Vec<Latency>> {
    let mut lines = Vec::new();
    for side in sides {
        let mut line = Line::open(side, 0).await?;
        for _ in 0..WARM_UP {
            line.ask().await?;
        }
        lines.push((line, Vec::with_capacity(blocks * BLOCK)));
    }
    for _ in 0..blocks {
        for (line, took) in &mut lines {
            for _ in 0..BLOCK {
                let started = Instant::now();
                line.ask().await?;
                took.push(started.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let latencies = lines.into_iter().map(|(_, took)| Latency::of(took));
    Ok(latencies.collect())
}

/// Answers a second over so many connections that each have one question under way, in turns: the
/// median of the rounds for each side.
pub(crate) async fn saturation(
    sides: &[&Side],
    connections: usize,
    rounds: usize,
    each: Duration,
) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for side in sides {
        let lines = (0..connections).map(|it| Line::open(side, it));
        all.push((try_join_all(lines).await?, Vec::new()));
    }
    for round in 0..=rounds {
        for (lines, rates) in &mut all {
            let started = Instant::now();
            let until = started + each;
            let busy = lines.iter_mut().map(|line| line.keep_asking(until));
            let answers: usize = try_join_all(busy).await?.into_iter().sum();
            if round > 0 {
                // The first one warms up.
                rates.push(count(answers) / started.elapsed().as_secs_f64());
            }
        }
    }
    Ok(all.into_iter().map(|(_, rates)| median(rates)).collect())
}

impl Latency {
    pub(crate) fn of(took: Vec<f64>) -> Self {
        Self {
            p50: median(took.clone()),
            p99: percentile(took, 99),
        }
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.0} µs, p99 {:.0} µs", self.p50, self.p99)
    }
}

impl<'a> Line<'a> {
    async fn open(side: &'a Side, first: usize) -> Result<Self> {
        Ok(Self {
            side,
            open: side.door.open().await?,
            next: first,
        })
    }

    /// An answer that isn't an allow is no answer here.
    async fn ask(&mut self) -> Result<()> {
        let requests = &self.side.requests;
        let request = requests.get(self.next % requests.len());
        self.next += 1;
        let reply = self.open.ask(request.context("no question")?).await?;
        ensure!(
            reply.status == 200 && reply.has(self.side.allow),
            "{}: {} {}",
            self.side.name,
            reply.status,
            reply.text()
        );
        Ok(())
    }

    async fn keep_asking(&mut self, until: Instant) -> Result<usize> {
        let mut answers = 0;
        while Instant::now() < until {
            self.ask().await?;
            answers += 1;
        }
        Ok(answers)
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(answers: usize) -> f64 {
    answers as f64
}
