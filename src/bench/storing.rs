//! Records a second: through the audit log, and by plain inserts of the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use countersign_audit::{Checkpoint, CheckpointSigner, Log, Settings};
use countersign_statement::{Signer, checkpoint};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::task::JoinSet;

use crate::clock::now;
use crate::records::record;
use crate::signed::Signatory;

/// Rows of a plain insert, and of a plain commit: as many as appenders wait at a time.
const ROWS: usize = 256;
const COMMIT: usize = 1024;

const COLUMNS: &str = "chain, seq, time, kind, object_uid, serial, spiffe_id, digest, \
    parent_digest, delegation_uid, owner, requester, not_after, body, hash";

/// Signs checkpoints as the operator does.
struct Checkpoints(Arc<Signer>);

impl CheckpointSigner for Checkpoints {
    fn sign(&self, _trust_domain: &str, head: &Checkpoint) -> Option<String> {
        let head = checkpoint::Checkpoint {
            issued_at: head.time,
            chain: head.chain.clone(),
            sequence: head.seq,
            hash: *head.hash.as_bytes(),
        };
        checkpoint::sign(&head, &self.0).ok()
    }
}

/// A log with signed checkpoints, and its writer.
pub(crate) async fn open(url: &str, writers: &mut JoinSet<()>) -> Result<Log> {
    let mut settings = Settings::new(url, "bench", Arc::new(now));
    // A machine that is too busy shows in the rate, and doesn't break the measurement off.
    settings.append_timeout = Duration::from_secs(60);
    let log = Log::open(settings).await?;
    log.set_signer(Arc::new(Checkpoints(Signatory::make()?.checkpoints()?)));
    writers.spawn(log.run());
    Ok(log)
}

/// Appends the records from `first` on by so many tasks, each waiting for its record to be durable
/// before it makes the next. Records a second.
pub(crate) async fn append(log: &Log, first: usize, count: usize, appenders: usize) -> Result<f64> {
    let next = Arc::new(AtomicUsize::new(first));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..appenders {
        let (log, next) = (log.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= first + count {
                    return anyhow::Ok(());
                }
                log.append(record(number)?).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(rate(count, started))
}

/// The oldest rows of a log as they are in its store.
pub(crate) async fn rows(url: &str, count: usize) -> Result<Vec<AnyRow>> {
    let mut connection = AnyConnection::connect(url).await?;
    let sql = format!("SELECT {COLUMNS} FROM records ORDER BY chain, seq LIMIT {count}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql));
    Ok(rows.fetch_all(&mut connection).await?)
}

/// Inserts the rows into an empty store by one connection, and nothing else: no hashes, no
/// checkpoints, nobody to answer. Records a second.
pub(crate) async fn insert(url: &str, rows: &[AnyRow], settings: &'static str) -> Result<f64> {
    // It makes the tables.
    drop(Log::open(Settings::new(url, "plain", Arc::new(now))).await?);
    let mut connection = AnyConnection::connect(url).await?;
    sqlx::raw_sql(settings).execute(&mut connection).await?;
    let started = Instant::now();
    for batch in rows.chunks(COMMIT) {
        let mut transaction = connection.begin().await?;
        for rows in batch.chunks(ROWS) {
            let statement = statement(rows.len());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(statement));
            for row in rows {
                query = query
                    .bind(row.try_get::<String, _>(0)?)
                    .bind(row.try_get::<i64, _>(1)?)
                    .bind(row.try_get::<i64, _>(2)?);
                for column in 3..12 {
                    query = query.bind(row.try_get::<Option<String>, _>(column)?);
                }
                query = query
                    .bind(row.try_get::<Option<i64>, _>(12)?)
                    .bind(row.try_get::<String, _>(13)?)
                    .bind(row.try_get::<String, _>(14)?);
            }
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    let rate = rate(rows.len(), started);
    connection.close().await.context("close a store")?;
    Ok(rate)
}

fn statement(rows: usize) -> String {
    const WIDTH: usize = 15;
    let row = |row: usize| {
        let places: Vec<String> = (1..=WIDTH)
            .map(|it| format!("${}", row * WIDTH + it))
            .collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO records ({COLUMNS}) VALUES {}", rows.join(", "))
}

#[allow(clippy::cast_precision_loss, reason = "millions")]
fn rate(count: usize, started: Instant) -> f64 {
    count as f64 / started.elapsed().as_secs_f64()
}
