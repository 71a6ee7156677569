//! Which certificates are out there, and which of them are revoked; which statements lost their
//! delegation.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_audit::{AuditError, Entry, Kind, Outcome};
use countersign_authority::RevocationReason;
use countersign_statement::Digest;
use jiff::Timestamp;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::context::Context;
use crate::identity::Stage;

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) serial_number: Box<str>,
    pub(crate) trust_domain: Arc<str>,
    pub(crate) authority: Arc<str>,
    pub(crate) not_after: Timestamp,
}

/// A certificate that doesn't count any more, until it ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevokedCertificate {
    pub(crate) trust_domain: Arc<str>,
    pub(crate) authority: Arc<str>,
    pub(crate) at: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) reason: RevocationReason,
}

/// A statement whose delegation is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoneStatement {
    pub(crate) trust_domain: Arc<str>,
    pub(crate) expires: Timestamp,
}

/// All that is known of revocations.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// What each identity holds, by its UID.
    issued: Mutex<HashMap<Arc<str>, Vec<Issued>>>,
    revoked: Mutex<HashMap<Box<str>, RevokedCertificate>>,
    gone: Mutex<HashMap<Digest, GoneStatement>>,
}

impl Revocations {
    /// A certificate is about to be handed out to the identity with this UID.
    pub(crate) fn issued(&self, identity: &str, certificate: Issued) {
        let mut issued = self.issued.lock();
        let all = issued.entry(identity.into()).or_default();
        if !all
            .iter()
            .any(|it| it.serial_number == certificate.serial_number)
        {
            all.push(certificate);
        }
    }

    /// Whatever the identity holds doesn't count any more. What counts again after a suspension is
    /// a new certificate.
    pub(crate) fn revoke(&self, identity: &str, at: Timestamp, reason: RevocationReason) {
        let Some(all) = self.issued.lock().remove(identity) else {
            return;
        };
        let mut revoked = self.revoked.lock();
        for certificate in all.into_iter().filter(|it| it.not_after > at) {
            let entry = RevokedCertificate {
                trust_domain: certificate.trust_domain,
                authority: certificate.authority,
                at,
                not_after: certificate.not_after,
                reason,
            };
            revoked.entry(certificate.serial_number).or_insert(entry);
        }
    }

    /// Is the certificate with this serial number revoked?
    pub(crate) fn is_revoked(&self, serial_number: &str) -> bool {
        self.revoked.lock().contains_key(serial_number)
    }

    /// The delegation with this statement is gone.
    pub(crate) fn gone(&self, digest: Digest, statement: GoneStatement) {
        self.gone.lock().insert(digest, statement);
    }

    /// Forgets what has ended by itself. What isn't renewed in time ends here too.
    pub(crate) fn prune(&self, now: Timestamp) {
        self.issued.lock().retain(|_, all| {
            all.retain(|it| it.not_after > now);
            !all.is_empty()
        });
        self.revoked.lock().retain(|_, it| it.not_after > now);
        self.gone.lock().retain(|_, it| it.expires > now);
    }

    /// Revoked certificates of one trust domain, by authority.
    pub(crate) fn certificates(
        &self,
        trust_domain: &str,
        now: Timestamp,
    ) -> HashMap<Arc<str>, Vec<(Box<str>, RevokedCertificate)>> {
        let mut found: HashMap<Arc<str>, Vec<_>> = HashMap::new();
        for (serial, it) in &*self.revoked.lock() {
            if &*it.trust_domain == trust_domain && it.not_after > now {
                let of = found.entry(Arc::clone(&it.authority)).or_default();
                of.push((serial.clone(), it.clone()));
            }
        }
        found
    }

    /// Statements of one trust domain whose delegations are gone.
    pub(crate) fn statements(&self, trust_domain: &str, now: Timestamp) -> Vec<Digest> {
        let gone = self.gone.lock();
        let of_domain = gone
            .iter()
            .filter(|(_, it)| &*it.trust_domain == trust_domain && it.expires > now);
        of_domain.map(|(digest, _)| *digest).collect()
    }
}

