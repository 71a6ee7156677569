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
//! A trust domain is unknown, and its agents are denied, until its lists were read once, whenever it came;
//! another's don't matter, so that one whose authority is broken takes no other down. A replica is ready
//! when it has tried all that there are and has read one. After that, lists that can't be fetched make no
//! facts old: what they had stays, what ends is told by the watches, whose silence is bounded, and what
//! only a later list would tell is the second, older certificate of an agent that is suspended and comes
//! back while they fail. To deny every agent for that would let one server of one operator take all
//! replicas down. So it is told: a warning, and each list's age in the metrics.

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
/// For all lists of a trust domain, of one server: one that is slow must not hold up the others.
const WITHIN: Duration = Duration::from_secs(30);
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
    /// `None` while it isn't known: what was on its lists stays revoked.
    wanted: Option<Wanted>,
    held: Held,
    /// They were fetched once, whatever came of it.
    tried: bool,
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

    /// Were those of all trust domains tried once, and those of one read?
    pub(crate) fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// A trust domain that is new or changed, or gone. May its agents be answered: were its lists read
    /// once? Without roots it vouches for nobody whose certificate could be revoked.
    pub(crate) fn set_domain(&self, name: &str, wanted: Option<Wanted>) -> bool {
        let mut domains = self.domains.lock();
        let Some(wanted) = wanted else {
            if let Some(gone) = domains.get_mut(name) {
                gone.wanted = None;
                for list in gone.held.names() {
                    self.metrics.no_list(&labels(name, list));
                }
            }
            return false;
        };
        let known = domains.entry(name.to_owned()).or_insert_with(|| Domain {
            wanted: None,
            held: Held::default(),
            tried: false,
            read: false,
            due: Instant::now(),
            trouble: false,
        });
        if !(known.wanted.as_ref()).is_some_and(|it| it.says_the_same(&wanted)) {
            known.due = Instant::now();
        }
        let answered = known.read || wanted.bundle.roots().is_empty();
        known.wanted = Some(wanted);
        drop(domains);
        self.changed.notify_one();
        answered
    }

    /// Keeps the lists for ever, once `listed` says that every trust domain is known. `read` is told of
    /// each trust domain whose lists were read for the first time.
    pub(crate) async fn run(
        self: Arc<Self>,
        listed: impl Fn() -> bool,
        read: impl Fn(&str),
    ) -> Infallible {
        loop {
            if listed() {
                let due = self.due();
                let refresh = async |(name, wanted): &(String, Wanted)| {
                    if self.refresh(name, wanted).await {
                        self.tell();
                        read(name);
                    }
                };
                join_all(due.iter().map(refresh)).await;
                self.tell();
            }
            // Whether a trust domain came or a moment passed is all the same.
            timeout(TICK, self.changed.notified()).await.ok();
        }
    }

    fn due(&self) -> Vec<(String, Wanted)> {
        let now = Instant::now();
        let domains = self.domains.lock();
        let due = domains.iter().filter(|(_, it)| it.due <= now);
        due.filter_map(|(name, it)| Some((name.clone(), it.wants()?.clone())))
            .collect()
    }

    /// Fetches the lists; were they read for the first time?
    async fn refresh(&self, name: &str, wanted: &Wanted) -> bool {
        let mut outcome = Err("no server is named".to_owned());
        for server in &self.servers {
            let fetched = timeout(WITHIN, self.fetch(server, name, wanted)).await;
            outcome = fetched.unwrap_or_else(|_| Err(format!("{server} takes too long")));
            if outcome.is_ok() {
                break;
            }
        }
        let now = self.clock.now();
        let mut domains = self.domains.lock();
        let Some(domain) = domains.get_mut(name) else {
            return false;
        };
        let before = domain.read;
        domain.tried = true;
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
        domain.read && !before
    }

    /// Tells the engine what is held, and the metrics how old it is.
    fn tell(&self) {
        let now = self.clock.now();
        let mut domains = self.domains.lock();
        for (name, domain) in domains.iter_mut() {
            domain.held.tell(&*self.revoke, now);
            let Some(wanted) = &domain.wanted else {
                continue;
            };
            let forgotten = domain.held.keep_only(&wanted.bundle);
            // The last list of an authority that signs none any more gets older for good reason.
            let retired = domain.held.certificates();
            let retired = retired.filter(|it| !wanted.signing.iter().any(|id| id == it.as_str()));
            let retired: Vec<String> = retired.map(held::of).collect();
            for list in forgotten.into_iter().chain(retired.iter().cloned()) {
                self.metrics.no_list(&labels(name, list));
            }
            for (list, issued_at) in domain.held.ages() {
                if !retired.contains(&list) {
                    let age = now.duration_since(issued_at).as_secs_f64();
                    self.metrics.list_age(&labels(name, list), age);
                }
            }
        }
        let all: Vec<&Domain> = domains.values().filter(|it| it.wants().is_some()).collect();
        if all.iter().all(|it| it.tried) && (all.is_empty() || all.iter().any(|it| it.read)) {
            self.ready.store(true, Ordering::Release);
        }
    }
}

impl Domain {
    /// `None` where there are no lists to be had.
    fn wants(&self) -> Option<&Wanted> {
        (self.wanted.as_ref()).filter(|it| !it.bundle.roots().is_empty())
    }
}

impl Wanted {
    fn says_the_same(&self, other: &Self) -> bool {
        self.signing == other.signing
            && self.bundle == other.bundle
            && self.keys.keys() == other.keys.keys()
    }
}

fn labels(trust_domain: &str, list: String) -> List {
    List {
        trust_domain: trust_domain.to_owned(),
        list,
    }
}
