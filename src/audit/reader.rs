//! Looking records up, while others are written.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyPool, Row};
use tokio::time::timeout;

use crate::Hash;
use crate::batch::{signed, unsigned};
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::entry::Kind;
use crate::error::AuditError;
use crate::record::{Record, Stored, select, select_by};
use crate::store::{ACQUIRE, Store};

/// The most that one look-up returns: the oldest.
pub const MAX_FOUND: usize = 10_000;

/// No look-up of the operator's takes this long on a store that works.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Somebody who goes through all records with a filter that few pass can wait.
const SCAN: Duration = Duration::from_secs(60);

/// Reads a store, and can't do more. What it returns was not verified: that is [`crate::verify()`].
#[derive(Clone)]
pub struct Reader {
    pub(crate) pool: AnyPool,
    pub(crate) postgres: bool,
    most: Duration,
}

/// Which records.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this chain.
    pub chain: Option<String>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only what this owner answers for.
    pub owner: Option<String>,
    /// Not before,
    pub from: Option<Timestamp>,
    /// and before.
    pub until: Option<Timestamp>,
}

/// After which record to go on; the default is before the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The chain.
    pub chain: String,
    /// The sequence number.
    pub seq: u64,
}

impl Reader {
    /// Of the same URLs as [`crate::Settings::url`]. Nothing is made that isn't there.
    ///
    /// # Errors
    /// If the URL can't be read or nothing answers there.
    pub async fn open(url: &str) -> Result<Self, AuditError> {
        let reader = Self::within(&Store::parse(url)?, SCAN);
        // Reads a table: a file that is none of ours is found out now.
        reader.chains().await?;
        Ok(reader)
    }

    pub(crate) fn of(store: &Store) -> Self {
        Self::within(store, LOOK_UP)
    }

    fn within(store: &Store, most: Duration) -> Self {
        Self {
            pool: store.readers(most),
            postgres: store.is_postgres(),
            most: most + ACQUIRE,
        }
    }

