//! What was revoked before this replica watched: the operator's signed lists, over HTTP.
//!
//! ```text
//!  operator ══ lists of certificates and statements ══▶ fetch, verify ──▶ Held ──▶ Engine's deny table
//!                  bundle (keys, authorities) ─────────────┘
//! ```
//!
//! Watches tell what ends from now on; a certificate of an agent that was suspended and came back with
//! another one before, or of one that had a second, is known from the lists alone. Of statements, those
//! that a Delegation here holds are judged by that Delegation, which is newer than any list; a list tells
//! of those whose Delegation is gone, should somebody write one anew.
//!
//! # Freshness
//! A replica answers nothing until it has read the lists of every trust domain once. After that, lists
//! that can't be fetched make no facts old: what they had stays, what ends is told by the watches, whose
//! silence is bounded, and what only a later list would tell is the second, older certificate of an agent
//! that is suspended and comes back while they fail. To deny every agent for that would let one server
//! of one operator take all replicas down. So it is told: a warning, and each list's age in the metrics.

mod fetch;
mod held;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_authority::Bundle;
use countersign_decision::{Feed as _, World};
use countersign_runtime::Clock;
use countersign_signals::Http;
use countersign_statement::{Digest, TrustedKeys};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use self::held::Held;
use crate::metrics::{List, Metrics};

/// Lists are fetched so often, or when half of their time is over.
const EVERY: Duration = Duration::from_secs(60);
/// How soon again when that failed and nothing can be answered yet, and later.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// What is on a list that is held is told to the engine again so often …
const TELL: SignedDuration = SignedDuration::from_secs(60);
/// … for so long. A list doesn't say until when its certificates run, so that what it has is revoked for
/// as long as it is held, and forgotten soon after a later list has it no more: when it has ended by
/// itself, or, of a statement, counts again.
const KEEP: SignedDuration = SignedDuration::from_secs(600);

/// Where revocations go.
pub(crate) trait Revoke: Send + Sync {
    /// This certificate.
    fn certificate(&self, serial_number: &str, until: Timestamp);
    /// This statement, unless there is a Delegation to judge it by.
    fn statement(&self, digest: &Digest, until: Timestamp);
}

impl Revoke for World {
    fn certificate(&self, serial_number: &str, until: Timestamp) {
        self.revoke_serial(serial_number, until);
    }

    fn statement(&self, digest: &Digest, until: Timestamp) {
        if !self.holds_statement(digest) {
            self.revoke_statement(*digest, until);
        }
    }
}

/// A trust domain whose lists are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) keys: Arc<TrustedKeys>,
    /// Ids of the authorities that sign certificates now: each signs a list, too.
    pub(crate) signing: Vec<String>,
}

/// A trust domain and its lists.
#[derive(Debug)]
struct Domain {
    wanted: Wanted,
    held: Held,
    /// All of its lists were good once.
    read: bool,
    due: Instant,
    /// The last fetch failed, and that was said.
    trouble: bool,
}

/// All lists.
pub(crate) struct Lists {
    servers: Vec<String>,
    http: Http,
    clock: Clock,
    revoke: Arc<dyn Revoke>,
    metrics: Metrics,
    domains: Mutex<BTreeMap<String, Domain>>,
    ready: AtomicBool,
    changed: Notify,
}

