//! One agent's baseline.

use jiff::Timestamp;

use crate::RiskPart;

/// Over so many seconds the present rate is averaged.
const NOW_SECONDS: f64 = 10.0;
/// Over so many the rate that it is compared with: long beside a burst, short beside a task.
const BASELINE_SECONDS: f64 = 900.0;
/// Over so many seconds denials and novelties are forgotten.
const MEMORY_SECONDS: f64 = 300.0;
/// An agent isn't judged before it was seen for so long and so often: there is nothing to compare.
const WARM_UP_SECONDS: f64 = 300.0;
const WARM_UP_REQUESTS: u32 = 30;
/// Below this rate, in requests a second, nothing is a burst.
const SLOWEST_BASELINE: f64 = 1.0;
/// Twice the baseline is nothing; each doubling beyond adds this much, so 32 times is 100.
const SCORE_OF_DOUBLING: f64 = 25.0;
/// A share of denials up to this is nothing; from [`DENIALS_TO`] on it is 100.
const DENIALS_FROM: f64 = 0.2;
const DENIALS_TO: f64 = 0.8;
/// Of fewer requests no share is made.
const FEWEST_REQUESTS: f64 = 10.0;
/// What one action that was never seen before adds; half of it is left after some 200 seconds.
const SCORE_OF_NOVELTY: f64 = 40.0;
/// So many pairs of action and collection are told apart; an agent that uses more is at home
/// anywhere, and nothing is new to it.
const MAX_PAIRS: usize = 64;

/// What is remembered of an agent: some 70 bytes and 4 for each pair.
#[derive(Debug)]
pub(super) struct Baseline {
    first: Timestamp,
    last: Timestamp,
    requests: u32,
    /// Requests a second, averaged over [`NOW_SECONDS`].
    rate: f64,
    /// The same over [`BASELINE_SECONDS`].
    baseline: f64,
    /// Fading counts.
    asked: f64,
    denied: f64,
    novel: f64,
    /// Hashes of (action, top collection).
    pairs: Vec<u32>,
}

impl Baseline {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            first: now,
            last: now,
            requests: 0,
            rate: 0.0,
            baseline: 0.0,
            asked: 0.0,
            denied: 0.0,
            novel: 0.0,
            pairs: Vec::new(),
        }
    }

    /// What is odd if `pair` is asked for now; the parts that are.
    pub(super) fn assess(&self, pair: u32, now: Timestamp) -> Vec<RiskPart> {
        self.parts(self.is_new(pair), now)
    }

    /// What is odd so far.
    pub(super) fn assess_all(&self, now: Timestamp) -> Vec<RiskPart> {
        self.parts(false, now)
    }

    fn parts(&self, new: bool, now: Timestamp) -> Vec<RiskPart> {
        let (asked, denied) = (self.faded(self.asked, now), self.faded(self.denied, now));
        let mut parts = Vec::new();
        if asked >= FEWEST_REQUESTS {
            let share = denied / asked;
            let score = (share - DENIALS_FROM) / (DENIALS_TO - DENIALS_FROM) * 100.0;
            push(&mut parts, "behaviour/denials", score, || {
                format!(
                    "{:.0} of 100 of its last requests were denied",
                    share * 100.0
                )
            });
        }
        if !self.is_warm(now) {
            return parts;
        }
        let (rate, baseline) = self.rates(now);
        let score = (rate / baseline).log2().max(0.0) - 1.0;
        push(
            &mut parts,
            "behaviour/rate",
            score * SCORE_OF_DOUBLING,
            || format!("{rate:.1} requests a second, where {baseline:.1} are usual for it"),
        );
        let novel = self.faded(self.novel, now) + if new { 1.0 } else { 0.0 };
        push(
            &mut parts,
            "behaviour/novelty",
            novel * SCORE_OF_NOVELTY,
            || format!("{novel:.1} actions of late that it never took before"),
        );
        parts
    }

    /// Counts a request.
    pub(super) fn observe(&mut self, pair: u32, denied: bool, now: Timestamp) {
        let elapsed = elapsed(self.last, now);
        let faded = |count: f64, over: f64| count * (-elapsed / over).exp();
        self.rate = faded(self.rate, NOW_SECONDS) + 1.0 / NOW_SECONDS;
        self.baseline = faded(self.baseline, BASELINE_SECONDS) + 1.0 / BASELINE_SECONDS;
        self.asked = faded(self.asked, MEMORY_SECONDS) + 1.0;
        self.denied = faded(self.denied, MEMORY_SECONDS) + if denied { 1.0 } else { 0.0 };
        self.novel = faded(self.novel, MEMORY_SECONDS);
        if !self.pairs.contains(&pair) && self.pairs.len() < MAX_PAIRS {
            if self.is_warm(now) {
                self.novel += 1.0;
            }
            self.pairs.push(pair);
        }
        self.requests = self.requests.saturating_add(1);
        self.last = self.last.max(now);
    }

    /// The present rate and the usual one, in requests a second, at least [`SLOWEST_BASELINE`].
    fn rates(&self, now: Timestamp) -> (f64, f64) {
        let elapsed = elapsed(self.last, now);
        let rate = self.rate * (-elapsed / NOW_SECONDS).exp();
        let baseline = self.baseline * (-elapsed / BASELINE_SECONDS).exp();
        // An average over 15 minutes of less than that is too low by what it hasn't seen.
        let seen = 1.0 - (-self.age(now) / BASELINE_SECONDS).exp();
        (rate, (baseline / seen).max(SLOWEST_BASELINE))
    }

    fn is_warm(&self, now: Timestamp) -> bool {
        self.requests >= WARM_UP_REQUESTS && self.age(now) >= WARM_UP_SECONDS
    }

    fn is_new(&self, pair: u32) -> bool {
        self.pairs.len() < MAX_PAIRS && !self.pairs.contains(&pair)
    }

    fn age(&self, now: Timestamp) -> f64 {
        elapsed(self.first, now)
    }

    fn faded(&self, count: f64, now: Timestamp) -> f64 {
        count * (-elapsed(self.last, now) / MEMORY_SECONDS).exp()
    }
}

/// Seconds; a clock that was set back stands still.
fn elapsed(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn push(parts: &mut Vec<RiskPart>, kind: &str, score: f64, why: impl FnOnce() -> String) {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was clamped"
    )]
    let score = score.clamp(0.0, 100.0).round() as u8;
    if score > 0 {
        parts.push(RiskPart {
            kind: kind.to_owned(),
            score,
            why: why(),
        });
    }
}
