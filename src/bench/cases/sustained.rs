//! Identities a second, for as long as it goes on.

use anyhow::Result;

use super::PLAIN;
use crate::bed::{Bed, Programs};
use crate::objects::Delivery;
use crate::progress;
use crate::results::Entry;
use crate::shape::Shape;
use crate::writer::{Half, Writer, names, span};

/// Identities on their way at a time; the best one counts. The operator's user sees more of them
/// wait, because creating one is less work than all its writes.
const PLAIN_WINDOWS: [usize; 3] = [16, 32, 64];
const LIVE_WINDOWS: [usize; 4] = [32, 64, 128, 256];

pub(super) async fn run(programs: &Programs, shape: &Shape, quick: bool) -> Result<Vec<Entry>> {
    let count = if quick { 300 } else { 2000 };
    let mut entries = Vec::new();
    for (delivery, kind) in [(Delivery::Secret, "Secret"), (Delivery::Request, "Request")] {
        let plain = best(programs, shape, Half::Plain, delivery, count).await?;
        let live = best(programs, shape, Half::Live, delivery, count).await?;
        let name = format!("sustained identities, {kind}");
        entries.push(
            Entry::new(&name, live, "/s")
                .against(PLAIN, plain)
                .ratio_at_least(0.8),
        );
    }
    Ok(entries)
}

/// The highest rate of a setting.
async fn best(
    programs: &Programs,
    shape: &Shape,
    half: Half,
    delivery: Delivery,
    count: usize,
) -> Result<f64> {
    let bed = Bed::make(programs).await?;
    let (operator, windows) = match half {
        Half::Live => (Some(bed.operator(programs).await?), LIVE_WINDOWS.as_slice()),
        Half::Plain => (None, PLAIN_WINDOWS.as_slice()),
    };
    let writer = Writer {
        bed: &bed,
        shape,
        half,
        delivery,
    };
    let mut highest = 0_f64;
    for &window in windows {
        let tasks = bed
            .tasks(names(&format!("sustained-{window}"), count))
            .await?;
        let made = writer.keep_going(&tasks, window).await?;
        #[allow(clippy::cast_precision_loss, reason = "thousands")]
        let rate = count as f64 / span(&made);
        progress(&format!(
            "sustained: {count} {delivery:?} identities, {window} at a time, {half:?}: {rate:.0}/s"
        ));
        highest = highest.max(rate);
    }
    if let Some(operator) = operator {
        operator.stop().await?;
    }
    Ok(highest)
}
