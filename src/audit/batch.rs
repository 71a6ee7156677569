//! One commit: rows, their hashes, and the heads that they follow.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use sqlx::{AnyConnection, Connection, Row};
use tokio::time::Instant;

use crate::chain::{GENESIS, Hash, Position, chain_name, hash_of, trust_domain_of};
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::entry::Prepared;
use crate::floor::missing;
use crate::log::Shared;

/// Rows of one statement, from the most. Few sizes, so that each is prepared once; and close ones, since
/// each statement is a turn of the store's thread, which costs more than its rows.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];
const COLUMNS: usize = 15;
/// Tries against another process under the same writer's name, each from the head it left.
const RACES: usize = 5;

static NUMBERED: LazyLock<[String; SIZES.len()]> =
    LazyLock::new(|| SIZES.map(|rows| insert(rows, true)));
static UNNUMBERED: LazyLock<[String; SIZES.len()]> =
    LazyLock::new(|| SIZES.map(|rows| insert(rows, false)));

/// The connection and the heads of the chains.
pub(crate) struct Batch {
    shared: Arc<Shared>,
    connection: Option<AnyConnection>,
    heads: HashMap<String, Head>,
    attempted: Option<InDoubt>,
}

/// Where a chain goes on.
#[derive(Clone, Copy)]
struct Head {
    seq: u64,
    hash: Hash,
    signed: u64,
    /// When the next checkpoint is due, if there is something to sign.
    due: Option<Instant>,
}

/// The last row of a commit whose answer was lost.
#[derive(Clone)]
pub(crate) struct InDoubt(pub(crate) Position);

/// A batch was not written, or it isn't known whether it was.
pub(crate) struct WriteError {
    pub(crate) source: Trouble,
    pub(crate) in_doubt: Option<InDoubt>,
}

