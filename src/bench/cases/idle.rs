//! Nothing else goes on: from the create call to a watch that shows `Ready=True`.

use std::time::Duration;

use anyhow::Result;

use super::PLAIN;
use super::statistics::percentile;
use crate::bed::{Bed, Programs};
use crate::objects::Delivery;
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;
use crate::sight::Sight;
use crate::writer::{Half, Writer, names};

/// Between two identities, so that each finds everybody at rest.
const PAUSE: Duration = Duration::from_millis(30);

/// The first few wake everybody up and aren't counted.
const WARM_UP: usize = 10;

pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 50 } else { 300 };
    let mut entries = Vec::new();
    for (delivery, kind) in [(Delivery::Secret, "Secret"), (Delivery::Request, "Request")] {
        let plain = measure(programs, shape, Half::Plain, delivery, count).await?;
        let live = measure(programs, shape, Half::Live, delivery, count).await?;
        for percent in [50, 99] {
            let name = format!("create to Ready when idle, {kind}, p{percent}");
            let entry = Entry::new(&name, percentile(live.clone(), percent), "ms")
                .against(PLAIN, percentile(plain.clone(), percent));
            entries.push(if percent == 50 {
                entry.at_most(20.0)
            } else {
                entry
            });
        }
    }
    Ok(entries)
}

/// Milliseconds of each.
async fn measure(
    programs: &Programs,
    shape: &Shape,
    half: Half,
    delivery: Delivery,
    count: usize,
) -> Result<Vec<f64>> {
    progress(&format!(
        "idle: {count} {delivery:?} identities one by one, {half:?}"
    ));
    let bed = Bed::make(programs).await?;
    let operator = match half {
        Half::Live => Some(bed.operator(programs).await?),
        Half::Plain => None,
    };
    let tasks = bed.tasks(names("idle", WARM_UP + count)).await?;
    let writer = Writer {
        bed: &bed,
        shape,
        half,
        delivery,
    };
    let sight = Sight::ready(bed.api()).await?;
    let mut took = Vec::new();
    for task in &tasks {
        let made = writer.make(&sight, task).await?;
        took.push(made.ready.duration_since(made.sent).as_secs_f64() * 1000.0);
        tokio::time::sleep(PAUSE).await;
    }
    if let Some(operator) = operator {
        operator.stop().await?;
    }
    Ok(took.split_off(WARM_UP))
}
