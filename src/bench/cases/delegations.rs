//! Nothing else goes on: from the create call of a delegation to a watch that shows `Ready=True`.
//!
//! The operator writes its status, and at a hop afterwards the reference to its parent, which no
//! user waits for. The plain writer makes the same writes in the same order.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::PLAIN;
use super::statistics::percentile;
use crate::bed::{Bed, Programs};
use crate::delegating::{status, status_of};
use crate::objects::{From, delegation, delegations};
use crate::progress;
use crate::results::Entry;
use crate::sight::Sight;
use crate::writer::{Half, names};

/// Between two delegations, so that each finds everybody at rest.
const PAUSE: Duration = Duration::from_millis(30);

/// The first few wake everybody up and aren't counted.
const WARM_UP: usize = 10;

const PLANNER: &str = "planner";
const READER: &str = "reader";

/// The root that the hops are below.
const TOP: &str = "top";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Root,
    Hop,
}

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 50 } else { 300 };
    let mut entries = Vec::new();
    for kind in [Kind::Root, Kind::Hop] {
        let (live, shape) = live(programs, kind, count).await?;
        let plain = plain(programs, kind, count, &shape).await?;
        let what = match kind {
            Kind::Root => "root",
            Kind::Hop => "hop",
        };
        for percent in [50, 99] {
            let name = format!("delegation to Ready when idle, {what}, p{percent}");
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

impl Kind {
    fn object(self, name: &str) -> Value {
        match self {
            Self::Root => delegation(name, From::Owner, READER, 1, 0),
            Self::Hop => {
                let from = From::Agent {
                    name: PLANNER,
                    parent: TOP,
                };
                delegation(name, from, READER, 2, 0)
            }
        }
    }
}

/// By the operator: milliseconds of each, and the status of one.
async fn live(programs: &Programs, kind: Kind, count: usize) -> Result<(Vec<f64>, Value)> {
    let bed = Bed::make(programs).await?;
    let operator = bed.operator(programs).await?;
    bed.agents(&[PLANNER, READER].map(str::to_owned)).await?;
    let sight = Sight::countersigned(bed.api()).await?;
    let top = sight.expect(TOP);
    let object = delegation(TOP, From::Owner, PLANNER, 1, 1);
    bed.api().create(&delegations(), &object).await?;
    top.seen().await?;
    let write = async |name: &str| bed.api().create(&delegations(), &kind.object(name)).await;
    let took = one_by_one(kind, Half::Live, &sight, count, write).await?;
    let last = names("idle", WARM_UP + count).pop().context("none")?;
    let shape = status(&bed, &last).await?;
    operator.stop().await?;
    Ok((took, shape))
}

/// By the harness, with such a status.
async fn plain(programs: &Programs, kind: Kind, count: usize, shape: &Value) -> Result<Vec<f64>> {
    let bed = Bed::make(programs).await?;
    let api = bed.api();
    let object = delegation(TOP, From::Owner, PLANNER, 1, 1);
    let top: Value = api.create_as(&delegations(), &object).await?;
    let reference = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "name": TOP,
        "uid": top["metadata"]["uid"],
    }]}});
    let filled = json!({"status": shape});
    let write = async |name: &str| {
        api.create(&delegations(), &kind.object(name)).await?;
        api.patch(&status_of(name), &filled).await?;
        if kind == Kind::Hop {
            let path = format!("{}/{name}", delegations());
            api.patch(&path, &reference).await?;
        }
        Ok(())
    };
    let sight = Sight::countersigned(api).await?;
    one_by_one(kind, Half::Plain, &sight, count, write).await
}

async fn one_by_one(
    kind: Kind,
    half: Half,
    sight: &Sight,
    count: usize,
    write: impl AsyncFn(&str) -> Result<()>,
) -> Result<Vec<f64>> {
    progress(&format!(
        "delegations: {count} one by one, {kind:?}, {half:?}"
    ));
    let mut took = Vec::new();
    for name in names("idle", WARM_UP + count) {
        let awaited = sight.expect(&name);
        let sent = Instant::now();
        write(&name).await?;
        let ready = awaited.seen().await?;
        took.push(ready.duration_since(sent).as_secs_f64() * 1000.0);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(took.split_off(WARM_UP))
}
