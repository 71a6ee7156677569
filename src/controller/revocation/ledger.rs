//! Which certificates are out there, and which of them are revoked; which statements lost their
//! delegation.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_authority::RevocationReason;
use countersign_runtime::Names;
use countersign_statement::Digest;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::delegation::Granted;
use crate::uid::Uid;

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

/// All that is known of revocations.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// What each identity holds, by its UID.
    issued: Mutex<HashMap<Uid, Vec<Issued>>>,
    /// Trust domains and authorities.
    names: Names,
    revoked: Mutex<HashMap<Box<str>, RevokedCertificate>>,
    gone: Mutex<HashMap<Digest, Granted>>,
    /// Everything that ended before this process led is known: lists may be signed.
    complete: AtomicBool,
    read_again: Notify,
    /// Identities whose pods may hold what only the audit log knows.
    in_pods: Mutex<Vec<Uid>>,
    look_up: Notify,
}

impl Revocations {
    /// A certificate is about to be handed out to the identity with this UID.
    pub(crate) fn issued(&self, identity: &Uid, certificate: Issued) {
        let mut issued = self.issued.lock();
        let all = issued.entry(identity.clone());
        let all = all.or_insert_with(|| Vec::with_capacity(1)); // mostly it is one
        if !all
            .iter()
            .any(|it| it.serial_number == certificate.serial_number)
        {
            all.push(Issued {
                trust_domain: self.names.shared(&certificate.trust_domain),
                authority: self.names.shared(&certificate.authority),
                ..certificate
            });
        }
    }

    /// Whatever the identity holds doesn't count any more. What counts again after a suspension is
    /// a new certificate.
    pub(crate) fn revoke(&self, identity: &Uid, at: Timestamp, reason: RevocationReason) {
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

    /// This one certificate doesn't count any more.
    pub(crate) fn revoke_certificate(&self, it: Issued, at: Timestamp, reason: RevocationReason) {
        let entry = RevokedCertificate {
            trust_domain: self.names.shared(&it.trust_domain),
            authority: self.names.shared(&it.authority),
            at,
            not_after: it.not_after,
            reason,
        };
        self.revoked.lock().entry(it.serial_number).or_insert(entry);
    }

    /// The pods of this identity hold certificates that were issued without a word here, and it was
    /// stopped: they are to be looked up.
    pub(crate) fn look_up(&self, identity: Uid) {
        self.in_pods.lock().push(identity);
        self.look_up.notify_one();
    }

    /// Returns what is to be looked up, when there is something.
    pub(crate) async fn to_look_up(&self) -> Vec<Uid> {
        loop {
            let uids = self.take_look_ups();
            if !uids.is_empty() {
                return uids;
            }
            self.look_up.notified().await;
        }
    }

    /// What is to be looked up by now.
    pub(crate) fn take_look_ups(&self) -> Vec<Uid> {
        std::mem::take(&mut *self.in_pods.lock())
    }

    /// Is the certificate with this serial number revoked?
    pub(crate) fn is_revoked(&self, serial_number: &str) -> bool {
        self.revoked.lock().contains_key(serial_number)
    }

    /// No delegation holds this statement any more.
    pub(crate) fn gone(&self, statement: Granted) {
        self.gone.lock().insert(statement.digest, statement);
    }

    /// Is everything known that a list must have?
    pub(crate) fn complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(crate) fn set_complete(&self, complete: bool) {
        self.complete.store(complete, Ordering::Release);
    }

    /// The audit log is to be read again; lists stay as complete as they are.
    pub(crate) fn outdated(&self) {
        self.read_again.notify_one();
    }

    /// Returns when the audit log is to be read again.
    pub(crate) async fn until_outdated(&self) {
        self.read_again.notified().await;
    }

    /// Forgets what has ended by itself. What isn't renewed in time ends here too.
    pub(crate) fn prune(&self, now: Timestamp) {
        self.issued.lock().retain(|_, all| {
            all.retain(|it| it.not_after > now);
            all.shrink_to_fit();
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
            .filter(|(_, it)| &*it.domain == trust_domain && it.expires > now);
        of_domain.map(|(digest, _)| *digest).collect()
    }
}
