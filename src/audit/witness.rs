//! Checkpoints of chains that others write, who hold no key.
//!
//! ```text
//!  the farthest checkpoint that is believed ─▶ what is new, a stretch of it ─▶ does it link? ─▶ sign
//! ```
//!
//! A checkpoint of such a chain says: this is what was there, seconds after it was written. Whoever
//! may write to the store could have written it; they can't take it back any more.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AnyConnection, Row};
use tokio::time::{Instant, timeout};

use crate::batch::{keep, signed, unsigned};
use crate::chain::{GENESIS, trust_domain_of};
use crate::checkpoint::{Checkpoint, CheckpointSigner, CheckpointVerifier, SignedCheckpoint};
use crate::error::AuditError;
use crate::floor::missing;
use crate::log::Shared;
use crate::reader::{Reader, signed_checkpoint};
use crate::report::ChainReport;
use crate::segments::{SegmentRow, segments_of, unsealed};
use crate::settings::is_writer;
use crate::verify::{is_content, page};
use crate::walk::Walk;
use crate::writer::{WRITE_TIMEOUT, no_answer};

/// Records in memory at a time.
const PAGE: u64 = 500;
/// The longest name that a checkpoint may say, in bytes.
const LONGEST_NAME: usize = 256;
/// So many of the newest checkpoints are tried: anybody can put some there that are none.
const TRIED: i64 = 8;
/// Until a chain that can't be signed is read again: keys come, and people restore what is gone.
const AGAIN: Duration = Duration::from_secs(10);

/// Signs the chains of a store that its log doesn't write.
pub struct Witness {
    shared: Arc<Shared>,
    reader: Reader,
    connection: Option<AnyConnection>,
    /// What was read and could not be signed, and when to read it again.
    unsigned: BTreeMap<String, (Instant, Witnessed)>,
    pub(crate) again: Duration,
}

/// How a chain was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// Its name.
    pub chain: String,
    /// Up to here it is signed.
    pub through: u64,
    /// And beyond.
    pub standing: Standing,
}

/// What is beyond the last checkpoint of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: all that was there is signed.
    Signed,
    /// More records than one look reads: the next one goes on.
    Behind,
    /// Its trust domain has no key to sign with.
    Keyless,
    /// It doesn't link, or has lost what was signed: why, for people. It is not signed any further until
    /// the records are back.
    Refused(String),
}

