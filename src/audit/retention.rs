//! Old records leave the database for sealed files: verified on their way, and named by a record
//! that stays. Old files go after them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::checkpoint::CheckpointVerifier;
use crate::error::AuditError;
use crate::log::Log;
use crate::reader::{Cursor, Filter};
use crate::store::escape;

/// How often it is looked whether something is old enough.
const EVERY: Duration = Duration::from_secs(600);
/// A segment is begun when its first record is older than it must be by so much: 24 files of a chain
/// a day.
const AT_ONCE: SignedDuration = SignedDuration::from_hours(1);

/// What is kept in the database, and where the rest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Records stay so long in the database: longer than anything that is granted may live.
    pub days: u32,
    /// The folder of the sealed files; made if it isn't there.
    pub segments: PathBuf,
    /// Sealed files stay so long in it, from their sealing; `None`: for good.
    pub segment_days: Option<u32>,
}

impl Log {
    /// Seals what is old enough of this log's own chains, as [`Log::seal`] does, and removes files
    /// that are. Never returns.
    pub async fn retain(
        &self,
        retention: &Retention,
        verifier: &dyn CheckpointVerifier,
        unsigned: bool,
    ) {
        loop {
            sleep(EVERY).await;
            if let Err(why) = self.retain_once(retention, verifier, unsigned).await {
                warn!("old records stay in the audit log's database: {why}");
            }
            if let Err(why) = self.remove_old(retention) {
                warn!("old segments of the audit log stay: {why}");
            }
        }
    }

    pub(crate) async fn retain_once(
        &self,
        retention: &Retention,
        verifier: &dyn CheckpointVerifier,
        unsigned: bool,
    ) -> Result<(), AuditError> {
        let dir = &retention.segments;
        let made = tokio::fs::create_dir_all(dir).await;
        made.map_err(|source| AuditError::File {
            path: dir.clone(),
            source,
        })?;
        let Some(before) = self.days_ago(retention.days) else {
            return Ok(());
        };
        let begun = before.checked_sub(AT_ONCE).unwrap_or(before);
        for chain in self.reader().chains().await? {
            if !self.shared.writes(&chain) || self.oldest(&chain).await?.is_none_or(|it| it > begun)
            {
                continue;
            }
            let sealed = self.seal(&chain, before, dir, verifier, unsigned).await?;
            if let Some((_, path)) = sealed {
                info!(chain, segment = %path.display(), "records sealed");
            }
        }
        Ok(())
    }

    /// When the oldest record of `chain` that isn't sealed was written.
    async fn oldest(&self, chain: &str) -> Result<Option<Timestamp>, AuditError> {
        let from = Cursor {
            chain: chain.to_owned(),
            seq: 0,
        };
        let filter = Filter {
            chain: Some(chain.to_owned()),
            ..Filter::default()
        };
        let oldest = self.reader().records(&from, &filter, 1).await?;
        Ok(oldest.first().map(|it| it.entry.time))
    }

    /// Only files of this log's own chains: replicas may share a folder.
    pub(crate) fn remove_old(&self, retention: &Retention) -> std::io::Result<()> {
        let Some(before) = (retention.segment_days).and_then(|days| self.days_ago(days)) else {
            return Ok(());
        };
        let before = SystemTime::from(before);
        for file in std::fs::read_dir(&retention.segments)? {
            let file = file?;
            let name = file.file_name();
            let ours = (name.to_str()).is_some_and(|it| is_segment_of(it, self.writer()));
            if ours && file.metadata()?.modified()? < before {
                std::fs::remove_file(file.path())?;
                info!(segment = %file.path().display(), "an old segment was removed");
            }
        }
        Ok(())
    }

    fn days_ago(&self, days: u32) -> Option<Timestamp> {
        let age = SignedDuration::from_hours(24_i64.saturating_mul(days.into()));
        (self.shared.settings.now)().checked_sub(age).ok()
    }
}

/// A file's name is `<trust domain>_<writer>-<first>-<last>.jsonl`; no trust domain's has a `_`.
fn is_segment_of(file: &str, writer: &str) -> bool {
    let number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    file.strip_suffix(".jsonl")
        .and_then(|it| it.split_once('_'))
        .and_then(|(_, rest)| rest.strip_prefix(&escape(writer))?.strip_prefix('-'))
        .and_then(|range| range.split_once('-'))
        .is_some_and(|(first, last)| number(first) && number(last))
}

#[cfg(test)]
mod tests {
    use super::is_segment_of;

    #[test]
    fn a_file_is_of_the_writer_in_its_name() {
        assert!(is_segment_of("example.org_issue-0-1-20.jsonl", "issue-0"));
        assert!(is_segment_of("_decide-0-1-20.jsonl", "decide-0"));
        for other in [
            "example.org_issue-0-1-20.jsonl",
            "example.org_x_issue-1-20.jsonl",
            "example.org_issue-1-20.part",
            "example.org_issue-1-.jsonl",
            "issue-1-20.jsonl",
            "notes.txt",
        ] {
            assert!(!is_segment_of(other, "issue"), "{other}");
        }
    }
}
