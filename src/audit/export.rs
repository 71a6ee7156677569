//! Records for other systems.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::Hash;
use crate::error::AuditError;
use crate::ocsf::ocsf;
use crate::reader::{Cursor, Filter, Reader};
use crate::record::{Record, Stored};

const PAGE: u32 = 1000;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object on each line: `chain`, `seq`, `hash`, and `body`, whose exact text was hashed.
    JsonLines,
    /// A JSON object of the Open Cybersecurity Schema Framework on each line.
    Ocsf,
}

/// A record on a line of its own; in segments too.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) chain: std::borrow::Cow<'a, str>,
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
    #[serde(borrow)]
    pub(crate) body: &'a RawValue,
}

/// Writes all records that pass `filter` to `out`, by chain and sequence number, and says how many.
///
/// # Errors
/// If the store can't be read, a record isn't one, or `out` fails.
pub async fn export(
    reader: &Reader,
    filter: &Filter,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u64, AuditError> {
    let mut cursor = Cursor::default();
    let mut written = 0;
    loop {
        let page = reader.stored(&cursor, filter, PAGE).await?;
        let Some(last) = page.last() else {
            out.flush().map_err(AuditError::Export)?;
            return Ok(written);
        };
        cursor = Cursor {
            chain: last.chain.clone(),
            seq: last.seq,
        };
        for stored in page {
            let record = stored.parse()?;
            let line = match format {
                Format::JsonLines => line(&record)?,
                Format::Ocsf => ocsf(&record).to_string(),
            };
            writeln!(out, "{line}").map_err(AuditError::Export)?;
            written += 1;
        }
    }
}

/// The line of a record.
pub(crate) fn line(record: &Record) -> Result<String, AuditError> {
    let unreadable = |why: String| AuditError::Unreadable {
        chain: record.position.chain.clone(),
        seq: record.position.seq,
        why,
    };
    if record.body.contains('\n') {
        return Err(unreadable("its body has more than one line".to_owned()));
    }
    let body: &RawValue =
        serde_json::from_str(&record.body).map_err(|error| unreadable(error.to_string()))?;
    let line = Line {
        chain: record.position.chain.as_str().into(),
        seq: record.position.seq,
        hash: record.position.hash,
        body,
    };
    serde_json::to_string(&line).map_err(|error| unreadable(error.to_string()))
}

impl Line<'_> {
    /// As from a store whose columns are what the body says.
    pub(crate) fn stored(&self) -> Result<Stored, String> {
        let entry: crate::Entry =
            serde_json::from_str(self.body.get()).map_err(|error| error.to_string())?;
        Ok(Stored {
            chain: self.chain.to_string(),
            seq: self.seq,
            columns: crate::columns::Columns::of(&entry),
            body: self.body.get().to_owned(),
            hash: self.hash.to_string(),
        })
    }
}