impl Lists {
    /// Of the operators' servers at these URLs, of which one must answer.
    pub(crate) fn new(
        servers: &[String],
        http: Http,
        clock: Clock,
        revoke: Arc<dyn Revoke>,
        metrics: Metrics,
    ) -> Self {
        let servers = servers.iter().map(|it| it.trim_end_matches('/').to_owned());
        Self {
            servers: servers.collect(),
            http,
            clock,
            revoke,
            metrics,
            domains: Mutex::default(),
            ready: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Were the lists of every trust domain read once?
    pub(crate) fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// A trust domain that is new or changed, or gone.
    pub(crate) fn set_domain(&self, name: &str, wanted: Option<Wanted>) {
        let mut domains = self.domains.lock();
        let Some(wanted) = wanted else {
            if let Some(gone) = domains.remove(name) {
                for list in gone.held.names() {
                    self.metrics.no_list(&labels(name, list));
                }
            }
            return;
        };
        match domains.get_mut(name) {
            Some(known) => {
                let same = known.wanted.signing == wanted.signing
                    && known.wanted.bundle == wanted.bundle
                    && known.wanted.keys.keys() == wanted.keys.keys();
                known.wanted = wanted;
                if !same {
                    known.due = Instant::now();
                }
            }
            None => {
                let new = Domain {
                    wanted,
                    held: Held::default(),
                    read: false,
                    due: Instant::now(),
                    trouble: false,
                };
                domains.insert(name.to_owned(), new);
            }
        }
        drop(domains);
        self.changed.notify_one();
    }

    /// Keeps the lists for ever, once `listed` says that every trust domain is known.
    pub(crate) async fn run(self: Arc<Self>, listed: impl Fn() -> bool) -> Infallible {
        loop {
            if listed() {
                let due = self.due();
                join_all(due.iter().map(|(name, it)| self.refresh(name, it))).await;
                self.tell();
            }
            // Whether a trust domain came or a moment passed is all the same.
            timeout(TICK, self.changed.notified()).await.ok();
        }
    }

    fn due(&self) -> Vec<(String, Wanted)> {
        let now = Instant::now();
        let domains = self.domains.lock();
        // Without roots it vouches for nobody whose certificate could be revoked.
        let due = domains
            .iter()
            .filter(|(_, it)| it.due <= now && !it.wanted.bundle.roots().is_empty());
        due.map(|(name, it)| (name.clone(), it.wanted.clone()))
            .collect()
    }

    async fn refresh(&self, name: &str, wanted: &Wanted) {
        let mut outcome = Err("no server is named".to_owned());
        for server in &self.servers {
            outcome = self.fetch(server, name, wanted).await;
            if outcome.is_ok() {
                break;
            }
        }
        let now = self.clock.now();
        let mut domains = self.domains.lock();
        let Some(domain) = domains.get_mut(name) else {
            return;
        };
        match outcome {
            Ok(()) => {
                if domain.trouble || !domain.read {
                    info!(trust_domain = name, "the revocation lists were read");
                }
                (domain.read, domain.trouble) = (true, false);
                let half = domain
                    .held
                    .first_end()
                    .map(|end| end.duration_since(now) / 2);
                let half = half.and_then(|it| Duration::try_from(it).ok());
                domain.due = Instant::now() + half.unwrap_or(EVERY).clamp(TICK, EVERY);
            }
            Err(why) => {
                if !std::mem::replace(&mut domain.trouble, true) {
                    warn!(
                        trust_domain = name,
                        "the revocation lists can't be read; what was read before stays: {why}"
                    );
                }
                let [soon, later] = AGAIN;
                domain.due = Instant::now() + if domain.read { later } else { soon };
            }
        }
    }

    /// Tells the engine what is held, and the metrics how old it is.
    fn tell(&self) {
        let now = self.clock.now();
        let mut domains = self.domains.lock();
        for (name, domain) in domains.iter_mut() {
            domain.held.keep_only(&domain.wanted.bundle);
            domain.held.tell(&*self.revoke, now);
            for (list, issued_at) in domain.held.ages() {
                let age = now.duration_since(issued_at).as_secs_f64();
                self.metrics.list_age(&labels(name, list), age);
            }
        }
        let mut wanted = domains
            .values()
            .filter(|it| !it.wanted.bundle.roots().is_empty());
        if wanted.all(|it| it.read) {
            self.ready.store(true, Ordering::Release);
        }
    }
}

fn labels(trust_domain: &str, list: String) -> List {
    List {
        trust_domain: trust_domain.to_owned(),
        list,
    }
}