/// What stands in the way of a chain.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The store fails.
    Store(sqlx::Error),
    /// The chain is not what it was.
    CutOff {
        chain: String,
        /// For people.
        why: String,
    },
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl Batch {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            connection: None,
            heads: HashMap::new(),
            attempted: None,
        }
    }

    pub(crate) async fn connect(&mut self) -> Result<(), sqlx::Error> {
        self.connected().await.map(drop)
    }

    /// Forgets the connection, which may be in any state, and the heads, which may be another's.
    pub(crate) fn forget(&mut self) {
        self.connection = None;
        self.heads.clear();
    }

    /// Forgets the heads, and says whose they were.
    pub(crate) fn forget_heads(&mut self) -> Vec<String> {
        self.heads.drain().map(|(chain, _)| chain).collect()
    }

    /// Reads where `chain` goes on anew.
    pub(crate) async fn look(&mut self, chain: &str) -> Result<(), Trouble> {
        self.heads.remove(chain);
        self.head(chain).await.map(drop)
    }

    /// One that this writes for.
    pub(crate) fn trust_domain(&self) -> Option<String> {
        (self.heads.keys().next()).map(|chain| trust_domain_of(chain).to_owned())
    }

    pub(crate) async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "audit log: the store did not say goodbye");
        }
    }

    /// Writes all or none; the positions are in the order of `entries`.
    pub(crate) async fn write(
        &mut self,
        entries: &[&Prepared],
    ) -> Result<Vec<Position>, WriteError> {
        let mut races = 0;
        loop {
            self.attempted = None;
            match self.try_write(entries).await {
                Ok(positions) => return Ok(positions),
                Err(Trouble::Store(error)) if is_race(&error) && races < RACES => {
                    races += 1;
                    tracing::warn!("audit log: somebody else writes to this writer's chain");
                    self.forget();
                }
                Err(source) => {
                    return Err(WriteError {
                        source,
                        in_doubt: self.attempted.take(),
                    });
                }
            }
        }
    }

    /// For a write that was given up.
    pub(crate) fn timed_out(&mut self) -> WriteError {
        WriteError {
            source: crate::writer::no_answer().into(),
            in_doubt: self.attempted.take(),
        }
    }

    /// Is this row in the store?
    pub(crate) async fn has(&mut self, row: &InDoubt) -> Result<bool, sqlx::Error> {
        let (chain, seq) = (row.0.chain.clone(), signed(row.0.seq));
        let connection = self.connected().await?;
        let found = sqlx::query("SELECT hash FROM records WHERE chain = $1 AND seq = $2")
            .bind(chain)
            .bind(seq)
            .fetch_optional(connection)
            .await?;
        let hash: Option<String> = found.map(|it| it.try_get(0)).transpose()?;
        let there = hash.is_some_and(|it| it == row.0.hash.to_string());
        if there {
            let Position { chain, seq, hash } = &row.0;
            self.shared.floor.lock().wrote(chain, *seq, *hash);
        }
        Ok(there)
    }

    async fn connected(&mut self) -> Result<&mut AnyConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.shared.store.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn try_write(&mut self, entries: &[&Prepared]) -> Result<Vec<Position>, Trouble> {
        let mut heads: HashMap<String, Head> = HashMap::new();
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            let chain = chain_name(&entry.trust_domain, &self.shared.settings.writer);
            let mut head = match heads.get(&chain) {
                Some(head) => *head,
                None => self.head(&chain).await?,
            };
            head.seq += 1;
            head.hash = hash_of(&chain, head.seq, &head.hash, &entry.body);
            heads.insert(chain.clone(), head);
            rows.push(Position {
                chain,
                seq: head.seq,
                hash: head.hash,
            });
        }
        let begin = self.shared.store.begin();
        let inserts = match self.shared.store.is_postgres() {
            true => &*NUMBERED,
            false => &*UNNUMBERED,
        };
        self.attempted = rows.last().cloned().map(InDoubt);
        let connection = self.connected().await?;
        let mut transaction = connection.begin_with(begin).await?;
        let mut at = 0;
        for (size, sql) in SIZES.into_iter().zip(inserts) {
            while let (Some(entries), Some(rows)) =
                (entries.get(at..at + size), rows.get(at..at + size))
            {
                let mut query = sqlx::query(sql.as_str());
                for (entry, row) in entries.iter().zip(rows) {
                    query = bind(query, entry, row);
                }
                query.execute(&mut *transaction).await?;
                at += size;
            }
        }
        transaction.commit().await?;
        self.attempted = None;
        let due = Instant::now() + self.shared.settings.checkpoint_interval;
        let mut floor = self.shared.floor.lock();
        for (chain, mut head) in heads {
            floor.wrote(&chain, head.seq, head.hash);
            head.due = head.due.or(Some(due));
            self.heads.insert(chain, head);
        }
        Ok(rows)
    }

    /// Where `chain` goes on, by memory or from the store: if it still has what it had.
    async fn head(&mut self, chain: &str) -> Result<Head, Trouble> {
        if let Some(head) = self.heads.get(chain) {
            return Ok(*head);
        }
        let verifier = self.shared.verifier.read().clone();
        let marks = self.shared.floor.lock().marks(chain);
        let connection = self.connected().await?;
        let mut newest = None;
        for sql in [
            "SELECT seq, hash FROM records WHERE chain = $1 ORDER BY seq DESC LIMIT 1",
            "SELECT last_seq, last_hash FROM segments WHERE chain = $1 ORDER BY last_seq DESC LIMIT 1",
        ] {
            let row = sqlx::query(sql)
                .bind(chain)
                .fetch_optional(&mut *connection)
                .await?;
            if let Some(row) = row {
                newest = Some((row.try_get(0)?, row.try_get::<String, _>(1)?));
                break;
            }
        }
        let (seq, hash) = match newest {
            None => (0, GENESIS),
            Some((seq, hash)) => (unsigned(seq), Hash::parse(&hash).ok_or_else(bad_hash)?),
        };
        if let Some(why) = missing(connection, chain, seq, &marks, verifier.as_deref()).await? {
            let chain = chain.to_owned();
            return Err(Trouble::CutOff { chain, why });
        }
        let row = sqlx::query(
            "SELECT seq, hash, time, token FROM checkpoints WHERE chain = $1 AND seq <= $2 \
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(chain)
        .bind(self::signed(seq))
        .fetch_optional(connection)
        .await?;
        let mut signed = 0;
        if let Some(row) = row {
            let token: String = row.try_get(3)?;
            let checkpoint = Checkpoint {
                chain: chain.to_owned(),
                seq: unsigned(row.try_get(0)?),
                hash: Hash::parse(&row.try_get::<String, _>(1)?).ok_or_else(bad_hash)?,
                time: Timestamp::from_second(row.try_get(2)?).unwrap_or_default(),
            };
            let good = verifier.is_none_or(|it| it.verify(&token).is_ok_and(|it| it == checkpoint));
            if good {
                signed = checkpoint.seq;
                self.hand_out(SignedCheckpoint { checkpoint, token });
            }
        }
        let due = (seq > signed).then(|| Instant::now() + self.shared.settings.checkpoint_interval);
        let head = Head {
            seq,
            hash,
            signed,
            due,
        };
        self.heads.insert(chain.to_owned(), head);
        Ok(head)
    }

    /// A checkpoint from the store, for want of one that this process signed.
    fn hand_out(&self, known: SignedCheckpoint) {
        let Checkpoint {
            chain, seq, hash, ..
        } = &known.checkpoint;
        // Whoever keeps it elsewhere replaces a higher one by it.
        if self.shared.floor.lock().allows(chain, *seq, *hash) {
            let mut checkpoints = self.shared.checkpoints.lock();
            checkpoints.entry(chain.clone()).or_insert(known);
        }
    }

    /// When the next checkpoint is due.
    pub(crate) fn signing_time(&self) -> Option<Instant> {
        self.shared.signer.read().as_ref()?;
        self.heads.values().filter_map(|it| it.due).min()
    }

    /// Signs the heads that are due, or all that have something new.
    pub(crate) async fn sign(&mut self, all: bool) -> Result<(), sqlx::Error> {
        let Some(signer) = self.shared.signer.read().clone() else {
            return Ok(());
        };
        let now = Instant::now();
        let every = self.shared.settings.checkpoint_records;
        let due: Vec<(String, Head)> = (self.heads.iter())
            .filter(|(_, head)| head.seq > head.signed)
            .filter(|(_, head)| {
                all || head.seq - head.signed >= every || head.due.is_some_and(|due| due <= now)
            })
            .map(|(chain, head)| (chain.clone(), *head))
            .collect();
        for (chain, head) in due {
            if !self.shared.floor.lock().allows(&chain, head.seq, head.hash) {
                // Somebody came to know of more since it was read.
                self.shared.floor_moved.store(true, Ordering::Release);
                continue;
            }
            let time = (self.shared.settings.now)().as_second();
            let checkpoint = Checkpoint {
                chain: chain.clone(),
                seq: head.seq,
                hash: head.hash,
                time: Timestamp::from_second(time).unwrap_or_default(),
            };
            let Some(token) = signer.sign(trust_domain_of(&chain), &checkpoint) else {
                // Without a key now; asked again after the interval.
                if let Some(head) = self.heads.get_mut(&chain) {
                    head.due = Some(now + self.shared.settings.checkpoint_interval);
                }
                continue;
            };
            let newest = SignedCheckpoint { checkpoint, token };
            keep(self.connected().await?, &newest).await?;
            if let Some(head) = self.heads.get_mut(&chain) {
                head.signed = head.seq;
                head.due = None;
            }
            self.shared.floor.lock().wrote(&chain, head.seq, head.hash);
            self.shared.checkpoints.lock().insert(chain, newest);
        }
        Ok(())
    }
}

