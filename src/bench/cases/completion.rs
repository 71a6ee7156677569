//! Tasks complete: until their credentials are gone.

use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::statistics::{median, percentile};
use crate::bed::{Bed, Programs};
use crate::objects::{Delivery, secrets, tasks};
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;
use crate::sight::Sight;
use crate::writer::{Half, Writer, names};

const TASKS: usize = 300;

/// Identities in the making at a time, where that isn't measured.
const WINDOW: usize = 64;

pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let rounds = if quick { 1 } else { 5 };
    let collector = collect(programs, shape).await?;
    let bed = Bed::make(programs).await?;
    let operator = bed.operator(programs).await?;
    let mut last = Vec::new();
    for round in 0..rounds {
        let took = retire(&bed, shape, &format!("mass-{round}"), TASKS).await?;
        let (_, overhang) = &took;
        progress(&format!(
            "completion: {TASKS} at once: the last is gone after {overhang:.2} s"
        ));
        last.push(*overhang);
    }
    let mut single = Vec::new();
    for round in 0..rounds * 10 {
        let (took, _) = retire(&bed, shape, &format!("single-{round}"), 1).await?;
        single.extend(took);
    }
    operator.stop().await?;
    let name = format!("{TASKS} tasks complete at once, last credential gone");
    Ok(vec![
        Entry::new(&name, median(last), "s")
            .against("Kubernetes' own collector, as it comes", collector)
            .at_most(1.5),
        Entry::new(
            "one task completes, credential gone, p50",
            percentile(single, 50) * 1000.0,
            "ms",
        )
        .at_most(1000.0),
    ])
}

/// Issues for tasks, then ends these. Seconds of each from the answer to its completion to the
/// watch that shows its Secret gone, and from the last completion to the last Secret.
async fn retire(bed: &Bed, shape: &Shape, prefix: &str, count: usize) -> Result<(Vec<f64>, f64)> {
    let all = bed.tasks(names(prefix, count)).await?;
    let writer = Writer {
        bed,
        shape,
        half: Half::Live,
        delivery: Delivery::Secret,
    };
    writer.keep_going(&all, WINDOW).await?;
    let sight = Sight::gone(bed.api()).await?;
    let secret = |name: &str| format!("{name}-identity");
    let awaited: Vec<_> = all
        .iter()
        .map(|it| sight.expect(&secret(&it.name)))
        .collect();
    let ended = bed.complete(&all).await?;
    let mut gone = Vec::new();
    for awaited in awaited {
        gone.push(awaited.seen().await?);
    }
    let took = ended
        .iter()
        .zip(&gone)
        .map(|(ended, gone)| since(*gone, *ended));
    let took = took.collect();
    let last = |times: &[Instant]| times.iter().max().copied();
    let overhang = since(last(&gone).context("none")?, last(&ended).context("none")?);
    Ok((took, overhang))
}

/// What Kubernetes does by itself: as many Secrets whose owners are deleted, no operator. Seconds
/// from the last owner's deletion to the last Secret's.
async fn collect(programs: &Programs, shape: &Shape) -> Result<f64> {
    let bed = Bed::make(programs).await?;
    // The collector learns of a new kind within half a minute: that isn't counted.
    collect_from(&bed, shape, names("known", 1)).await?;
    let took = collect_from(&bed, shape, names("collected", TASKS)).await?;
    progress(&format!(
        "completion: Kubernetes' own collector takes {took:.2} s for {TASKS}"
    ));
    Ok(took)
}

async fn collect_from(bed: &Bed, shape: &Shape, names: Vec<String>) -> Result<f64> {
    let api = bed.api();
    let all = bed.tasks(names).await?;
    let writes =
        stream::iter(&all).map(|task| async { api.create(&secrets(), &shape.secret(task)).await });
    writes.buffer_unordered(WINDOW).try_collect::<()>().await?;
    let sight = Sight::gone(api).await?;
    let awaited: Vec<_> = all
        .iter()
        .map(|it| sight.expect(&format!("{}-identity", it.name)))
        .collect();
    let deletes = stream::iter(&all).map(|task| {
        let path = format!("{}/{}", tasks(), task.name);
        async move { api.delete(&path).await }
    });
    deletes.buffer_unordered(WINDOW).try_collect::<()>().await?;
    let deleted = Instant::now();
    let mut last = deleted;
    for awaited in awaited {
        last = last.max(awaited.seen().await?);
    }
    Ok(since(last, deleted))
}

/// Seconds; 0 where the second was seen first.
fn since(later: Instant, earlier: Instant) -> f64 {
    later.saturating_duration_since(earlier).as_secs_f64()
}
