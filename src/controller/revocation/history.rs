//! What memory can't know: what was issued and granted before this process led, and ended meanwhile.
//! It is in the audit log.

use std::collections::HashMap;
use std::time::Duration;

use countersign_api as api;
use countersign_audit::{AuditError, Entry, Kind, Outcome};
use countersign_authority::RevocationReason;
use countersign_statement::Digest;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::Api;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::ledger::Issued;
use crate::context::Context;
use crate::delegation::Granted;
use crate::identity::Stage;
use crate::uid::Uid;

/// A log that doesn't answer within this is asked again.
const LIMIT: Duration = Duration::from_secs(60);
/// So many records are read at once.
const PAGE: u32 = 1000;
/// How long until then.
const AGAIN: Duration = Duration::from_secs(2);
/// What was granted so lately may be newer than a watch that hangs: the API server is asked.
const RECENT: SignedDuration = SignedDuration::from_secs(180);

/// Reads the audit log until that worked, and again whenever it is outdated. Beside all other work:
/// no end waits for it. Never returns.
pub(crate) async fn follow(ctx: &Context) {
    loop {
        match timeout(LIMIT, reload(ctx)).await {
            Ok(Ok(())) => {
                ctx.revocations.set_complete(true);
                ctx.revocations.until_outdated().await;
            }
            Ok(Err(why)) => {
                warn!("can't read the audit log, so that revocation lists wait: {why}");
                sleep(AGAIN).await;
            }
            Err(_) => warn!("the audit log doesn't answer, so that revocation lists wait"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("not all delegations have been listed yet")]
    NotListed,
}

async fn reload(ctx: &Context) -> Result<(), ReloadError> {
    if !ctx.delegations.objects.seen().synced() {
        return Err(ReloadError::NotListed); // what can't be listed isn't gone
    }
    let now = ctx.clock.now();
    let reader = ctx.audit.log().reader();
    let mut over: HashMap<String, (Entry, &'static str)> = HashMap::new();
    let mut from = None;
    loop {
        let (records, next) = reader.unexpired_page(now, from.as_ref(), PAGE).await?;
        for entry in records.into_iter().map(|record| record.entry) {
            let over_now = match entry.kind {
                Kind::IdentityIssued | Kind::IdentityRenewed => issued(ctx, &entry, now).await?,
                Kind::DelegationGranted => granted(ctx, &entry, now).await?,
                _ => None,
            };
            if let Some(how) = over_now {
                over.insert(entry.object.uid.clone(), (entry, how));
            }
        }
        match next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let count = over.len();
    // What waits to be written are ends, too.
    while ctx.audit.log().waiting() > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    let uids: Vec<&str> = over.keys().map(String::as_str).collect();
    for uid in reader.without_end(&uids).await? {
        if let Some((entry, how)) = over.remove(&uid) {
            ctx.audit.later(late_record(entry, how, now));
        }
    }
    info!(
        ended = count,
        "the audit log was read: what ended before is in the revocation lists"
    );
    Ok(())
}

/// Takes a certificate in; says how its identity ended, if it did.
pub(super) async fn issued(
    ctx: &Context,
    entry: &Entry,
    now: Timestamp,
) -> kube::Result<Option<&'static str>> {
    let (Some(serial), Some(not_after)) = (&entry.serial_number, entry.not_after) else {
        return Ok(None);
    };
    let uid = &Uid::from(entry.object.uid.as_str());
    let certificate = Issued {
        serial_number: serial.as_str().into(),
        trust_domain: entry.trust_domain.as_str().into(),
        authority: entry.authority_id.as_deref().unwrap_or_default().into(),
        not_after,
    };
    if ctx.revocations.is_revoked(serial) {
        return Ok(None);
    }
    let known = ctx.index.with_uid(uid);
    let object = known.and_then(|key| ctx.identities.get(&key));
    if let Some(object) = &object
        && object.resumed().is_some_and(|resumed| entry.time < resumed)
    {
        let hold = RevocationReason::CertificateHold;
        ctx.revocations.revoke_certificate(certificate, now, hold);
        return Ok(None);
    }
    let stage = match object {
        Some(object) => Some(object.stage()),
        None => live_identity(ctx, entry, now).await?,
    };
    ctx.revocations.issued(uid, certificate);
    let (reason, how) = match stage {
        None => (RevocationReason::CessationOfOperation, Some("Vanished")),
        Some(Stage::Over) => (RevocationReason::CessationOfOperation, Some("Over")),
        Some(Stage::Suspended) => (RevocationReason::CertificateHold, None),
        Some(Stage::Waiting | Stage::Live) => return Ok(None),
    };
    ctx.revocations.revoke(uid, now, reason);
    Ok(how)
}

/// Takes a statement in; says how its delegation ended, if it did.
async fn granted(
    ctx: &Context,
    entry: &Entry,
    now: Timestamp,
) -> kube::Result<Option<&'static str>> {
    let Some(delegation) = &entry.delegation else {
        return Ok(None);
    };
    let Ok(digest) = Digest::parse(&delegation.digest) else {
        return Ok(None);
    };
    let object = ctx.delegations.with_uid(&entry.object.uid);
    let object = object.and_then(|key| ctx.delegations.get(&key));
    let (holds, how) = match object {
        Some(object) => {
            let over = object.facts.completed.is_some();
            (object.facts.digest == Some(digest), over.then_some("Over"))
        }
        None => match live_delegation(ctx, entry, now).await? {
            Some(held) => (held == Some(digest), None),
            None => (false, Some("Vanished")),
        },
    };
    // Never shown, or replaced. Should it be on its way into a status just now, the list leaves it
    // out as soon as the watch shows that.
    if !holds {
        ctx.revocations.gone(Granted {
            digest,
            expires: delegation.expires,
            domain: entry.trust_domain.as_str().into(),
        });
    }
    Ok(how)
}

/// Where an identity stands that memory doesn't have: a watch that hangs proves nothing.
async fn live_identity(
    ctx: &Context,
    entry: &Entry,
    now: Timestamp,
) -> kube::Result<Option<Stage>> {
    if now.duration_since(entry.time) > RECENT {
        return Ok(None);
    }
    let namespace = entry.object.namespace.as_deref().unwrap_or_default();
    let identities: Api<api::AgentIdentity> = Api::namespaced(ctx.clients.reads.clone(), namespace);
    let found = identities.get_opt(&entry.object.name).await?;
    let same = found.filter(|it| it.uid().as_deref() == Some(&entry.object.uid));
    Ok(same.map(|it| Stage::of(&it)))
}

/// The digest that a delegation holds that memory doesn't have.
async fn live_delegation(
    ctx: &Context,
    entry: &Entry,
    now: Timestamp,
) -> kube::Result<Option<Option<Digest>>> {
    if now.duration_since(entry.time) > RECENT {
        return Ok(None);
    }
    let namespace = entry.object.namespace.as_deref().unwrap_or_default();
    let delegations: Api<api::Delegation> = Api::namespaced(ctx.clients.reads.clone(), namespace);
    let found = delegations.get_opt(&entry.object.name).await?;
    let same = found.filter(|it| it.uid().as_deref() == Some(&entry.object.uid));
    Ok(same.map(|it| {
        let status = it.status.as_ref();
        let digest = status.and_then(|status| status.digest.as_deref());
        digest.and_then(|digest| Digest::parse(digest).ok())
    }))
}

/// The end of something that has no record yet: its object went while nobody led, or its record was
/// lost with a process.
fn late_record(granted: Entry, how: &str, now: Timestamp) -> Entry {
    Entry {
        time: now,
        kind: if granted.kind == Kind::DelegationGranted {
            Kind::DelegationEnded
        } else {
            Kind::IdentityEnded
        },
        outcome: Outcome::Ended,
        permissions: Vec::new(),
        reason: how.to_owned(),
        message: "found at a take-over, or after the log could not be written".to_owned(),
        ..granted
    }
}
