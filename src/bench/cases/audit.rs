//! The audit log: records a second into SQLite and PostgreSQL, and a trail through a million.
//!
//! Each appender waits until its record is on the disk before it makes the next, so that with few
//! of them the disk's time for a commit is what is measured; whatever waits shares one commit. The
//! plain writer inserts the same rows by one connection, as many a commit.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use countersign_audit::{Log, Reader, TrailStart};
use countersign_testbed::Postgres;
use tokio::task::JoinSet;

use super::statistics::percentile;
use crate::bed::Programs;
use crate::progress;
use crate::records::{RECORDS, TRAIL, serial, spiffe_id};
use crate::results::Entry;
use crate::storing::{append, insert, open, rows};

/// Appenders where many are at it, and as many as an operator has workers.
const MANY: usize = 1024;
const WORKERS: usize = 32;

/// Appended with a line about it.
const PART: usize = 100_000;

/// Trails of each kind.
const TRAILS: usize = 200;

const PLAIN_INSERTS: &str = "plain inserts, as many a commit";

/// What a log sets on its connections.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA cache_size = -4096; PRAGMA journal_size_limit = 67108864";
const POSTGRES: &str = "SET synchronous_commit = on";

/// How much of each.
#[derive(Debug, Clone, Copy)]
struct Work {
    sqlite: usize,
    by_workers: usize,
    postgres: usize,
    plain: usize,
}

pub(super) async fn run(programs: &Programs, quick: bool) -> Result<Vec<Entry>> {
    let work = if quick {
        Work {
            sqlite: 100_000,
            by_workers: 5_000,
            postgres: 20_000,
            plain: 20_000,
        }
    } else {
        Work {
            sqlite: 1_000_000,
            by_workers: 50_000,
            postgres: 100_000,
            plain: 100_000,
        }
    };
    let out = programs.out().to_owned();
    // A runtime with threads, as the operator has one: the harness' own has but one.
    let whole = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("make a runtime")?;
        runtime.block_on(measure(&out, work))
    };
    tokio::task::spawn_blocking(whole).await?
}

async fn measure(out: &Path, work: Work) -> Result<Vec<Entry>> {
    let mut entries = sqlite(out, work).await?;
    match Postgres::start_below(out)? {
        Some(server) => entries.extend(postgres(&server, work).await?),
        None => progress(
            "audit: NOT MEASURED: PostgreSQL is not installed (Debian: apt-get install postgresql)",
        ),
    }
    Ok(entries)
}

async fn sqlite(out: &Path, work: Work) -> Result<Vec<Entry>> {
    let folder = tempfile::Builder::new().prefix("audit").tempdir_in(out)?;
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let mut writers = JoinSet::new();

    let few = file("few.db");
    let log = open(&few, &mut writers).await?;
    let by_workers = append(&log, 0, work.by_workers, WORKERS).await?;
    log.close().await;

    let url = file("audit.db");
    let log = open(&url, &mut writers).await?;
    let rate = append_in_parts(&log, work.sqlite).await?;
    progress(&format!(
        "audit: SQLite: {rate:.0}/s by {MANY} appenders, {by_workers:.0}/s by {WORKERS}"
    ));
    let trails = trails(&log.reader(), work.sqlite).await?;
    log.close().await;

    let rows = rows(&url, work.plain).await?;
    let plain = insert(&file("plain.db"), &rows, SQLITE).await?;
    let mut entries = vec![
        Entry::new("audit records into SQLite", rate, "/s")
            .against(PLAIN_INSERTS, plain)
            .at_least(20_000.0),
        Entry::new(
            &format!("audit records into SQLite, {WORKERS} appenders"),
            by_workers,
            "/s",
        ),
    ];
    entries.extend(trails);
    while let Some(ended) = writers.join_next().await {
        ended?;
    }
    Ok(entries)
}

/// Records a second over all of it, with a line for each part: indexes grow.
#[allow(clippy::cast_precision_loss, reason = "millions")]
async fn append_in_parts(log: &Log, records: usize) -> Result<f64> {
    let mut seconds = 0.0;
    for first in (0..records).step_by(PART) {
        let count = PART.min(records - first);
        let rate = append(log, first, count, MANY).await?;
        let stored = first + count;
        progress(&format!("audit: SQLite: {stored} records, {rate:.0}/s"));
        seconds += count as f64 / rate;
    }
    Ok(records as f64 / seconds)
}

async fn postgres(server: &Postgres, work: Work) -> Result<Vec<Entry>> {
    let mut writers = JoinSet::new();
    let url = server.database("audit")?;
    let log = open(&url, &mut writers).await?;
    let rate = append(&log, 0, work.postgres, MANY).await?;
    let by_workers = append(&log, work.postgres, work.by_workers, WORKERS).await?;
    log.close().await;
    progress(&format!(
        "audit: PostgreSQL: {rate:.0}/s by {MANY} appenders, {by_workers:.0}/s by {WORKERS}"
    ));
    let rows = rows(&url, work.plain).await?;
    let plain = insert(&server.database("plain")?, &rows, POSTGRES).await?;
    while let Some(ended) = writers.join_next().await {
        ended?;
    }
    Ok(vec![
        Entry::new("audit records into PostgreSQL", rate, "/s")
            .against(PLAIN_INSERTS, plain)
            .at_least(5000.0),
        Entry::new(
            &format!("audit records into PostgreSQL, {WORKERS} appenders"),
            by_workers,
            "/s",
        ),
    ])
}

/// From a certificate, or from an agent, back over three hops to the owner.
async fn trails(reader: &Reader, records: usize) -> Result<Vec<Entry>> {
    let stories = records / RECORDS;
    // Far apart, each a different one.
    let story = |number: usize| number * 7919 % stories;
    let serials = (0..TRAILS).map(|it| TrailStart::Serial(serial(story(it))));
    let ids = (TRAILS..2 * TRAILS).map(|it| TrailStart::SpiffeId(spiffe_id(story(it), 2)));
    let mut took = Vec::new();
    for start in serials.chain(ids) {
        let started = Instant::now();
        let trail = reader.trail(&start).await?;
        took.push(started.elapsed().as_secs_f64() * 1000.0);
        ensure!(
            trail.len() == TRAIL,
            "a trail of {} records instead of {TRAIL} from {start:?}",
            trail.len()
        );
    }
    let entry = |percent| {
        let name = format!("trail over {records} records, p{percent}");
        Entry::new(&name, percentile(took.clone(), percent), "ms")
    };
    Ok(vec![entry(50).at_most(50.0), entry(99)])
}
