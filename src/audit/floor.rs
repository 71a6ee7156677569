//! What a chain must still have. A database says what a chain's head is; whoever may write anything
//! there could have it say less than was signed, and have the log sign that.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AnyConnection, Row};

use crate::batch::{signed, unsigned};
use crate::chain::Hash;
use crate::checkpoint::{Checkpoint, CheckpointVerifier};

/// Records that were there, for each chain.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    /// The farthest known from elsewhere. More than one only if two were signed on one record.
    given: BTreeMap<String, BTreeSet<(u64, Hash)>>,
    /// The farthest that this process wrote or signed.
    own: BTreeMap<String, (u64, Hash)>,
}

/// A record that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
    how: &'static str,
}

impl Floor {
    /// Merges what is known from elsewhere; is any of it new?
    pub(crate) fn give(&mut self, checkpoints: impl Iterator<Item = Checkpoint>) -> bool {
        let mut new = false;
        for Checkpoint {
            chain, seq, hash, ..
        } in checkpoints.filter(|it| it.seq > 0)
        {
            let marks = self.given.entry(chain).or_default();
            let highest = marks.last().map_or(0, |it| it.0);
            if seq > highest {
                marks.clear();
            }
            if seq >= highest {
                new |= marks.insert((seq, hash));
            }
        }
        new
    }

    /// This process wrote or signed that.
    pub(crate) fn wrote(&mut self, chain: &str, seq: u64, hash: Hash) {
        match self.own.get_mut(chain) {
            Some(own) if own.0 > seq => {}
            Some(own) => *own = (seq, hash),
            None => {
                self.own.insert(chain.to_owned(), (seq, hash));
            }
        }
    }

    /// What `chain` must have. Both the farthest from elsewhere and the farthest of this process: the
    /// latter may have been written behind what was cut off before.
    pub(crate) fn marks(&self, chain: &str) -> Vec<Mark> {
        let mark = |how| move |&(seq, hash): &(u64, Hash)| Mark { seq, hash, how };
        let given = self.given.get(chain).into_iter().flatten();
        let own = self.own.get(chain).into_iter();
        (given.map(mark("signed")))
            .chain(own.map(mark("written")))
            .collect()
    }

    /// Is more known from elsewhere than a checkpoint with this place and hash, or something else?
    pub(crate) fn outdates(&self, chain: &str, seq: u64, hash: Hash) -> bool {
        let given = self.given.get(chain).into_iter().flatten();
        let mut given = given.copied();
        given.any(|(at, other)| at > seq || (at == seq && other != hash))
    }

    /// May a checkpoint with this place and hash be signed or handed out?
    pub(crate) fn allows(&self, chain: &str, seq: u64, hash: Hash) -> bool {
        (self.marks(chain).iter()).all(|it| it.seq < seq || (it.seq == seq && it.hash == hash))
    }
}

/// What `chain`, whose newest record is `head`, doesn't have any more of `marks`, for people.
pub(crate) async fn missing(
    connection: &mut AnyConnection,
    chain: &str,
    head: u64,
    marks: &[Mark],
    verifier: Option<&dyn CheckpointVerifier>,
) -> Result<Option<String>, sqlx::Error> {
    for mark in marks {
        let Mark { seq, hash, how } = *mark;
        let what = if head < seq {
            format!("record {seq} of chain {chain}, which was {how}, is gone: its newest is {head}")
        } else {
            match place(connection, chain, seq, verifier).await? {
                Place::Hash(it) if it == hash.to_string() => continue,
                Place::Sealed => continue,
                Place::Hash(_) => {
                    format!("record {seq} of chain {chain} is not what was {how}")
                }
                Place::Gone => {
                    format!("record {seq} of chain {chain}, which was {how}, is gone")
                }
                Place::SealedByNobody(why) => format!(
                    "record {seq} of chain {chain}, which was {how}, is in a segment that can't be \
                     believed: {why}"
                ),
            }
        };
        return Ok(Some(format!(
            "the audit log was cut off or rewritten: {what}; restore it, or begin a new writer name \
             with --audit-writer"
        )));
    }
    Ok(None)
}

/// What is at a place.
enum Place {
    Hash(String),
    /// Somewhere before the end of a segment, which is signed.
    Sealed,
    SealedByNobody(String),
    Gone,
}

async fn place(
    connection: &mut AnyConnection,
    chain: &str,
    seq: u64,
    verifier: Option<&dyn CheckpointVerifier>,
) -> Result<Place, sqlx::Error> {
    let row = sqlx::query("SELECT hash FROM records WHERE chain = $1 AND seq = $2")
        .bind(chain)
        .bind(signed(seq))
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = row {
        return Ok(Place::Hash(row.try_get(0)?));
    }
    // After the records: a segment is in the table before the first of its rows is deleted.
    let row = sqlx::query(
        "SELECT last_seq, last_hash, token FROM segments \
         WHERE chain = $1 AND first_seq <= $2 AND last_seq >= $2 ORDER BY last_seq LIMIT 1",
    )
    .bind(chain)
    .bind(signed(seq))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(Place::Gone);
    };
    let (last, hash): (u64, String) = (unsigned(row.try_get(0)?), row.try_get(1)?);
    if last == seq {
        return Ok(Place::Hash(hash));
    }
    // Anybody can make a row that says so; what vouches for it is its signed end.
    let Some(verifier) = verifier else {
        return Ok(Place::SealedByNobody("nobody verifies its end".to_owned()));
    };
    Ok(match verifier.verify(&row.try_get::<String, _>(2)?) {
        Ok(it) if it.chain == chain && it.seq == last && it.hash.to_string() == hash => {
            Place::Sealed
        }
        Ok(it) => Place::SealedByNobody(format!("its checkpoint is on {} of {}", it.seq, it.chain)),
        Err(why) => Place::SealedByNobody(why),
    })
}
