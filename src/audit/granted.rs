//! Looking up what was granted: what still runs, and what has no end on record.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::Row;

use crate::batch::signed;
use crate::columns::text;
use crate::error::AuditError;
use crate::reader::{Cursor, Reader};
use crate::record::{Record, Stored, select, select_columns, with_stretches};

/// Records in memory, beside those that are returned.
const PAGE: u32 = 1000;
/// UIDs in one query: each is looked for in every stretch.
const UIDS: usize = 100;

/// After which record [`Reader::unexpired_page`] goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnexpiredCursor {
    /// As the store has it: milliseconds since 1970.
    not_after: i64,
    chain: String,
    seq: u64,
}

impl Reader {
    /// What was granted and runs beyond `now`: certificates issued and renewed, and delegations,
    /// whatever has become of them since. The one that ends first comes first; all of them, however
    /// many: [`Reader::unexpired_page`] gives a few at a time.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn unexpired(&self, now: Timestamp) -> Result<Vec<Record>, AuditError> {
        let (mut all, mut next) = self.unexpired_page(now, None, PAGE).await?;
        while let Some(after) = next {
            let page;
            (page, next) = self.unexpired_page(now, Some(&after), PAGE).await?;
            all.extend(page);
        }
        Ok(all)
    }

    /// At most `limit` records of [`Reader::unexpired`] from `after`, and where to go on; `None` at
    /// the end. By their end, then by chain and sequence number. What is granted meanwhile may be
    /// among them or not.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn unexpired_page(
        &self,
        now: Timestamp,
        after: Option<&UnexpiredCursor>,
        limit: u32,
    ) -> Result<(Vec<Record>, Option<UnexpiredCursor>), AuditError> {
        let now = now.as_millisecond();
        let start = || UnexpiredCursor {
            not_after: i64::MIN,
            chain: String::new(),
            seq: 0,
        };
        let after = after.cloned().unwrap_or_else(start);
        // The first two conditions are what the index is entered by.
        let query = sqlx::query(select!(
            "WHERE not_after > $1 AND not_after >= $2 AND (not_after, chain, seq) > ($2, $3, $4) \
             AND kind IN ('IdentityIssued', 'IdentityRenewed', 'DelegationGranted') \
             ORDER BY not_after, chain, seq LIMIT $5"
        ))
        .bind(now)
        .bind(after.not_after)
        .bind(after.chain)
        .bind(signed(after.seq))
        .bind(i64::from(limit));
        let rows = self.answer(query.fetch_all(&self.pool)).await;
        let rows = rows.map_err(AuditError::store("look up what is unexpired"))?;
        let stored: Vec<Stored> = (rows.iter().map(Stored::of).collect::<Result<_, _>>())
            .map_err(AuditError::store("look up what is unexpired"))?;
        let whole = u32::try_from(stored.len()).is_ok_and(|it| it >= limit);
        let next = (stored.last().filter(|_| whole)).map(|it| UnexpiredCursor {
            not_after: it.columns.not_after.unwrap_or(now),
            chain: it.chain.clone(),
            seq: it.seq,
        });
        let records: Vec<Record> = stored
            .into_iter()
            .map(Stored::parse)
            .collect::<Result<_, _>>()?;
        Ok((records, next))
    }

    /// Certificates of the identities with these UIDs that run beyond `now`: at most `limit` records
    /// after `from`, by chain and sequence number, and where to go on; `None` at the end.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn certificates_page(
        &self,
        uids: &[&str],
        now: Timestamp,
        from: &Cursor,
        limit: u32,
    ) -> Result<(Vec<Record>, Option<Cursor>), AuditError> {
        let sql = match self.postgres {
            true => with_stretches!(select_columns!(
                "FROM stretches CROSS JOIN json_array_elements_text($1::text::json) AS uids (value) \
                 JOIN records ON seq / 4096 = stretch AND object_uid = value \
                 WHERE not_after > $2 AND kind IN ('IdentityIssued', 'IdentityRenewed') \
                 AND (chain, seq) > ($3, $4) ORDER BY chain, seq LIMIT $5"
            )),
            false => with_stretches!(select_columns!(
                "FROM stretches CROSS JOIN json_each($1) AS uids \
                 CROSS JOIN records ON seq / 4096 = stretch AND object_uid = uids.value \
                 WHERE not_after > $2 AND kind IN ('IdentityIssued', 'IdentityRenewed') \
                 AND (chain, seq) > ($3, $4) ORDER BY chain, seq LIMIT $5"
            )),
        };
        let uids: Vec<String> = uids.iter().map(|it| text(it)).collect();
        let query = sqlx::query(sql)
            .bind(serde_json::json!(uids).to_string())
            .bind(now.as_millisecond())
            .bind(&from.chain)
            .bind(signed(from.seq))
            .bind(i64::from(limit));
        let rows = self.answer(query.fetch_all(&self.pool)).await;
        let rows = rows.map_err(AuditError::store("look up certificates"))?;
        let stored: Vec<Stored> = (rows.iter().map(Stored::of).collect::<Result<_, _>>())
            .map_err(AuditError::store("look up certificates"))?;
        let whole = u32::try_from(stored.len()).is_ok_and(|it| it >= limit);
        let next = stored.last().filter(|_| whole).map(|it| Cursor {
            chain: it.chain.clone(),
            seq: it.seq,
        });
        let records = stored.into_iter().map(Stored::parse);
        Ok((records.collect::<Result<_, _>>()?, next))
    }

    /// Those of `uids`, of AgentIdentities and Delegations, whose end no record tells: in their order,
    /// each once. An end in a sealed segment is not found.
    ///
    /// # Errors
    /// See [`Reader::by_serial`].
    pub async fn without_end(&self, uids: &[&str]) -> Result<Vec<String>, AuditError> {
        // One parameter for all: so that it is one statement, however many they are.
        let sql = match self.postgres {
            true => with_stretches!(
                "SELECT DISTINCT object_uid FROM stretches \
                 CROSS JOIN json_array_elements_text($1::text::json) AS uids (value) \
                 JOIN records ON seq / 4096 = stretch AND object_uid = value \
                 WHERE kind IN ('IdentityEnded', 'DelegationEnded')"
            ),
            false => with_stretches!(
                "SELECT DISTINCT object_uid FROM stretches CROSS JOIN json_each($1) AS uids \
                 CROSS JOIN records ON seq / 4096 = stretch AND object_uid = uids.value \
                 WHERE kind IN ('IdentityEnded', 'DelegationEnded')"
            ),
        };
        let mut ended: HashSet<String> = HashSet::new();
        for some in uids.chunks(UIDS) {
            let some: Vec<String> = some.iter().map(|it| text(it)).collect();
            let query = sqlx::query(sql).bind(serde_json::json!(some).to_string());
            let rows = self.answer(query.fetch_all(&self.pool)).await;
            for row in rows.map_err(AuditError::store("look up what has ended"))? {
                ended.insert(
                    row.try_get(0)
                        .map_err(AuditError::store("look up what has ended"))?,
                );
            }
        }
        let mut seen = HashSet::new();
        Ok(uids
            .iter()
            .filter(|it| !ended.contains(&text(it)) && seen.insert(**it))
            .map(|it| (*it).to_owned())
            .collect())
    }
}
