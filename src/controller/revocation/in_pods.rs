//! Certificates in pods: they were issued without a word here, so that those of an identity that was
//! stopped are looked up in the audit log.

use std::collections::VecDeque;
use std::time::Duration;

use countersign_audit::Cursor;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::history::{ReloadError, issued};
use crate::context::Context;
use crate::uid::Uid;

/// Many are stopped at once, and issuing endpoints hear of it a moment later.
const SETTLE: Duration = Duration::from_secs(1);
/// An endpoint whose watch hangs issues for so long at most, and then it knows that it does: 30 s
/// unless its flag says otherwise.
const LATE: Duration = Duration::from_secs(45);
/// A log that can't be read is asked again after this long.
const AGAIN: Duration = Duration::from_secs(2);
/// Identities in one query,
const UIDS: usize = 100;
/// and records in one answer.
const PAGE: u32 = 1000;

/// Looks up what the pods of stopped identities hold, soon and once more when no endpoint can have
/// missed it. Never returns.
pub(crate) async fn follow(ctx: &Context) {
    let mut late: VecDeque<(Instant, Uid)> = VecDeque::new();
    loop {
        let next = late.front().map(|(due, _)| *due);
        let uids = tokio::select! {
            mut uids = ctx.revocations.to_look_up() => {
                sleep(SETTLE).await;
                uids.extend(ctx.revocations.take_look_ups());
                let due = Instant::now() + LATE;
                late.extend(uids.iter().map(|uid| (due, uid.clone())));
                uids
            }
            () = until(next) => {
                let now = Instant::now();
                let due = late.partition_point(|(due, _)| *due <= now);
                late.drain(..due).map(|(_, uid)| uid).collect()
            }
        };
        for some in uids.chunks(UIDS) {
            while let Err(why) = look_up(ctx, some).await {
                warn!(
                    "can't read in the audit log what pods hold, so that their certificates are missing in revocation lists: {why}"
                );
                sleep(AGAIN).await;
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn look_up(ctx: &Context, uids: &[Uid]) -> Result<(), ReloadError> {
    let reader = ctx.audit.log().reader();
    let names: Vec<String> = uids.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let now = ctx.clock.now();
    let (mut from, mut found) = (Some(Cursor::default()), 0);
    while let Some(after) = from {
        let (records, next) = reader.certificates_page(&names, now, &after, PAGE).await?;
        found += records.len();
        for record in &records {
            issued(ctx, &record.entry, now).await?;
        }
        from = next;
    }
    debug!(
        identities = uids.len(),
        certificates = found,
        "looked up what pods hold"
    );
    Ok(())
}
