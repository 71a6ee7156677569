//! The issuing endpoint on one core: certificates a second over connections that stay, and how long
//! one takes at half of what is asked for; beside the signature by itself, and beside SPIRE's server
//! where there is one.

mod endpoint;
mod load;
mod signature;
mod spire;

use anyhow::Result;

use crate::bed::{Bed, Programs};
use crate::counters::Counters;
use crate::progress;
use crate::results::Entry;
use endpoint::Endpoint;

/// What one core must reach.
const GOAL: f64 = 3000.0;
/// At half of it, nearly everybody waits no longer than this, in milliseconds.
const P99: f64 = 10.0;

const SIGNATURE: &str = "its signature alone, one core";
const SPIRE: &str = "SPIRE's server, one core, its socket without TLS";

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let (rounds, seconds) = if quick { (1, 2) } else { (5, 10) };
    progress("issue: signatures alone");
    let alone = signature::a_second(if quick { 2000 } else { 20_000 })?;
    progress("issue: 64 pods, each with an identity");
    let bed = Bed::make(programs).await?;
    let operator = bed.operator(programs).await?;
    let endpoint = Endpoint::start(programs, &bed).await?;
    let before = Counters::read(bed.api()).await?;
    progress("issue: as many as one core gives");
    let (rate, made) = load::saturate(&endpoint.callers, rounds).await?;
    progress("issue: at half of what is asked for");
    let (took, more) = load::paced(&endpoint.callers, GOAL / 2.0, seconds).await?;
    let writes = Counters::read(bed.api()).await?.since(&before);
    // The operator publishes a checkpoint of its audit log from time to time.
    let writes = writes.without("configmaps");
    endpoint.stop()?;
    operator.stop().await?;
    let issued = made + more;
    let mut entries = vec![
        Entry::new("certificates issued to pods, one core", rate, "/s")
            .against(SIGNATURE, alone)
            .at_least(GOAL),
        Entry::new(
            "certificate to a pod at 1,500/s, p50",
            took.p50 / 1000.0,
            "ms",
        ),
        Entry::new(
            "certificate to a pod at 1,500/s, p99",
            took.p99 / 1000.0,
            "ms",
        )
        .at_most(P99),
        Entry::new(
            &format!("API writes while {issued} certificates were issued to pods"),
            writes.total() as f64,
            "writes",
        )
        .at_most(0.0),
    ];
    match spire::a_second(programs, rounds).await? {
        Some(theirs) => entries.push(
            Entry::new("certificates issued to pods, beside SPIRE", rate, "/s")
                .against(SPIRE, theirs),
        ),
        None => progress("issue: no SPIRE here: hack/bench.sh builds it"),
    }
    Ok(entries)
}
