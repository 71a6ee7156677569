//! 10,000 live identities: what the operator's memory is, and what a restart does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use serde_json::Value;

use crate::bed::{Bed, Programs};
use crate::objects::{Delivery, Task, identities, identity, secrets};
use crate::operator::{Memory, Operator};
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;
use crate::sight::Sight;
use crate::writer::{Half, Writer, names};

const WINDOW: usize = 128;

/// Issued in parts of this size, with a line about each.
const PART: usize = 1000;

/// So many tasks end, and so many identities are new, while the operator is down.
const CHANGES: usize = 20;

/// For memory to settle, and for a needless write to show.
const SETTLE: Duration = Duration::from_secs(5);

const MIB: f64 = 1024.0 * 1024.0;

/// What an operator with so many identities may take: 30 MiB and 5 kB each.
const BASE_BYTES: f64 = 30.0 * MIB;
const IDENTITY_BYTES: f64 = 5000.0;

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 1000 } else { 10_000 };
    let bed = Bed::make(programs).await?;
    let operator = bed.operator(programs).await?;
    tokio::time::sleep(SETTLE).await;
    let empty = operator.memory()?;

    let tasks = bed.tasks(names("scale", count)).await?;
    let writer = Writer {
        bed: &bed,
        shape,
        half: Half::Live,
        delivery: Delivery::Secret,
    };
    let mut done = 0;
    for part in tasks.chunks(PART) {
        writer.keep_going(part, WINDOW).await?;
        done += part.len();
        progress(&format!("scale: {done} of {count} identities are Ready"));
    }
    tokio::time::sleep(SETTLE).await;
    let full = operator.memory()?;
    progress(&format!(
        "scale: {:.1} MiB resident with {count} identities, {:.1} with none, {:.1} at the peak",
        mib(full.resident),
        mib(empty.resident),
        mib(full.peak)
    ));

    let before = secret_versions(&bed).await?;
    operator.stop().await?;
    let (caught_up, operator) = restart(programs, &bed, &tasks).await?;
    progress(&format!(
        "scale: caught up {caught_up:.2} s after a restart"
    ));
    tokio::time::sleep(SETTLE).await;
    let after = secret_versions(&bed).await?;
    let again: Memory = operator.memory()?;
    operator.stop().await?;

    let good = before.iter().skip(CHANGES);
    let reissued = good.filter(|(name, version)| after.get(*name) != Some(*version));
    let reissued = reissued.count();
    let allowed = (BASE_BYTES + IDENTITY_BYTES * count as f64) / MIB;
    let each = full.resident.saturating_sub(empty.resident) as f64 / count as f64 / 1000.0;
    Ok(vec![
        Entry::new(
            &format!("memory at {count} live identities"),
            mib(full.resident),
            "MiB",
        )
        .at_most(allowed),
        Entry::new("memory with no identity", mib(empty.resident), "MiB"),
        Entry::new("memory for each identity", each, "kB"),
        Entry::new(
            &format!("memory after a restart with {count}"),
            mib(again.resident),
            "MiB",
        ),
        Entry::new(&format!("restart with {count}, caught up"), caught_up, "s").at_most(5.0),
        Entry::new(
            &format!("restart with {count}, issued again"),
            reissued as f64,
            "certificates",
        )
        .at_most(0.0),
    ])
}

/// While the operator is down, tasks end and identities are made. Seconds from its start until
/// those have no Secret any more and these are Ready.
async fn restart(programs: &Programs, bed: &Bed, tasks: &[Task]) -> Result<(f64, Operator)> {
    let new = bed.tasks(names("zz-new", CHANGES)).await?;
    for task in &new {
        let object = identity(&task.name, Delivery::Secret, "");
        bed.api().create(&identities(), &object).await?;
    }
    let over: Vec<Task> = tasks.iter().take(CHANGES).cloned().collect();
    bed.complete(&over).await?;

    let gone = Sight::gone(bed.api()).await?;
    let ready = Sight::ready(bed.api()).await?;
    let awaited = over
        .iter()
        .map(|it| gone.expect(&format!("{}-identity", it.name)).seen());
    let issued = new.iter().map(|it| ready.expect(&it.name).seen());
    let (awaited, issued): (Vec<_>, Vec<_>) = (awaited.collect(), issued.collect());

    let started = Instant::now();
    let operator = Operator::start(programs, bed, None)?;
    let (gone, ready) =
        futures::future::try_join(try_join_all(awaited), try_join_all(issued)).await?;
    let last = gone.into_iter().chain(ready).max().unwrap_or(started);
    Ok((last.duration_since(started).as_secs_f64(), operator))
}

/// Name and resourceVersion of each identity's Secret.
async fn secret_versions(bed: &Bed) -> Result<BTreeMap<String, String>> {
    const PAGE: usize = 500;
    let mut versions = BTreeMap::new();
    let mut token = String::new();
    loop {
        let path = format!("{}?limit={PAGE}&continue={token}", secrets());
        let list: Value = bed.api().fetch(&path).await?;
        for item in list["items"].as_array().into_iter().flatten() {
            let text = |key: &str| {
                item["metadata"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            if text("name").ends_with("-identity") {
                versions.insert(text("name"), text("resourceVersion"));
            }
        }
        let next = list.pointer("/metadata/continue").and_then(Value::as_str);
        match next {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return Ok(versions),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
