//! From record to record along a chain, whether in a database or a file.

use crate::chain::{Hash, hash_of, trust_domain_of};
use crate::columns::Columns;
use crate::entry::Entry;
use crate::record::Stored;
use crate::report::{Finding, Tampering};

/// How far a chain was found good.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    pub(crate) chain: String,
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

impl Walk {
    /// Is `record` the one that comes next?
    pub(crate) fn step(&mut self, record: &Stored) -> Result<(), Broken> {
        let expected = self.seq + 1;
        if record.seq != expected {
            return Err(Broken::Gap);
        }
        let hash = hash_of(&self.chain, expected, &self.hash, &record.body);
        if hash.to_string() != record.hash {
            return Err(Broken::Hash);
        }
        let entry: Entry =
            serde_json::from_str(&record.body).map_err(|error| Broken::Body(error.to_string()))?;
        if entry.trust_domain != trust_domain_of(&self.chain) {
            return Err(Broken::Columns("chain"));
        }
        if let Some(column) = Columns::of(&entry).difference(&record.columns) {
            return Err(Broken::Columns(column));
        }
        self.seq = expected;
        self.hash = hash;
        Ok(())
    }

    /// What was done to `record`. The one `after` it tells an edited record from one that never stood
    /// there.
    pub(crate) fn judge(&self, broken: Broken, record: &Stored, after: Option<&Stored>) -> Finding {
        let expected = self.seq + 1;
        let one = |tampering, detail: String| Finding {
            seq: expected,
            through: expected,
            tampering,
            detail,
        };
        match broken {
            Broken::Gap if record.seq > expected => Finding {
                seq: expected,
                through: record.seq - 1,
                tampering: Tampering::Removed,
                detail: format!("the next record is {}", record.seq),
            },
            Broken::Gap => one(
                Tampering::Misplaced,
                format!("record {} stands in its place", record.seq),
            ),
            Broken::Body(error) => one(Tampering::Unreadable, error),
            Broken::Columns(column) => one(
                Tampering::IndexEdited,
                format!("{column} isn't what the body says"),
            ),
            Broken::Hash => {
                // Whoever edits a body leaves the hash that the next record was linked to.
                let linked = Hash::parse(&record.hash).is_some_and(|hash| {
                    after.is_some_and(|after| {
                        after.seq.checked_sub(1) == Some(expected)
                            && hash_of(&self.chain, after.seq, &hash, &after.body).to_string()
                                == after.hash
                    })
                });
                if linked {
                    one(
                        Tampering::Edited,
                        "its body is not the one that was hashed".to_owned(),
                    )
                } else {
                    one(
                        Tampering::Misplaced,
                        format!(
                            "its hash links neither to record {} nor to the one behind; if it was \
                             not moved, one of these three was edited and hashed again",
                            self.seq
                        ),
                    )
                }
            }
        }
    }
}

/// Why a record isn't the next.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Another sequence number.
    Gap,
    /// Another hash.
    Hash,
    /// Hashed, but not an entry.
    Body(String),
    /// A column that isn't the body's.
    Columns(&'static str),
}
