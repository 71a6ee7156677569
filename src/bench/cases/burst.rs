//! 300 identities at once: until a watch shows the last one Ready.

use anyhow::Result;

use super::PLAIN;
use super::statistics::median;
use crate::bed::{Bed, Programs};
use crate::objects::Delivery;
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;
use crate::writer::{Half, Writer, names, span};

const IDENTITIES: usize = 300;

/// Over so many connections at a time; the best one counts, for both halves.
const CONNECTIONS: [usize; 3] = [16, 32, 64];

pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let rounds = if quick { 1 } else { 5 };
    let mut entries = Vec::new();
    for (delivery, kind) in [(Delivery::Secret, "Secret"), (Delivery::Request, "Request")] {
        let plain = best(programs, shape, Half::Plain, delivery, rounds).await?;
        let live = best(programs, shape, Half::Live, delivery, rounds).await?;
        let name = format!("burst of {IDENTITIES}, all Ready, {kind}");
        entries.push(
            Entry::new(&name, live, "s")
                .against(PLAIN, plain)
                .ratio_at_most(1.25),
        );
    }
    Ok(entries)
}

/// The least median of a setting, in seconds.
async fn best(
    programs: &Programs,
    shape: &Shape,
    half: Half,
    delivery: Delivery,
    rounds: usize,
) -> Result<f64> {
    let bed = Bed::make(programs).await?;
    let operator = match half {
        Half::Live => Some(bed.operator(programs).await?),
        Half::Plain => None,
    };
    let writer = Writer {
        bed: &bed,
        shape,
        half,
        delivery,
    };
    let mut least = f64::INFINITY;
    for connections in CONNECTIONS {
        let mut took = Vec::new();
        for round in 0..rounds {
            let prefix = format!("burst-{connections}-{round}");
            let tasks = bed.tasks(names(&prefix, IDENTITIES)).await?;
            let made = match half {
                // The plain writer is a closed loop of its own: three writes, then the next.
                Half::Plain => writer.keep_going(&tasks, connections).await?,
                Half::Live => writer.burst(&tasks, connections).await?,
            };
            took.push(span(&made));
        }
        let took = median(took);
        progress(&format!(
            "burst: {IDENTITIES} {delivery:?} identities over {connections} connections, {half:?}: {took:.2} s"
        ));
        least = least.min(took);
    }
    if let Some(operator) = operator {
        operator.stop().await?;
    }
    Ok(least)
}
