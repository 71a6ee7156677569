//! Old records leave the database for sealed files: verified on their way, and named by a record
//! that stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::checkpoint::Trusted;
use crate::context::Context;

/// How often it is looked whether something is old enough.
const EVERY: Duration = Duration::from_secs(600);

/// What is kept in the database, and where the rest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Records stay so long in the database: longer than anything that is granted may live.
    pub days: u32,
    /// The folder of the sealed files.
    pub segments: PathBuf,
}

/// Seals what is old enough. Never returns.
pub(crate) async fn keep(ctx: Arc<Context>, writer: String, retention: Retention) {
    loop {
        sleep(EVERY).await;
        if let Err(why) = seal(&ctx, &writer, &retention).await {
            warn!("old records stay in the audit log's database: {why}");
        }
    }
}

async fn seal(
    ctx: &Arc<Context>,
    writer: &str,
    retention: &Retention,
) -> Result<(), countersign_audit::AuditError> {
    let log = ctx.audit.log();
    let age = SignedDuration::from_hours(24_i64.saturating_mul(retention.days.into()));
    let Ok(before) = ctx.clock.now().checked_sub(age) else {
        return Ok(());
    };
    for chain in log.reader().chains().await? {
        let Some((trust_domain, of)) = chain.split_once('/') else {
            continue;
        };
        if of != writer || trust_domain.is_empty() {
            continue; // another replica's, or one that nobody signs
        }
        let trusted = Trusted::new(ctx);
        if let Some((_, path)) = log
            .seal(&chain, before, &retention.segments, &trusted)
            .await?
        {
            info!(chain, segment = %path.display(), "records sealed");
        }
    }
    Ok(())
}
