//! Who asks: as fast as it is answered, or at a pace that doesn't wait for answers.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use super::endpoint::Caller;
use crate::cases::decide::Latency;
use crate::cases::statistics::median;

/// How long each round takes, the one that warms up included.
const ROUND: Duration = Duration::from_secs(3);

/// Each caller has one request under way: answers a second, the median of the rounds, and how many
/// there were.
pub(super) async fn saturate(callers: &[Caller], rounds: usize) -> Result<(f64, usize)> {
    let (mut rates, mut all) = (Vec::new(), 0);
    for round in 0..=rounds {
        let started = Instant::now();
        let until = started + ROUND;
        let busy = callers.iter().map(async |caller| {
            let mut answers = 0;
            while Instant::now() < until {
                caller.ask().await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
        let answers: usize = try_join_all(busy).await?.into_iter().sum();
        all += answers;
        if round > 0 {
            rates.push(count(answers) / started.elapsed().as_secs_f64());
        }
    }
    Ok((median(rates), all))
}

/// So many a second, each begun at its moment whatever has become of those before: how long they
/// took from that moment on, and how many there were.
pub(super) async fn paced(callers: &[Caller], rate: f64, seconds: u32) -> Result<(Latency, usize)> {
    let callers: Rc<[Caller]> = callers.into();
    let every = Duration::from_secs_f64(1.0 / rate);
    let begin = Instant::now() + Duration::from_millis(50);
    let mut under_way = Vec::new();
    let mut due = begin;
    while due < begin + Duration::from_secs(seconds.into()) {
        sleep_until(due).await;
        let (callers, number) = (Rc::clone(&callers), under_way.len());
        under_way.push(spawn_local(async move {
            if let Some(caller) = callers.get(number % callers.len()) {
                caller.ask().await?;
            }
            anyhow::Ok(due.elapsed().as_secs_f64() * 1e6)
        }));
        due += every;
    }
    let mut took = Vec::with_capacity(under_way.len());
    for one in under_way {
        took.push(one.await??);
    }
    let many = took.len();
    Ok((Latency::of(took), many))
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(answers: usize) -> f64 {
    answers as f64
}
