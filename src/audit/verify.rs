//! Is a store what was written to it?

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;

use crate::batch::{signed, unsigned};
use crate::checkpoint::{Checkpoint, CheckpointVerifier};
use crate::error::AuditError;
use crate::reader::Reader;
use crate::record::{Stored, select};
use crate::report::{ChainReport, Report, Tampering};
use crate::segments::{segments_of, unsealed};
use crate::walk::Walk;

/// Records in memory at a time.
const PAGE: i64 = 1000;

/// Verifies every chain: the hash of each record, its place, its columns, the signed checkpoints,
/// and that it goes as far as the `anchors`, tokens of checkpoints that were kept elsewhere (one
/// within a sealed segment says nothing about the store). May run while others write. Reads all records once, a page at a time.
///
/// # Errors
/// If the store can't be read, or an anchor is not to be believed. What is wrong with the records is
/// in the report.
pub async fn verify(
    reader: &Reader,
    verifier: &dyn CheckpointVerifier,
    anchors: &[String],
) -> Result<Report, AuditError> {
    let mut anchored: BTreeMap<String, Vec<Checkpoint>> = BTreeMap::new();
    for token in anchors {
        let anchor = verifier.verify(token).map_err(AuditError::Anchor)?;
        anchored
            .entry(anchor.chain.clone())
            .or_default()
            .push(anchor);
    }
    let mut chains: BTreeSet<String> = reader.chains().await?.into_iter().collect();
    chains.extend(reader.chains_of_checkpoints().await?);
    chains.extend(anchored.keys().cloned());
    let mut report = Report { chains: Vec::new() };
    for chain in chains {
        let mut anchors = anchored.remove(&chain).unwrap_or_default();
        anchors.sort_by_key(|it| it.seq);
        let examination = Examination {
            reader,
            verifier,
            anchors: &anchors,
        };
        report.chains.push(examination.chain(&chain).await?);
    }
    Ok(report)
}

struct Examination<'a> {
    reader: &'a Reader,
    verifier: &'a dyn CheckpointVerifier,
    anchors: &'a [Checkpoint],
}

/// A checkpoint of the table.
struct CheckpointRow {
    seq: u64,
    hash: String,
    token: String,
}