    /// Waits for an answer, but not for ever: also a server that hangs, or a network, gives none.
    pub(crate) async fn answer<T>(
        &self,
        asking: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        timeout(self.most, asking).await.unwrap_or_else(|_| {
            let seconds = self.most.as_secs();
            Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("no answer from the store within {seconds} s"),
            )))
        })
    }

    /// About the certificate with this serial number, from the oldest.
    ///
    /// # Errors
    /// If the store can't be read, as with all of these.
    pub async fn by_serial(&self, serial: &str) -> Result<Vec<Record>, AuditError> {
        self.find(select_by!("serial"), serial).await
    }

    /// About the identity with this SPIFFE ID, and the delegations to it; none of what it did, which
    /// may be millions of records.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn by_spiffe_id(&self, id: &str) -> Result<Vec<Record>, AuditError> {
        self.find(select_by!("kind <> 'ActionDecided' AND spiffe_id"), id)
            .await
    }

    /// About the Delegation with this UID.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn by_delegation_uid(&self, uid: &str) -> Result<Vec<Record>, AuditError> {
        self.find(select_by!("delegation_uid"), uid).await
    }

    /// About the hop whose statement has this digest.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn by_digest(&self, digest: &str) -> Result<Vec<Record>, AuditError> {
        self.find(select_by!("digest"), digest).await
    }

    /// About the object with this UID.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn by_object_uid(&self, uid: &str) -> Result<Vec<Record>, AuditError> {
        self.find(select_by!("object_uid"), uid).await
    }

    /// The record at this place.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn by_position(&self, chain: &str, seq: u64) -> Result<Option<Record>, AuditError> {
        let row = self
            .answer(
                sqlx::query(select!("WHERE chain = $1 AND seq = $2"))
                    .bind(chain)
                    .bind(signed(seq))
                    .fetch_optional(&self.pool),
            )
            .await
            .map_err(AuditError::store("look up a record"))?;
        row.map(|row| parse(&row)).transpose()
    }

    /// At most `limit` records after `from`, by chain and sequence number. Fewer only at the end.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn records(
        &self,
        from: &Cursor,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Record>, AuditError> {
        let stored = self.stored(from, filter, limit).await?;
        stored.into_iter().map(Stored::parse).collect()
    }

    pub(crate) async fn stored(
        &self,
        from: &Cursor,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Stored>, AuditError> {
        let rows = self.answer(sqlx::query(select!(
            "WHERE (chain, seq) > ($1, $2) AND ($3 = '' OR chain = $3) AND ($4 = '' OR kind = $4) \
             AND ($5 = '' OR owner = $5) AND time >= $6 AND time < $7 \
             ORDER BY chain, seq LIMIT $8"
        ))
        .bind(&from.chain)
        .bind(signed(from.seq))
        .bind(filter.chain.as_deref().unwrap_or(""))
        .bind(filter.kind.map_or("", Kind::as_str))
        .bind(filter.owner.as_deref().unwrap_or(""))
        .bind(filter.from.map_or(i64::MIN, |it| it.as_millisecond()))
        .bind(filter.until.map_or(i64::MAX, |it| it.as_millisecond()))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)).await
        .map_err(AuditError::store("read records"))?;
        (rows.iter().map(Stored::of).collect::<Result<_, _>>())
            .map_err(AuditError::store("read records"))
    }

    /// The names of all chains that have records, sealed ones included.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn chains(&self) -> Result<Vec<String>, AuditError> {
        let mut chains = self
            .names("SELECT MIN(chain) FROM records WHERE chain > $1")
            .await?;
        chains.extend(
            self.names("SELECT MIN(chain) FROM segments WHERE chain > $1")
                .await?,
        );
        chains.sort_unstable();
        chains.dedup();
        Ok(chains)
    }

    /// The newest checkpoint of every chain, as the store has it.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn latest_checkpoints(&self) -> Result<Vec<SignedCheckpoint>, AuditError> {
        let mut newest = Vec::new();
        for chain in self.chains_of_checkpoints().await? {
            let row = self
                .answer(
                    sqlx::query(
                        "SELECT seq, hash, time, token FROM checkpoints WHERE chain = $1 \
                 ORDER BY seq DESC LIMIT 1",
                    )
                    .bind(&chain)
                    .fetch_optional(&self.pool),
                )
                .await
                .map_err(AuditError::store("read checkpoints"))?;
            if let Some(row) = row {
                newest.push(signed_checkpoint(chain, &row)?);
            }
        }
        Ok(newest)
    }

    pub(crate) async fn chains_of_checkpoints(&self) -> Result<Vec<String>, AuditError> {
        self.names("SELECT MIN(chain) FROM checkpoints WHERE chain > $1")
            .await
    }

    /// Distinct names, each found by one step in the index: there are few among many rows.
    async fn names(&self, next: &'static str) -> Result<Vec<String>, AuditError> {
        let mut names = Vec::new();
        let mut last = String::new();
        loop {
            let row = self
                .answer(sqlx::query(next).bind(&last).fetch_one(&self.pool))
                .await
                .map_err(AuditError::store("list chains"))?;
            let name: Option<String> = row.try_get(0).map_err(AuditError::store("list chains"))?;
            let Some(name) = name else {
                return Ok(names);
            };
            last.clone_from(&name);
            names.push(name);
        }
    }

    async fn find(&self, sql: &'static str, value: &str) -> Result<Vec<Record>, AuditError> {
        let rows = self
            .answer(sqlx::query(sql).bind(value).fetch_all(&self.pool))
            .await
            .map_err(AuditError::store("look up records"))?;
        rows.iter().map(parse).collect()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

fn parse(row: &sqlx::any::AnyRow) -> Result<Record, AuditError> {
    Stored::of(row)
        .map_err(AuditError::store("read a record"))?
        .parse()
}

pub(crate) fn signed_checkpoint(
    chain: String,
    row: &sqlx::any::AnyRow,
) -> Result<SignedCheckpoint, AuditError> {
    let read = || {
        let hash: String = row.try_get(1)?;
        Ok::<_, sqlx::Error>((
            unsigned(row.try_get(0)?),
            hash,
            row.try_get::<i64, _>(2)?,
            row.try_get::<String, _>(3)?,
        ))
    };
    let (seq, hash, time, token) = read().map_err(AuditError::store("read a checkpoint"))?;
    let unreadable = |why: &str| AuditError::Unreadable {
        chain: chain.clone(),
        seq,
        why: why.to_owned(),
    };
    let hash = Hash::parse(&hash).ok_or_else(|| unreadable("its checkpoint's hash is none"))?;
    let time =
        Timestamp::from_second(time).map_err(|_| unreadable("its checkpoint's time is none"))?;
    let checkpoint = Checkpoint {
        chain,
        seq,
        hash,
        time,
    };
    Ok(SignedCheckpoint { checkpoint, token })
}