impl Witness {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            reader: Reader::of(&shared.store),
            connection: None,
            unsigned: BTreeMap::new(),
            again: AGAIN,
        }
    }

    /// Looks once at every chain that this log doesn't write, and signs what is new, where it links to
    /// what was signed before: at most `most` records of each. Those of other logs that sign for
    /// themselves are among them, which does no harm. Without [`crate::Log::set_signer`] and
    /// [`crate::Log::set_verifier`] nothing is looked at.
    ///
    /// A chain that is gone altogether is missed if this log has seen it since its start; otherwise only
    /// [`crate::verify()`] misses it: a floor may be of another store.
    ///
    /// # Errors
    /// If the store can't be read or written. What is wrong with a chain is in what is returned.
    pub async fn look(&mut self, most: u64) -> Result<Vec<Witnessed>, AuditError> {
        let signer = self.shared.signer.read().clone();
        let verifier = self.shared.verifier.read().clone();
        let (Some(signer), Some(verifier)) = (signer, verifier) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        let chains = self.chains().await?;
        self.unsigned.retain(|chain, _| chains.contains(chain));
        for chain in chains {
            let known = self.unsigned.get(&chain);
            if let Some((_, it)) = known.filter(|(again, _)| Instant::now() < *again) {
                all.push(it.clone());
                continue;
            }
            self.unsigned.remove(&chain);
            let looked = self.chain(&chain, most, &*signer, &*verifier).await;
            let found = match looked {
                Ok(found) => found,
                Err(error) if is_of_chain(&error) => refused(&chain, 0, error.to_string()),
                Err(error) => {
                    self.connection = None; // in whatever state it is
                    return Err(error);
                }
            };
            if matches!(found.standing, Standing::Keyless | Standing::Refused(_)) {
                let again = Instant::now() + self.again;
                self.unsigned.insert(chain, (again, found.clone()));
            }
            all.push(found);
        }
        Ok(all)
    }

    /// Those in the store and those that were, by name.
    async fn chains(&mut self) -> Result<BTreeSet<String>, AuditError> {
        let mut chains: BTreeSet<String> = self.reader.chains().await?.into_iter().collect();
        chains.extend(self.reader.chains_of_checkpoints().await?);
        chains.extend(self.shared.checkpoints.lock().keys().cloned());
        chains.retain(|it| !self.shared.writes(it));
        Ok(chains)
    }

    async fn chain(
        &mut self,
        chain: &str,
        most: u64,
        signer: &dyn CheckpointSigner,
        verifier: &dyn CheckpointVerifier,
    ) -> Result<Witnessed, AuditError> {
        // Whoever may write to the store may call a chain what they like.
        if !is_name(chain) {
            let why = "no log writes a chain of this name".to_owned();
            return Ok(refused(chain, 0, why));
        }
        let known = self.newest_signed(chain, verifier).await?;
        if let Some(it) = known {
            self.learn(it);
        }
        let marks = self.shared.floor.lock().marks(chain);
        let farthest = marks.iter().max_by_key(|it| it.seq);
        let through = farthest.map_or(0, |it| it.seq);
        let head = self.head(chain).await?;
        let connection = self.connected().await?;
        let missing = within(missing(connection, chain, head, &marks, Some(verifier))).await;
        if let Some(why) = missing.map_err(AuditError::store("look for what was signed"))? {
            return Ok(refused(chain, through, why));
        }
        if head <= through {
            return Ok(found(chain, through, Standing::Signed));
        }
        let start = Walk {
            chain: chain.to_owned(),
            seq: through,
            hash: farthest.map_or(GENESIS, |it| it.hash),
        };
        let segments = segments_of(&self.reader, chain).await?;
        let start = match self.start(start, &segments, verifier).await? {
            Ok(walk) => walk,
            Err(why) => return Ok(refused(chain, through, why)),
        };
        let (begun, stretch) = (start.seq, self.stretch(start, most).await?);
        match stretch {
            Err(why) => {
                // What is sealed meanwhile looks as if it had been removed.
                if segments_of(&self.reader, chain).await? != segments {
                    return Ok(found(chain, through, Standing::Behind));
                }
                Ok(refused(chain, through, why))
            }
            Ok((walk, _)) if walk.seq == begun => Ok(found(chain, begun, Standing::Signed)),
            Ok((walk, whole)) => self.sign(&walk, whole, through, signer).await,
        }
    }

    /// Where to go on: behind what is sealed, if that is farther than what is known.
    async fn start(
        &mut self,
        known: Walk,
        segments: &[SegmentRow],
        verifier: &dyn CheckpointVerifier,
    ) -> Result<Result<Walk, String>, AuditError> {
        if (segments.last()).is_none_or(|it| it.segment.last_seq <= known.seq) {
            return Ok(Ok(known));
        }
        let mut report = ChainReport {
            chain: known.chain,
            ..ChainReport::default()
        };
        let walk = unsealed(&self.reader, verifier, segments, &mut report).await?;
        let why = report.findings.first().map(ToString::to_string);
        Ok(walk.ok_or_else(|| why.unwrap_or_default()))
    }

    /// Goes along at most `most` records, and says whether that was all; or what doesn't link.
    async fn stretch(
        &mut self,
        mut walk: Walk,
        most: u64,
    ) -> Result<Result<(Walk, bool), String>, AuditError> {
        let end = walk.seq.saturating_add(most.max(1));
        while walk.seq < end {
            let limit = signed(PAGE.min(end - walk.seq));
            let page = page(&self.reader, &walk.chain, walk.seq, limit).await;
            let page = page.map_err(AuditError::store("read records"))?;
            for (index, record) in page.iter().enumerate() {
                if let Err(broken) = walk.step(record) {
                    let finding = walk.judge(broken, record, page.get(index + 1));
                    return Ok(Err(finding.to_string()));
                }
            }
            if i64::try_from(page.len()).is_ok_and(|it| it < limit) {
                return Ok(Ok((walk, true)));
            }
        }
        Ok(Ok((walk, false)))
    }

    async fn sign(
        &mut self,
        walk: &Walk,
        whole: bool,
        through: u64,
        signer: &dyn CheckpointSigner,
    ) -> Result<Witnessed, AuditError> {
        let Walk { chain, seq, hash } = walk;
        if !self.shared.floor.lock().allows(chain, *seq, *hash) {
            // Somebody came to know of more since it was read.
            return Ok(found(chain, through, Standing::Behind));
        }
        let time = (self.shared.settings.now)().as_second();
        let checkpoint = Checkpoint {
            chain: chain.clone(),
            seq: *seq,
            hash: *hash,
            time: Timestamp::from_second(time).unwrap_or_default(),
        };
        let Some(token) = signer.sign(trust_domain_of(chain), &checkpoint) else {
            return Ok(found(chain, through, Standing::Keyless));
        };
        let newest = SignedCheckpoint { checkpoint, token };
        let kept = within(keep(self.connected().await?, &newest)).await;
        kept.map_err(AuditError::store("keep a checkpoint"))?;
        self.learn(newest);
        let standing = match whole {
            true => Standing::Signed,
            false => Standing::Behind,
        };
        Ok(found(chain, *seq, standing))
    }

    /// From now on the chain must have it, and it is handed out.
    fn learn(&self, it: SignedCheckpoint) {
        let mut floor = self.shared.floor.lock();
        floor.give(once(it.checkpoint.clone()));
        let mut checkpoints = self.shared.checkpoints.lock();
        let newest = checkpoints.get(&it.checkpoint.chain);
        if newest.is_none_or(|known| known.checkpoint.seq < it.checkpoint.seq) {
            checkpoints.insert(it.checkpoint.chain.clone(), it);
        }
    }

    /// The newest checkpoint of the store that is believed.
    async fn newest_signed(
        &mut self,
        chain: &str,
        verifier: &dyn CheckpointVerifier,
    ) -> Result<Option<SignedCheckpoint>, AuditError> {
        let query = sqlx::query(
            "SELECT seq, hash, time, token FROM checkpoints WHERE chain = $1 \
             ORDER BY seq DESC LIMIT $2",
        )
        .bind(chain)
        .bind(TRIED);
        let rows = self.reader.answer(query.fetch_all(&self.reader.pool)).await;
        let rows = rows.map_err(AuditError::store("read checkpoints"))?;
        let good =
            |it: &SignedCheckpoint| verifier.verify(&it.token).as_ref() == Ok(&it.checkpoint);
        let read = rows
            .iter()
            .map(|row| signed_checkpoint(chain.to_owned(), row));
        // One that can't be read is no more than one that isn't believed.
        Ok(read.filter_map(Result::ok).find(good))
    }

    /// The number of the newest record, sealed or not.
    async fn head(&mut self, chain: &str) -> Result<u64, AuditError> {
        let query = sqlx::query(
            "SELECT COALESCE((SELECT MAX(seq) FROM records WHERE chain = $1), \
             (SELECT MAX(last_seq) FROM segments WHERE chain = $1), 0)",
        )
        .bind(chain.to_owned());
        let connection = self.connected().await?;
        let row = within(query.fetch_one(connection)).await;
        let head = row.and_then(|row| row.try_get(0));
        Ok(unsigned(head.map_err(AuditError::store("read a head"))?))
    }

    async fn connected(&mut self) -> Result<&mut AnyConnection, AuditError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                (within(self.shared.store.connect()).await).map_err(AuditError::store("open"))?
            }
        };
        Ok(self.connection.insert(connection))
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").finish_non_exhaustive()
    }
}

fn found(chain: &str, through: u64, standing: Standing) -> Witnessed {
    Witnessed {
        chain: chain.to_owned(),
        through,
        standing,
    }
}

fn refused(chain: &str, through: u64, why: String) -> Witnessed {
    found(chain, through, Standing::Refused(why))
}

/// Could a log write a chain of this name?
fn is_name(chain: &str) -> bool {
    let writer = chain.split_once('/').map(|(_, writer)| writer);
    chain.len() <= LONGEST_NAME && writer.is_some_and(is_writer)
}

/// Is it what the rows of a chain hold, rather than the store?
fn is_of_chain(error: &AuditError) -> bool {
    match error {
        AuditError::Unreadable { .. } => true,
        AuditError::Store { source, .. } => is_content(source),
        _ => false,
    }
}

/// Not for ever: also a server that hangs, or a network, gives no answer.
async fn within<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(WRITE_TIMEOUT, asking)
        .await
        .unwrap_or_else(|_| Err(no_answer()))
}