impl Examination<'_> {
    async fn chain(&self, chain: &str) -> Result<ChainReport, AuditError> {
        let segments = segments_of(self.reader, chain).await?;
        let report = self.once(chain, &segments).await?;
        if report.findings.is_empty() {
            return Ok(report);
        }
        // Records that were sealed meanwhile look as if they had been removed.
        let segments_now = segments_of(self.reader, chain).await?;
        if segments_now == segments {
            return Ok(report);
        }
        self.once(chain, &segments_now).await
    }

    async fn once(
        &self,
        chain: &str,
        segments: &[crate::segments::SegmentRow],
    ) -> Result<ChainReport, AuditError> {
        let mut report = ChainReport {
            chain: chain.to_owned(),
            ..ChainReport::default()
        };
        let Some(mut walk) = unsealed(self.reader, self.verifier, segments, &mut report).await?
        else {
            return Ok(report);
        };
        if !self.anchors_within(segments, &mut report) {
            return Ok(report);
        }
        for segment in &report.sealed.clone() {
            if !self.anchors_at(segment.last_seq, segment.last_hash, &mut report) {
                return Ok(report);
            }
        }
        let mut limit = PAGE;
        loop {
            // Before the page: a checkpoint is written after what it covers.
            let farthest = self.farthest(chain).await?;
            let page = match self.page(chain, walk.seq, limit).await {
                Ok(page) => page,
                Err(error) if is_content(&error) && limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(error) if is_content(&error) => {
                    let seq = walk.seq + 1;
                    report.find(Tampering::Unreadable, seq, seq, error.to_string());
                    return Ok(report);
                }
                Err(error) => return Err(AuditError::store("read records")(error)),
            };
            let Some(last) = page.last().map(|it| it.seq) else {
                self.end(&walk, farthest, &mut report);
                return Ok(report);
            };
            let checkpoints = self.checkpoints(chain, walk.seq, last).await?;
            if !self
                .walk_page(&mut walk, &page, checkpoints, &mut report)
                .await?
            {
                return Ok(report);
            }
        }
    }

    /// Goes along a page; false when something stands in the way.
    async fn walk_page(
        &self,
        walk: &mut Walk,
        page: &[Stored],
        checkpoints: Vec<CheckpointRow>,
        report: &mut ChainReport,
    ) -> Result<bool, AuditError> {
        let mut checkpoints = checkpoints.into_iter().peekable();
        for (index, record) in page.iter().enumerate() {
            if let Err(broken) = walk.step(record) {
                let behind = match page.get(index + 1) {
                    Some(behind) => Some(behind.clone()),
                    None => (self.page(&walk.chain, record.seq, 1).await.ok())
                        .and_then(|it| it.into_iter().next()),
                };
                let finding = walk.judge(broken, record, behind.as_ref());
                report.findings.push(finding);
                report.findings.sort_by_key(|it| it.seq);
                return Ok(false);
            }
            report.records += 1;
            report.last_seq = walk.seq;
            while let Some(row) = checkpoints.next_if(|it| it.seq <= walk.seq) {
                if !self.checkpoint(walk, &row, report) {
                    return Ok(false);
                }
            }
            if !self.anchors_at(walk.seq, walk.hash, report) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Holds a checkpoint against the record; false if the records were written anew.
    fn checkpoint(&self, walk: &Walk, row: &CheckpointRow, report: &mut ChainReport) -> bool {
        let forged = match self.verifier.verify(&row.token) {
            Err(why) => why,
            Ok(it) if it.chain != walk.chain || it.seq != row.seq => {
                format!("what was signed is {} of {}", it.seq, it.chain)
            }
            Ok(it) if it.hash != walk.hash => {
                let (seq, through) = (report.signed_through + 1, row.seq);
                let detail = format!("the signed checkpoint on {through} has another hash");
                report.find(Tampering::Rewritten, seq, through, detail);
                return false;
            }
            Ok(it) if it.hash.to_string() != row.hash => {
                "its hash is not the signed one".to_owned()
            }
            Ok(_) => {
                report.signed_through = walk.seq;
                report.checkpoints += 1;
                return true;
            }
        };
        report.find(Tampering::CheckpointForged, row.seq, row.seq, forged);
        true
    }

    /// Holds the anchors on record `seq` against its hash; false if the records were written anew.
    fn anchors_at(&self, seq: u64, hash: crate::Hash, report: &mut ChainReport) -> bool {
        let from = self.anchors.partition_point(|it| it.seq < seq);
        for anchor in self
            .anchors
            .iter()
            .skip(from)
            .take_while(|it| it.seq == seq)
        {
            if anchor.hash != hash {
                let first = report
                    .signed_through
                    .min(seq - 1)
                    .max(report.anchored_through)
                    + 1;
                let detail = format!("the anchor on {seq} has another hash");
                report.find(Tampering::Rewritten, first, seq, detail);
                return false;
            }
            report.anchored_through = seq;
        }
        true
    }

    /// Whoever may write anything could remove records that were signed, and call them a segment of a
    /// chain that nobody signs; false if an anchor tells of it.
    fn anchors_within(
        &self,
        segments: &[crate::segments::SegmentRow],
        report: &mut ChainReport,
    ) -> bool {
        for row in segments.iter().filter(|it| it.token.is_empty()) {
            let (first, last) = (row.segment.first_seq, row.segment.last_seq);
            let signed = |it: &&Checkpoint| (first..=last).contains(&it.seq);
            if let Some(anchor) = self.anchors.iter().find(signed) {
                let detail = format!("{} was signed, and their segment is not", anchor.seq);
                report.find(Tampering::CheckpointForged, first, last, detail);
                return false;
            }
        }
        true
    }

    /// Does the chain go as far as it once did?
    fn end(&self, walk: &Walk, farthest: Option<CheckpointRow>, report: &mut ChainReport) {
        let next = walk.seq + 1;
        if let Some(anchor) = self.anchors.last().filter(|it| it.seq > walk.seq) {
            let detail = format!("an anchor says that there was a record {}", anchor.seq);
            report.find(Tampering::CutOff, next, anchor.seq, detail);
            return;
        }
        let Some(row) = farthest.filter(|it| it.seq > walk.seq) else {
            return;
        };
        match self.verifier.verify(&row.token) {
            Ok(it) if it.chain == walk.chain && it.seq == row.seq => {
                let detail = format!(
                    "a signed checkpoint says that there was a record {}",
                    it.seq
                );
                report.find(Tampering::CutOff, next, it.seq, detail);
            }
            Ok(_) | Err(_) => {
                let detail = "no such record, and no such signature".to_owned();
                report.find(Tampering::CheckpointForged, row.seq, row.seq, detail);
            }
        }
    }

    async fn page(&self, chain: &str, after: u64, limit: i64) -> Result<Vec<Stored>, sqlx::Error> {
        page(self.reader, chain, after, limit).await
    }

    async fn checkpoints(
        &self,
        chain: &str,
        after: u64,
        through: u64,
    ) -> Result<Vec<CheckpointRow>, AuditError> {
        let rows = self
            .reader
            .answer(
                sqlx::query(
                    "SELECT seq, hash, token FROM checkpoints \
             WHERE chain = $1 AND seq > $2 AND seq <= $3 ORDER BY seq",
                )
                .bind(chain)
                .bind(signed(after))
                .bind(signed(through))
                .fetch_all(&self.reader.pool),
            )
            .await
            .map_err(AuditError::store("read checkpoints"))?;
        (rows.iter().map(checkpoint_row).collect::<Result<_, _>>())
            .map_err(AuditError::store("read checkpoints"))
    }

    async fn farthest(&self, chain: &str) -> Result<Option<CheckpointRow>, AuditError> {
        let row = self.reader.answer(sqlx::query(
            "SELECT seq, hash, token FROM checkpoints WHERE chain = $1 ORDER BY seq DESC LIMIT 1",
        )
        .bind(chain)
        .fetch_optional(&self.reader.pool)).await
        .map_err(AuditError::store("read checkpoints"))?;
        (row.as_ref().map(checkpoint_row).transpose())
            .map_err(AuditError::store("read checkpoints"))
    }
}

/// At most `limit` records of `chain` after record `after`, whatever they are.
pub(crate) async fn page(
    reader: &Reader,
    chain: &str,
    after: u64,
    limit: i64,
) -> Result<Vec<Stored>, sqlx::Error> {
    let query = sqlx::query(select!(
        "WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3"
    ))
    .bind(chain)
    .bind(signed(after))
    .bind(limit);
    let rows = reader.answer(query.fetch_all(&reader.pool)).await?;
    rows.iter().map(Stored::of).collect()
}

fn checkpoint_row(row: &sqlx::any::AnyRow) -> Result<CheckpointRow, sqlx::Error> {
    Ok(CheckpointRow {
        seq: unsigned(row.try_get(0)?),
        hash: row.try_get(1)?,
        token: row.try_get(2)?,
    })
}

/// Is it what a row holds that can't be read, rather than the store?
pub(crate) fn is_content(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::AnyDriverError(_)
    )
}
