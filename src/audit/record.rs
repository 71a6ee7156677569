//! Records as they come back from a store.

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::batch::unsigned;
use crate::chain::{Hash, Position};
use crate::columns::Columns;
use crate::entry::Entry;
use crate::error::AuditError;

/// A record: an entry and where it stands. Read, not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Where it stands.
    #[serde(flatten)]
    pub position: Position,
    /// What happened.
    pub entry: Entry,
    /// The exact text that was hashed.
    #[serde(skip)]
    pub body: String,
}

/// A row, each part of it as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) chain: String,
    pub(crate) seq: u64,
    pub(crate) columns: Columns,
    pub(crate) body: String,
    pub(crate) hash: String,
}

/// The columns of [`Stored`], in its order.
macro_rules! select_columns {
    ($rest:expr) => {
        concat!(
            "SELECT chain, seq, time, kind, object_uid, serial, spiffe_id, digest, parent_digest, \
             delegation_uid, owner, requester, not_after, body, hash ",
            $rest
        )
    };
}
pub(crate) use select_columns;

/// Rows of the one table, as [`Stored`] has them.
macro_rules! select {
    ($rest:literal) => {
        $crate::record::select_columns!(concat!("FROM records ", $rest))
    };
}
pub(crate) use select;

/// Every stretch that has records, as `stretches(stretch)`: one step in an index for each. See
/// [`crate::store`] for what a stretch is.
macro_rules! with_stretches {
    ($rest:expr) => {
        concat!(
            "WITH RECURSIVE stretches (stretch) AS (SELECT MIN(seq / 4096) FROM records UNION ALL \
             SELECT (SELECT MIN(seq / 4096) FROM records WHERE seq / 4096 > stretch) \
             FROM stretches WHERE stretch IS NOT NULL) ",
            $rest
        )
    };
}
pub(crate) use with_stretches;

/// All records whose `$column` is `$1`, from the oldest.
macro_rules! select_by {
    ($column:literal) => {
        $crate::record::with_stretches!($crate::record::select_columns!(concat!(
            "FROM stretches CROSS JOIN records WHERE seq / 4096 = stretch AND ",
            $column,
            " = $1 ORDER BY time, seq LIMIT 10000"
        )))
    };
}
pub(crate) use select_by;

impl Stored {
    pub(crate) fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            chain: row.try_get(0)?,
            seq: unsigned(row.try_get(1)?),
            columns: Columns {
                time: row.try_get(2)?,
                kind: row.try_get(3)?,
                object_uid: row.try_get(4)?,
                serial: row.try_get(5)?,
                spiffe_id: row.try_get(6)?,
                digest: row.try_get(7)?,
                parent_digest: row.try_get(8)?,
                delegation_uid: row.try_get(9)?,
                owner: row.try_get(10)?,
                requester: row.try_get(11)?,
                not_after: row.try_get(12)?,
            },
            body: row.try_get(13)?,
            hash: row.try_get(14)?,
        })
    }

    pub(crate) fn parse(self) -> Result<Record, AuditError> {
        let parsed = serde_json::from_str(&self.body).map_err(|error| error.to_string());
        let hash = Hash::parse(&self.hash).ok_or_else(|| "its hash is none".to_owned());
        match (parsed, hash) {
            (Ok(entry), Ok(hash)) => Ok(Record {
                position: Position {
                    chain: self.chain,
                    seq: self.seq,
                    hash,
                },
                entry,
                body: self.body,
            }),
            (Err(why), _) | (_, Err(why)) => Err(AuditError::Unreadable {
                chain: self.chain,
                seq: self.seq,
                why,
            }),
        }
    }
}
