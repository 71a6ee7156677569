//! What verification found.

use std::fmt;

use serde::Serialize;

use crate::chain::Hash;

/// What verification of a store found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Each chain, by name.
    pub chains: Vec<ChainReport>,
}

/// What verification of a chain found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    /// `<trust domain>/<writer>`.
    pub chain: String,
    /// Records verified, from the first that isn't sealed.
    pub records: u64,
    /// The last record verified; 0 if there is none.
    pub last_seq: u64,
    /// Segments whose records are in files, from the oldest.
    pub sealed: Vec<SealedSegment>,
    /// Up to here a good checkpoint covers the records: nobody without the key changed them.
    /// What follows is linked by hashes alone, which whoever may write anything can make anew.
    pub signed_through: u64,
    /// Up to here an anchor that was given does.
    pub anchored_through: u64,
    /// Good checkpoints.
    pub checkpoints: u64,
    /// What is wrong. The first is what comes first in the chain; behind a record that is wrong
    /// nothing was looked at.
    pub findings: Vec<Finding>,
}

/// A segment of records that is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSegment {
    /// The first record.
    pub first_seq: u64,
    /// The last.
    pub last_seq: u64,
    /// The last one's hash.
    pub last_hash: Hash,
    /// The SHA-256 of the file.
    pub digest: Hash,
}

/// Something that an honest store doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The first record that it is about,
    pub seq: u64,
    /// and the last: the same one, unless it can't be said more closely.
    pub through: u64,
    /// What was done.
    pub tampering: Tampering,
    /// For people.
    pub detail: String,
}

/// What was done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Tampering {
    /// Its body isn't what was hashed.
    Edited,
    /// Its columns aren't what its body says.
    IndexEdited,
    /// It stands where it never stood: reordered, inserted, or written anew.
    Misplaced,
    /// It is gone, and later ones are there.
    Removed,
    /// It and all that followed are gone.
    CutOff,
    /// It or others up to it were written anew, hashes included.
    Rewritten,
    /// It can't be read.
    Unreadable,
    /// The checkpoint on it isn't what was signed.
    CheckpointForged,
}

impl Report {
    /// Was nothing found?
    pub fn is_honest(&self) -> bool {
        self.chains.iter().all(|it| it.findings.is_empty())
    }
}

impl ChainReport {
    pub(crate) fn find(&mut self, tampering: Tampering, seq: u64, through: u64, detail: String) {
        self.findings.push(Finding {
            seq,
            through,
            tampering,
            detail,
        });
        self.findings.sort_by_key(|it| it.seq);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chains.is_empty() {
            return f.write_str("no records");
        }
        for (index, chain) in self.chains.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{chain}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} records", self.chain, self.records)?;
        if let Some(last) = self.sealed.last() {
            write!(f, " after {} sealed", last.last_seq)?;
        }
        write!(f, ", signed up to {}", self.signed_through)?;
        if self.anchored_through > 0 {
            write!(f, ", anchored up to {}", self.anchored_through)?;
        }
        if self.findings.is_empty() {
            return f.write_str(": intact");
        }
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seq == self.through {
            write!(f, "record {}", self.seq)?;
        } else {
            write!(f, "records {} to {}", self.seq, self.through)?;
        }
        write!(f, " {}: {}", self.tampering, self.detail)
    }
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited",
            Self::IndexEdited => "edited in its columns",
            Self::Misplaced => "reordered, inserted or written anew",
            Self::Removed => "removed",
            Self::CutOff => "cut off",
            Self::Rewritten => "written anew",
            Self::Unreadable => "unreadable",
            Self::CheckpointForged => "with a forged checkpoint",
        })
    }
}