/// Takes from the audit log what memory can't know: what was issued and granted before this process
/// led, and lost its object meanwhile. Asked once at each take-over, when all watches have listed.
async fn reload(ctx: &Context) -> Result<(), AuditError> {
    let now = ctx.clock.now();
    let reader = ctx.audit.log().reader();
    let records = reader.unexpired(now).await?;
    let mut revoked = 0_usize;
    let mut vanished = HashMap::new();
    for record in records {
        let entry = &record.entry;
        match entry.kind {
            Kind::IdentityIssued | Kind::IdentityRenewed => {
                let (Some(serial), Some(not_after)) = (&entry.serial_number, entry.not_after)
                else {
                    continue;
                };
                let certificate = Issued {
                    serial_number: serial.as_str().into(),
                    trust_domain: entry.trust_domain.as_str().into(),
                    authority: entry.authority_id.as_deref().unwrap_or_default().into(),
                    not_after,
                };
                let uid = entry.object.uid.as_str();
                ctx.revocations.issued(uid, certificate);
                if let Some(reason) = ended(ctx, uid) {
                    ctx.revocations.revoke(uid, now, reason);
                    revoked += 1;
                }
                if ctx.index.with_uid(uid).is_none() {
                    vanished.insert(uid.to_owned(), record.entry.clone());
                }
            }
            // What can't be listed isn't gone.
            Kind::DelegationGranted if ctx.delegations.objects.seen().synced() => {
                let Some(delegation) = &entry.delegation else {
                    continue;
                };
                let Ok(digest) = Digest::parse(&delegation.digest) else {
                    continue;
                };
                if ctx.delegations.with_digest(&digest).is_none() {
                    let statement = GoneStatement {
                        trust_domain: entry.trust_domain.as_str().into(),
                        expires: delegation.expires,
                    };
                    ctx.revocations.gone(digest, statement);
                    revoked += 1;
                    if ctx.delegations.with_uid(&entry.object.uid).is_none() {
                        vanished.insert(entry.object.uid.clone(), record.entry.clone());
                    }
                }
            }
            _ => {}
        }
    }
    for (uid, granted) in vanished {
        let known = reader.by_object_uid(&uid).await?;
        let ended = |kind| matches!(kind, Kind::IdentityEnded | Kind::DelegationEnded);
        if !known.iter().any(|record| ended(record.entry.kind)) {
            ctx.audit.later(vanished_record(granted, now));
        }
    }
    info!(revoked, "what ended while nobody led is revoked");
    Ok(())
}

/// As [`reload`]; a log that can't be read is no reason to keep what is over alive.
pub(crate) async fn reload_or_warn(ctx: &Context) {
    if !ctx.gate.leads() {
        return;
    }
    if let Err(why) = reload(ctx).await {
        warn!(
            "can't read the audit log: certificates of identities that vanished while nobody led are not in the revocation lists: {why}"
        );
    }
}

/// The end of something whose object went while nobody led: seen only now.
fn vanished_record(granted: Entry, now: Timestamp) -> Entry {
    Entry {
        time: now,
        kind: if granted.kind == Kind::DelegationGranted {
            Kind::DelegationEnded
        } else {
            Kind::IdentityEnded
        },
        outcome: Outcome::Ended,
        permissions: Vec::new(),
        reason: "Vanished".to_owned(),
        message: "its object was gone when the operator came back".to_owned(),
        ..granted
    }
}

/// Why whatever this identity holds doesn't count; `None` while it lives.
fn ended(ctx: &Context, uid: &str) -> Option<RevocationReason> {
    let Some(object) = ctx
        .index
        .with_uid(uid)
        .and_then(|key| ctx.identities.get(&key))
    else {
        return Some(RevocationReason::CessationOfOperation);
    };
    match object.stage() {
        Stage::Over => Some(RevocationReason::CessationOfOperation),
        Stage::Suspended => Some(RevocationReason::CertificateHold),
        Stage::Waiting | Stage::Live => None,
    }
}
