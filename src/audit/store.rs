//! Where the records are: SQLite in a file, or PostgreSQL, by one code path.
//!
//! What records are looked up by is random: UIDs, serial numbers, digests. One index over all of a
//! column would have every commit change pages all over it, each a page more to write, and more of
//! them the longer the log: at a million records that took three quarters of the time. So an index
//! begins with the *stretch*, `seq / 4096`: new entries go among the last 4096 of their chain, in a
//! few hundred pages that stay the same few hundred. A look-up takes one step for each stretch.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection};

use crate::error::AuditError;

/// Longer than any commit of another process should take, shorter than callers wait.
const BUSY_MILLISECONDS: u32 = 1500;

/// Until a connection must be there.
pub(crate) const ACQUIRE: Duration = Duration::from_secs(5);

/// One store, not connected.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    kind: StoreKind,
    writing: AnyConnectOptions,
    reading: AnyConnectOptions,
    /// The most pages that SQLite may use, 0 for no limit: a disk that is full.
    #[cfg(test)]
    pub(crate) max_pages: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum StoreKind {
    File(PathBuf),
    Memory,
    Postgres,
}

impl Store {
    /// Of a URL: `sqlite:<path>`, `sqlite::memory:` or `postgres://…`.
    pub(crate) fn parse(url: &str) -> Result<Self, AuditError> {
        static MEMORIES: AtomicU64 = AtomicU64::new(0);
        if let Some(path) = url.strip_prefix("sqlite:") {
            if path == ":memory:" {
                let number = MEMORIES.fetch_add(1, Ordering::Relaxed);
                // Shared between this log's connections: by its name, and until the last closes.
                let name = format!("sqlite:file:countersign-audit-{number}?mode=memory");
                return Self::of(StoreKind::Memory, &name, &name);
            }
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(AuditError::Settings("sqlite: without a path".to_owned()));
            }
            let escaped = escape(path);
            return Self::of(
                StoreKind::File(PathBuf::from(path)),
                &format!("sqlite:{escaped}"),
                &format!("sqlite:{escaped}?mode=ro"),
            );
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::of(StoreKind::Postgres, url, url);
        }
        Err(AuditError::Settings(
            "the URL must start with sqlite: or postgres://".to_owned(),
        ))
    }

    fn of(kind: StoreKind, writing: &str, reading: &str) -> Result<Self, AuditError> {
        sqlx::any::install_default_drivers();
        let options = |url: &str| {
            url.parse::<AnyConnectOptions>()
                .map(ConnectOptions::disable_statement_logging)
                // Without the parser's words: they could quote a password.
                .map_err(|_| AuditError::Settings("the URL can't be read".to_owned()))
        };
        Ok(Self {
            kind,
            writing: options(writing)?,
            reading: options(reading)?,
            #[cfg(test)]
            max_pages: std::sync::Arc::default(),
        })
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.kind == StoreKind::Memory
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.kind == StoreKind::Postgres
    }

    /// How a transaction that writes begins. SQLite's takes the lock at once: one that turns from
    /// reading to writing can fail half-way.
    pub(crate) fn begin(&self) -> &'static str {
        match self.kind {
            StoreKind::Postgres => "BEGIN",
            StoreKind::File(_) | StoreKind::Memory => "BEGIN IMMEDIATE",
        }
    }

    /// A connection that writes durably, with all tables there.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        if let StoreKind::File(path) = &self.kind {
            create(path).map_err(sqlx::Error::Io)?;
        }
        let mut connection = AnyConnection::connect_with(&self.writing).await?;
        match self.kind {
            StoreKind::Postgres => {
                run(&mut connection, "SET synchronous_commit = on").await?;
                run(&mut connection, "SET statement_timeout = '10s'").await?;
                run(&mut connection, POSTGRES_TABLES).await?;
            }
            StoreKind::File(_) | StoreKind::Memory => {
                run(&mut connection, SQLITE_SETTINGS).await?;
                self.busy(&mut connection).await?;
                if self.is_memory() {
                    run(&mut connection, "PRAGMA read_uncommitted = ON").await?;
                }
                #[cfg(test)]
                self.limit_pages(&mut connection).await?;
                run(&mut connection, SQLITE_TABLES).await?;
            }
        }
        Ok(connection)
    }

    /// Connections that only read, opened when needed; no statement takes longer than `most`.
    pub(crate) fn readers(&self, most: Duration) -> AnyPool {
        let store = self.clone();
        AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE)
            .after_connect(move |connection, _| {
                let store = store.clone();
                Box::pin(async move {
                    match store.kind {
                        StoreKind::Postgres => {
                            run(connection, "SET default_transaction_read_only = on").await?;
                            let most = most.as_millis();
                            let limit = format!("SET statement_timeout = {most}");
                            sqlx::raw_sql(sqlx::AssertSqlSafe(limit))
                                .execute(connection)
                                .await?;
                        }
                        StoreKind::File(_) | StoreKind::Memory => {
                            store.busy(connection).await?;
                            run(connection, "PRAGMA query_only = ON").await?;
                            if store.is_memory() {
                                run(connection, "PRAGMA read_uncommitted = ON").await?;
                            }
                        }
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(self.reading.clone())
    }

    async fn busy(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let pragma = format!("PRAGMA busy_timeout = {BUSY_MILLISECONDS}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(pragma))
            .execute(connection)
            .await
            .map(drop)
    }

    #[cfg(test)]
    async fn limit_pages(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let pages = self.max_pages.load(Ordering::Relaxed);
        if pages > 0 {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(pragma))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}

async fn run(connection: &mut AnyConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

/// Makes the file if it isn't there, for its owner only. SQLite gives the files beside it the same
/// mode.
fn create(path: &Path) -> std::io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// A path as it may stand in a URL.
pub(crate) fn escape(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// WAL, so that readers and the writer don't wait for each other; FULL, so that a commit survives a
/// loss of power. 32 MB of WAL before it is copied to the file: pages of the indexes change again and
/// again, and each copy is two more syncs.
const SQLITE_SETTINGS: &str = "\
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -4096;
PRAGMA wal_autocheckpoint = 8192;
PRAGMA journal_size_limit = 67108864;";

/// STRICT: a column holds what it says, also after somebody's SQL.
const SQLITE_TABLES: &str = "\
CREATE TABLE IF NOT EXISTS records (
  chain TEXT NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL,
  object_uid TEXT NOT NULL, serial TEXT, spiffe_id TEXT, digest TEXT, parent_digest TEXT,
  delegation_uid TEXT, owner TEXT, requester TEXT, not_after INTEGER,
  body TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (chain, seq)) STRICT;
CREATE TABLE IF NOT EXISTS checkpoints (
  chain TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, time INTEGER NOT NULL,
  token TEXT NOT NULL, PRIMARY KEY (chain, seq)) STRICT;
CREATE TABLE IF NOT EXISTS segments (
  chain TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_hash TEXT NOT NULL,
  digest TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (chain, last_seq)) STRICT;
CREATE INDEX IF NOT EXISTS records_object_uid ON records ((seq / 4096), object_uid);
CREATE INDEX IF NOT EXISTS records_serial ON records ((seq / 4096), serial) WHERE serial IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_spiffe_id ON records ((seq / 4096), spiffe_id) WHERE spiffe_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_digest ON records ((seq / 4096), digest) WHERE digest IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_delegation_uid ON records ((seq / 4096), delegation_uid) WHERE delegation_uid IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_not_after ON records (not_after) WHERE not_after IS NOT NULL;";

/// The lock: two that make the same table at once would fail. It ends with the one transaction that
/// these statements are.
const POSTGRES_TABLES: &str = "\
SELECT 1 FROM pg_advisory_xact_lock(4918287121);
CREATE TABLE IF NOT EXISTS records (
  chain TEXT COLLATE \"C\" NOT NULL, seq BIGINT NOT NULL, time BIGINT NOT NULL, kind TEXT NOT NULL,
  object_uid TEXT NOT NULL, serial TEXT, spiffe_id TEXT, digest TEXT, parent_digest TEXT,
  delegation_uid TEXT, owner TEXT, requester TEXT, not_after BIGINT,
  body TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (chain, seq));
CREATE TABLE IF NOT EXISTS checkpoints (
  chain TEXT COLLATE \"C\" NOT NULL, seq BIGINT NOT NULL, hash TEXT NOT NULL, time BIGINT NOT NULL,
  token TEXT NOT NULL, PRIMARY KEY (chain, seq));
CREATE TABLE IF NOT EXISTS segments (
  chain TEXT COLLATE \"C\" NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL, last_hash TEXT NOT NULL,
  digest TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (chain, last_seq));
CREATE INDEX IF NOT EXISTS records_object_uid ON records ((seq / 4096), object_uid);
CREATE INDEX IF NOT EXISTS records_serial ON records ((seq / 4096), serial) WHERE serial IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_spiffe_id ON records ((seq / 4096), spiffe_id) WHERE spiffe_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_digest ON records ((seq / 4096), digest) WHERE digest IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_delegation_uid ON records ((seq / 4096), delegation_uid) WHERE delegation_uid IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_not_after ON records (not_after) WHERE not_after IS NOT NULL;";
