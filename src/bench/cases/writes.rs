//! API writes for an identity, as the API server counts them: everybody's, but for what the clock
//! writes (leases, checkpoints of the audit log) and for what the harness does to the tasks.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;

use crate::bed::{Bed, Programs};
use crate::counters::Counters;
use crate::objects::Delivery;
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;
use crate::sight::Sight;
use crate::writer::{Half, Writer, names};

const WINDOW: usize = 32;

/// For everything that may still be written to have been written.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 50 } else { 500 };
    let secret = measure(programs, shape, Delivery::Secret, count).await?;
    let request = measure(programs, shape, Delivery::Request, count).await?;
    Ok(vec![
        Entry::new("API writes to Ready, Secret", secret.ready, "writes").at_most(3.0),
        Entry::new("API writes for a whole life, Secret", secret.life, "writes").at_most(5.0),
        Entry::new("API writes to Ready, Request", request.ready, "writes").at_most(2.0),
        Entry::new(
            "API writes for a whole life, Request",
            request.life,
            "writes",
        ),
        Entry::new(
            &format!("SubjectAccessReviews for {} identities", 2 * count),
            secret.questions + request.questions,
            "requests",
        ),
        Entry::new("conflicts", secret.conflicts + request.conflicts, "writes").at_most(0.0),
    ])
}

/// Writes for each identity; questions and conflicts in all.
struct Writes {
    ready: f64,
    life: f64,
    questions: f64,
    conflicts: f64,
}

#[allow(clippy::cast_precision_loss, reason = "thousands")]
async fn measure(
    programs: &Programs,
    shape: &Shape,
    delivery: Delivery,
    count: usize,
) -> Result<Writes> {
    let bed = Bed::make(programs).await?;
    let operator = bed.operator(programs).await?;
    let tasks = bed.tasks(names("counted", count)).await?;
    tokio::time::sleep(SETTLE).await;

    let before = Counters::read(bed.api()).await?;
    let writer = Writer {
        bed: &bed,
        shape,
        half: Half::Live,
        delivery,
    };
    writer.keep_going(&tasks, WINDOW).await?;
    tokio::time::sleep(SETTLE).await;
    let ready = written(&bed, &before).await?;
    progress(&format!(
        "writes: {count} {delivery:?} identities to Ready: {ready}"
    ));

    let completed = Sight::completed(bed.api()).await?;
    let over = tasks.iter().map(|it| completed.expect(&it.name).seen());
    let over: Vec<_> = over.collect();
    bed.complete(&tasks).await?;
    try_join_all(over).await?;
    tokio::time::sleep(SETTLE).await;
    let life = written(&bed, &before).await?;
    progress(&format!("writes: their whole life: {life}"));
    operator.stop().await?;

    Ok(Writes {
        ready: ready.total() as f64 / count as f64,
        life: life.total() as f64 / count as f64,
        questions: life.questions() as f64,
        conflicts: life.conflicts() as f64,
    })
}

/// What was written for identities since then.
async fn written(bed: &Bed, before: &Counters) -> Result<Counters> {
    let all = Counters::read(bed.api()).await?.since(before);
    // The audit log's newest checkpoints: one write in five seconds, however many identities.
    Ok(all.without("tasks").without("configmaps"))
}
