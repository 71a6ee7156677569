//! The table of segments: which records are in files, and what vouches for that.

use sqlx::Row;

use crate::batch::unsigned;
use crate::chain::{GENESIS, Hash};
use crate::checkpoint::CheckpointVerifier;
use crate::entry::Kind;
use crate::error::AuditError;
use crate::reader::Reader;
use crate::report::{ChainReport, SealedSegment, Tampering};
use crate::walk::Walk;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) segment: SealedSegment,
    /// The checkpoint on its end; empty where nobody signs the chain.
    pub(crate) token: String,
}

/// The segments of `chain`, from the oldest.
pub(crate) async fn segments_of(
    reader: &Reader,
    chain: &str,
) -> Result<Vec<SegmentRow>, AuditError> {
    let rows = reader.answer(sqlx::query(
        "SELECT first_seq, last_seq, last_hash, digest, token FROM segments WHERE chain = $1 \
         ORDER BY last_seq",
    )
    .bind(chain)
    .fetch_all(&reader.pool)).await
    .map_err(AuditError::store("read segments"))?;
    rows.iter()
        .map(|row| {
            let read = || {
                Ok::<_, sqlx::Error>((
                    unsigned(row.try_get(0)?),
                    unsigned(row.try_get(1)?),
                    row.try_get::<String, _>(2)?,
                    row.try_get::<String, _>(3)?,
                    row.try_get::<String, _>(4)?,
                ))
            };
            let (first_seq, last_seq, last_hash, digest, token) =
                read().map_err(AuditError::store("read segments"))?;
            let hash = |text: &str| {
                Hash::parse(text).ok_or_else(|| AuditError::Unreadable {
                    chain: chain.to_owned(),
                    seq: last_seq,
                    why: "its segment has a hash that is none".to_owned(),
                })
            };
            Ok(SegmentRow {
                segment: SealedSegment {
                    first_seq,
                    last_seq,
                    last_hash: hash(&last_hash)?,
                    digest: hash(&digest)?,
                },
                token,
            })
        })
        .collect()
}

/// Where the records that are not sealed begin. Each segment's end must be signed, unless nothing
/// before it is: such a chain is linked by hashes alone, and what was signed of it later can't be
/// sealed unsigned any more. The newest must be named by a record of the chain, whose time to be sealed comes with a later one: else
/// whoever may write anything could remove the oldest records and call them sealed.
pub(crate) async fn unsealed(
    reader: &Reader,
    verifier: &dyn CheckpointVerifier,
    rows: &[SegmentRow],
    report: &mut ChainReport,
) -> Result<Option<Walk>, AuditError> {
    let mut walk = Walk {
        chain: report.chain.clone(),
        seq: 0,
        hash: GENESIS,
    };
    for row in rows {
        let SealedSegment {
            first_seq,
            last_seq,
            last_hash,
            ..
        } = row.segment;
        if first_seq != walk.seq + 1 || last_seq < first_seq {
            let detail = format!("the segment that follows has {first_seq} to {last_seq}");
            report.find(
                Tampering::Removed,
                walk.seq + 1,
                first_seq.max(walk.seq + 1),
                detail,
            );
            return Ok(None);
        }
        match verifier.verify(&row.token) {
            Err(_) if row.token.is_empty() && report.signed_through == 0 => {}
            Ok(it) if it.chain == walk.chain && it.seq == last_seq && it.hash == last_hash => {
                report.signed_through = last_seq;
            }
            Ok(it) => {
                let detail = format!("the segment's checkpoint is on {} of {}", it.seq, it.chain);
                report.find(Tampering::CheckpointForged, last_seq, last_seq, detail);
                return Ok(None);
            }
            Err(why) => {
                report.find(Tampering::CheckpointForged, last_seq, last_seq, why);
                return Ok(None);
            }
        }
        walk.seq = last_seq;
        walk.hash = last_hash;
    }
    if let Some(newest) = rows.last() {
        let SealedSegment {
            first_seq,
            last_seq,
            digest,
            ..
        } = &newest.segment;
        let name = format!("{first_seq}-{last_seq}");
        let named = reader
            .by_object_uid(&digest.to_string())
            .await?
            .iter()
            .any(|it| {
                it.entry.kind == Kind::RecordsSealed
                    && it.entry.object.name == name
                    && it.position.chain == walk.chain
                    && it.position.seq > *last_seq
            });
        if !named {
            let detail = "no record says that they were sealed".to_owned();
            report.find(Tampering::Removed, *first_seq, *last_seq, detail);
            return Ok(None);
        }
    }
    report.sealed = rows.iter().map(|it| it.segment.clone()).collect();
    Ok(Some(walk))
}
