//! Moving the oldest records of a chain to a segment's file.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::batch::{signed, unsigned};
use crate::chain::{Hash, trust_domain_of};
use crate::checkpoint::CheckpointVerifier;
use crate::entry::{Entry, Kind, ObjectRef, Outcome};
use crate::error::AuditError;
use crate::export::line;
use crate::log::Log;
use crate::reader::{Cursor, Filter};
use crate::report::{ChainReport, SealedSegment};
use crate::segment::{FORMAT, Header, Trailer};
use crate::segments::{segments_of, unsealed};
use crate::store::escape;
use crate::walk::Walk;

/// Records in memory, and rows deleted by one statement: so few that the writer hardly waits.
const PAGE: u32 = 1000;

/// What a segment ends with.
struct End {
    seq: u64,
    hash: Hash,
    /// The checkpoint on it, where somebody signs the chain.
    token: Option<String>,
}

impl Log {
    /// Moves the records of `chain` from before `before`, as far as a signed checkpoint goes, to a
    /// new file in `dir`, and says which; `None` if there are none. All are verified on their way.
    /// With `unsigned`, a chain that nobody has ever signed in a file of its own, where no operator
    /// comes to sign it, is sealed without a checkpoint: its hashes vouch for it as they did before.
    /// The file is durable, and a record of this log's own chain names it, before a row is deleted;
    /// whatever interrupts it, calling it again goes on.
    ///
    /// Only this log's own chains. What is sealed is found no more by look-ups, so a segment ends
    /// before the first record whose `not_after` is to come by [`crate::Settings::now`]; the end of
    /// something may be in another chain than its grant, so keep what is younger than anything lives.
    ///
    /// # Errors
    /// If records or their checkpoints don't verify, or the file or the store fails.
    pub async fn seal(
        &self,
        chain: &str,
        before: Timestamp,
        dir: &Path,
        verifier: &dyn CheckpointVerifier,
        unsigned: bool,
    ) -> Result<Option<(SealedSegment, PathBuf)>, AuditError> {
        let trust_domain = trust_domain_of(chain);
        if chain != crate::chain::chain_name(trust_domain, &self.shared.settings.writer) {
            return Err(AuditError::Seal(format!("{chain} is another writer's")));
        }
        let reader = self.reader();
        let rows = segments_of(&reader, chain).await?;
        let mut report = ChainReport {
            chain: chain.to_owned(),
            ..ChainReport::default()
        };
        let Some(walk) = unsealed(&reader, verifier, &rows, &mut report).await? else {
            return Err(AuditError::Seal(report.to_string()));
        };
        let store = &self.shared.store;
        let mut connection = store.connect().await.map_err(AuditError::store("open"))?;
        // What an interrupted call left.
        delete(&mut connection, chain, walk.seq).await?;
        let now = (self.shared.settings.now)();
        let unexpired = first_unexpired(&mut connection, chain, now).await?;
        let signed_once = rows.iter().any(|it| !it.token.is_empty())
            || (reader.chains_of_checkpoints().await?.iter()).any(|it| it == chain);
        let end = if unsigned && !signed_once && !store.is_postgres() {
            unsigned_end(&mut connection, &walk, before, unexpired).await?
        } else {
            signed_end(&mut connection, &walk, before, unexpired, verifier).await?
        };
        let Some(end) = end else {
            return Ok(None);
        };
        let first_seq = walk.seq + 1;
        let stem = escape(chain).replace('/', "_");
        let path = dir.join(format!("{stem}-{first_seq}-{}.jsonl", end.seq));
        let digest = self.write_segment(walk, &end, &path).await?;
        let segment = SealedSegment {
            first_seq,
            last_seq: end.seq,
            last_hash: end.hash,
            digest,
        };
        let mut entry = Entry::new(
            (self.shared.settings.now)(),
            Kind::RecordsSealed,
            Outcome::Ended,
            trust_domain,
            ObjectRef {
                kind: "AuditSegment".to_owned(),
                namespace: None,
                name: format!("{first_seq}-{}", end.seq),
                uid: digest.to_string(),
            },
        );
        entry.reason = "Retention".to_owned();
        self.append(entry).await?;
        sqlx::query(
            "INSERT INTO segments (chain, first_seq, last_seq, last_hash, digest, token) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(chain)
        .bind(signed(first_seq))
        .bind(signed(end.seq))
        .bind(end.hash.to_string())
        .bind(digest.to_string())
        .bind(end.token.unwrap_or_default())
        .execute(&mut connection)
        .await
        .map_err(AuditError::store("seal"))?;
        delete(&mut connection, chain, end.seq).await?;
        Ok(Some((segment, path)))
    }

    /// Writes and syncs the file under another name first, so that it is whole or isn't there.
    async fn write_segment(
        &self,
        mut walk: Walk,
        end: &End,
        path: &Path,
    ) -> Result<Hash, AuditError> {
        let part = path.with_extension("part");
        let failed = |source| AuditError::File {
            path: part.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .await
            .map_err(failed)?;
        let mut out = Out {
            file: BufWriter::new(file),
            digest: Sha256::new(),
        };
        let header = Header {
            format: FORMAT.to_owned(),
            chain: walk.chain.clone(),
            first_seq: walk.seq + 1,
            last_seq: end.seq,
            previous_hash: walk.hash,
        };
        out.line(&json(&header)?).await.map_err(failed)?;
        let reader = self.reader();
        let filter = Filter {
            chain: Some(walk.chain.clone()),
            ..Filter::default()
        };
        while walk.seq < end.seq {
            let from = Cursor {
                chain: walk.chain.clone(),
                seq: walk.seq,
            };
            let page = reader.stored(&from, &filter, PAGE).await?;
            if page.is_empty() {
                return Err(AuditError::Seal(format!(
                    "record {} is missing",
                    walk.seq + 1
                )));
            }
            for stored in page.into_iter().take_while(|it| it.seq <= end.seq) {
                if let Err(broken) = walk.step(&stored) {
                    let finding = walk.judge(broken, &stored, None);
                    return Err(AuditError::Seal(finding.to_string()));
                }
                out.line(&line(&stored.parse()?)?).await.map_err(failed)?;
            }
        }
        if walk.hash != end.hash {
            return Err(AuditError::Seal(format!(
                "record {} has another hash than its end",
                end.seq
            )));
        }
        let trailer = Trailer {
            checkpoint: end.token.clone(),
        };
        out.line(&json(&trailer)?).await.map_err(failed)?;
        out.file.flush().await.map_err(failed)?;
        out.file.get_ref().sync_all().await.map_err(failed)?;
        let failed = |source| AuditError::File {
            path: path.to_owned(),
            source,
        };
        tokio::fs::rename(&part, path).await.map_err(failed)?;
        let dir = path.parent().unwrap_or_else(|| Path::new("."));
        let dir = File::open(dir).await.map_err(failed)?;
        dir.sync_all().await.map_err(failed)?;
        Ok(Hash(out.digest.finalize().into()))
    }
}

/// The first record of something that is unexpired at `now`; beyond all if there is none.
async fn first_unexpired(
    connection: &mut AnyConnection,
    chain: &str,
    now: Timestamp,
) -> Result<i64, AuditError> {
    let row = sqlx::query("SELECT MIN(seq) FROM records WHERE chain = $1 AND not_after > $2")
        .bind(chain)
        .bind(now.as_millisecond())
        .fetch_one(connection)
        .await
        .map_err(AuditError::store("find what is unexpired"))?;
    let first: Option<i64> =
        (row.try_get(0)).map_err(AuditError::store("find what is unexpired"))?;
    Ok(first.unwrap_or(i64::MAX))
}

/// The last of the records from before `before` with nothing up to it that is unexpired. From the
/// oldest on: there are few of them.
async fn unsigned_end(
    connection: &mut AnyConnection,
    walk: &Walk,
    before: Timestamp,
    unexpired: i64,
) -> Result<Option<End>, AuditError> {
    let row = sqlx::query(
        "SELECT seq, hash FROM records WHERE chain = $1 AND seq > $2 AND seq < $3 AND seq < COALESCE(\
         (SELECT seq FROM records WHERE chain = $1 AND seq > $2 AND time >= $4 ORDER BY seq LIMIT 1), $3) \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(&walk.chain)
    .bind(signed(walk.seq))
    .bind(unexpired)
    .bind(before.as_millisecond())
    .fetch_optional(connection)
    .await
    .map_err(AuditError::store("find what to seal"))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let read = || Ok::<_, sqlx::Error>((unsigned(row.try_get(0)?), row.try_get::<String, _>(1)?));
    let (seq, hash) = read().map_err(AuditError::store("find what to seal"))?;
    let hash = Hash::parse(&hash)
        .ok_or_else(|| AuditError::Seal(format!("the hash of record {seq} is none")))?;
    Ok(Some(End {
        seq,
        hash,
        token: None,
    }))
}

/// The newest good checkpoint on a record from before `before`, with nothing up to it that is
/// unexpired.
async fn signed_end(
    connection: &mut AnyConnection,
    walk: &Walk,
    before: Timestamp,
    unexpired: i64,
    verifier: &dyn CheckpointVerifier,
) -> Result<Option<End>, AuditError> {
    let row = sqlx::query(
        "SELECT c.seq, c.token FROM checkpoints c JOIN records r ON r.chain = c.chain AND r.seq = c.seq \
         WHERE c.chain = $1 AND c.seq > $2 AND r.time < $3 AND c.seq < $4 \
         ORDER BY c.seq DESC LIMIT 1",
    )
    .bind(&walk.chain)
    .bind(signed(walk.seq))
    .bind(before.as_millisecond())
    .bind(unexpired)
    .fetch_optional(connection)
    .await
    .map_err(AuditError::store("find what to seal"))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let read = || Ok::<_, sqlx::Error>((unsigned(row.try_get(0)?), row.try_get::<String, _>(1)?));
    let (seq, token) = read().map_err(AuditError::store("find what to seal"))?;
    match verifier.verify(&token) {
        Ok(it) if it.chain == walk.chain && it.seq == seq => Ok(Some(End {
            seq,
            hash: it.hash,
            token: Some(token),
        })),
        Ok(_) => Err(AuditError::Seal(format!(
            "the checkpoint on {seq} is another's"
        ))),
        Err(why) => Err(AuditError::Seal(format!("the checkpoint on {seq}: {why}"))),
    }
}

/// Deletes what is sealed, from the oldest, a little at a time.
async fn delete(
    connection: &mut AnyConnection,
    chain: &str,
    through: u64,
) -> Result<(), AuditError> {
    let through = signed(through);
    loop {
        let deleted = sqlx::query(
            "DELETE FROM records WHERE chain = $1 AND seq <= $2 AND seq < $3 + \
             (SELECT COALESCE(MIN(seq), 0) FROM records WHERE chain = $1)",
        )
        .bind(chain)
        .bind(through)
        .bind(i64::from(PAGE))
        .execute(&mut *connection)
        .await
        .map_err(AuditError::store("delete sealed records"))?;
        if deleted.rows_affected() == 0 {
            break;
        }
    }
    sqlx::query("DELETE FROM checkpoints WHERE chain = $1 AND seq <= $2")
        .bind(chain)
        .bind(through)
        .execute(connection)
        .await
        .map_err(AuditError::store("delete sealed checkpoints"))?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, AuditError> {
    serde_json::to_string(value).map_err(|error| AuditError::Seal(error.to_string()))
}

/// A file whose bytes are hashed as they are written.
struct Out {
    file: BufWriter<File>,
    digest: Sha256,
}

impl Out {
    async fn line(&mut self, line: &str) -> std::io::Result<()> {
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        self.file.write_all(line.as_bytes()).await?;
        self.file.write_all(b"\n").await
    }
}
