//! The oldest records, moved to files that verify by themselves.
//!
//! A segment has a line that says what it is, a line for each record, and a line with the signed
//! checkpoint on the last, or `null` where nobody signs the chain. All are JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::chain::Hash;
use crate::checkpoint::CheckpointVerifier;
use crate::entry::MAX_BODY_BYTES;
use crate::error::AuditError;
use crate::export::Line;
use crate::report::{Finding, SealedSegment, Tampering};
use crate::walk::Walk;

/// What the first line names.
pub(crate) const FORMAT: &str = "countersign.dev/audit-segment/v1";
/// No line of ours is longer.
const MAX_LINE_BYTES: u64 = MAX_BODY_BYTES as u64 + 4096;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) format: String,
    pub(crate) chain: String,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// The hash of the record before the first.
    pub(crate) previous_hash: Hash,
}

impl Header {
    /// As a database could have had it: no sum with it overflows.
    fn range_is_good(&self) -> bool {
        (1..=self.last_seq).contains(&self.first_seq) && i64::try_from(self.last_seq).is_ok()
    }
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trailer {
    pub(crate) checkpoint: Option<String>,
}

/// What verification of a segment's file found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentReport {
    /// The chain, as the file says.
    pub chain: String,
    /// Records found good.
    pub records: u64,
    /// What the file is: compare it with [`crate::ChainReport::sealed`].
    pub segment: SealedSegment,
    /// The hash of the record before the first, which is the last of the segment before.
    pub previous_hash: Hash,
    /// Is its end signed? If not, only its log can vouch for it.
    pub signed: bool,
    /// What is wrong, if anything is.
    pub finding: Option<Finding>,
}

/// Verifies a segment's file. Reads it line by line.
///
/// # Errors
/// If the file can't be read or its first line isn't a segment's. What is wrong with the records is
/// in the report.
pub fn verify_segment(
    path: &Path,
    verifier: &dyn CheckpointVerifier,
) -> Result<SegmentReport, AuditError> {
    let file = |source| AuditError::File {
        path: path.to_owned(),
        source,
    };
    let opened = File::open(path).map_err(file)?;
    read_segment(BufReader::new(opened), verifier).map_err(file)
}

/// See [`verify_segment`].
///
/// # Errors
/// If reading fails; with [`std::io::ErrorKind::InvalidData`] if the first line isn't a segment's.
pub fn read_segment(
    file: impl BufRead,
    verifier: &dyn CheckpointVerifier,
) -> std::io::Result<SegmentReport> {
    let mut lines = Lines {
        file,
        digest: Sha256::new(),
    };
    let first = lines.next()?.unwrap_or_default();
    let header: Header = serde_json::from_slice(&first)
        .ok()
        .filter(|it: &Header| it.format == FORMAT && it.range_is_good())
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no audit segment"))?;
    let mut walk = Walk {
        chain: header.chain.clone(),
        seq: header.first_seq - 1,
        hash: header.previous_hash,
    };
    let mut signed = false;
    let finding = walk_lines(&mut lines, &mut walk, &header, verifier, &mut signed)?;
    while lines.next()?.is_some() {}
    Ok(SegmentReport {
        records: walk.seq + 1 - header.first_seq,
        segment: SealedSegment {
            first_seq: header.first_seq,
            last_seq: header.last_seq,
            last_hash: walk.hash,
            digest: Hash(lines.digest.finalize().into()),
        },
        previous_hash: header.previous_hash,
        chain: header.chain,
        signed,
        finding,
    })
}

fn walk_lines(
    lines: &mut Lines<impl BufRead>,
    walk: &mut Walk,
    header: &Header,
    verifier: &dyn CheckpointVerifier,
    signed: &mut bool,
) -> std::io::Result<Option<Finding>> {
    let found = |seq, through, tampering, detail: &str| {
        let detail = detail.to_owned();
        Ok(Some(Finding {
            seq,
            through,
            tampering,
            detail,
        }))
    };
    while walk.seq < header.last_seq {
        let next = walk.seq + 1;
        let Some(line) = lines.next()? else {
            return found(next, header.last_seq, Tampering::CutOff, "the file ends");
        };
        let parsed = serde_json::from_slice::<Line<'_>>(&line).map_err(|it| it.to_string());
        let record = match parsed.and_then(|it| it.stored()) {
            Ok(record) if record.chain == walk.chain => record,
            Ok(record) => {
                let detail = format!("a record of {} stands there", record.chain);
                return found(next, next, Tampering::Misplaced, &detail);
            }
            Err(error) if serde_json::from_slice::<Trailer>(&line).is_ok() => {
                drop(error);
                return found(
                    next,
                    header.last_seq,
                    Tampering::CutOff,
                    "the checkpoint follows",
                );
            }
            Err(error) => return found(next, next, Tampering::Unreadable, &error),
        };
        if let Err(broken) = walk.step(&record) {
            let behind = lines.next()?;
            let behind = behind.as_ref().and_then(|line| {
                let line = serde_json::from_slice::<Line<'_>>(line).ok()?;
                line.stored().ok()
            });
            return Ok(Some(walk.judge(broken, &record, behind.as_ref())));
        }
    }
    let last = header.last_seq;
    let line = lines.next()?.unwrap_or_default();
    let Ok(trailer) = serde_json::from_slice::<Trailer>(&line) else {
        return found(
            last,
            last,
            Tampering::CheckpointForged,
            "there is no checkpoint",
        );
    };
    match trailer.checkpoint.map(|token| verifier.verify(&token)) {
        None => {} // nobody signs the chain
        Some(Err(why)) => return found(last, last, Tampering::CheckpointForged, &why),
        Some(Ok(it)) if it.chain != walk.chain || it.seq != last => {
            let detail = format!("what was signed is {} of {}", it.seq, it.chain);
            return found(last, last, Tampering::CheckpointForged, &detail);
        }
        Some(Ok(it)) if it.hash != walk.hash => {
            let detail = "the signed checkpoint has another hash";
            return found(header.first_seq, last, Tampering::Rewritten, detail);
        }
        Some(Ok(_)) => *signed = true,
    }
    if lines.next()?.is_some() {
        return found(
            last + 1,
            last + 1,
            Tampering::Misplaced,
            "more follows the checkpoint",
        );
    }
    Ok(None)
}

/// Lines of bounded length, hashed as they go by.
struct Lines<R> {
    file: R,
    digest: Sha256,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end. One that is too long comes in parts, none of which is a line
    /// of ours.
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.file)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        self.digest.update(&line);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok((read > 0).then_some(line))
    }
}