/// Puts a checkpoint into the store, unless there is one on its record.
pub(crate) async fn keep(
    connection: &mut AnyConnection,
    it: &SignedCheckpoint,
) -> Result<(), sqlx::Error> {
    let Checkpoint {
        chain,
        seq,
        hash,
        time,
    } = &it.checkpoint;
    sqlx::query(
        "INSERT INTO checkpoints (chain, seq, hash, time, token) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT DO NOTHING",
    )
    .bind(chain.clone())
    .bind(signed(*seq))
    .bind(hash.to_string())
    .bind(time.as_second())
    .bind(it.token.clone())
    .execute(connection)
    .await
    .map(drop)
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

fn bind(query: Query, entry: &Prepared, row: &Position) -> Query {
    let columns = entry.columns.clone();
    query
        .bind(row.chain.clone())
        .bind(signed(row.seq))
        .bind(columns.time)
        .bind(columns.kind)
        .bind(columns.object_uid)
        .bind(columns.serial)
        .bind(columns.spiffe_id)
        .bind(columns.digest)
        .bind(columns.parent_digest)
        .bind(columns.delegation_uid)
        .bind(columns.owner)
        .bind(columns.requester)
        .bind(columns.not_after)
        .bind(entry.body.clone())
        .bind(row.hash.to_string())
}

/// The statement that inserts `rows` rows. PostgreSQL wants its parameters numbered; SQLite looks a
/// parameter with a name up among all others each time, which at 256 rows is most of the work.
fn insert(rows: usize, numbered: bool) -> String {
    let mut sql = String::from(
        "INSERT INTO records (chain, seq, time, kind, object_uid, serial, spiffe_id, digest, \
         parent_digest, delegation_uid, owner, requester, not_after, body, hash) VALUES ",
    );
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=COLUMNS {
            let comma = if column == 1 { "" } else { ", " };
            if numbered {
                sql.push_str(&format!("{comma}${}", row * COLUMNS + column));
            } else {
                sql.push_str(&format!("{comma}?"));
            }
        }
        sql.push(')');
    }
    sql
}

fn is_race(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|it| it.is_unique_violation())
}

fn bad_hash() -> sqlx::Error {
    sqlx::Error::Protocol("the newest hash of a chain is none".to_owned())
}

/// As a database keeps it; a chain never gets near the end of either.
pub(crate) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// As a database kept it; nothing is at a negative place.
pub(crate) fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
