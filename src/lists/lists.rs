//! Keeps the lists of all trust domains.
//!
//! # For a decision point
//! Watches tell what ends from now on; a certificate of an agent that was suspended and came back with
//! another one before, or of one that had a second, is known from the lists alone. Of statements, those
//! that a Delegation here holds are judged by that Delegation, which is newer than any list; a list tells
//! of those whose Delegation is gone, should somebody write one anew.
//!
//! A trust domain is unknown, and its agents are denied, until its lists were read once, whenever it came;
//! another's don't matter, so that one whose authority is broken takes no other down. A replica is ready
//! when it has tried all that there are and has read one. After that, lists that can't be fetched make no
//! facts old: what they had stays, what ends is told by the watches, whose silence is bounded, and what
//! only a later list would tell is the second, older certificate of an agent that is suspended and comes
//! back while they fail. To deny every agent for that would let one server of one operator take all
//! replicas down. So it is told: a warning, and each list's age in the metrics.
//!
//! # For an issuing endpoint
//! Lists of certificates are passed on to sidecars, and nothing waits for them: without one, certificates
//! are issued as before.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_authority::Bundle;
use countersign_http::Http;
use countersign_runtime::Clock;
use countersign_statement::{Digest, TrustedKeys};
use futures::future::join_all;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::held::{self, Held};
use crate::metrics::{Ages, List};
use crate::passing::{Crls, Passing};

/// Lists are fetched so often, or when half of their time is over,
const EVERY: Duration = Duration::from_secs(60);
/// and by who passes them on so often: nothing else tells those who rely on lists alone.
const EVERY_TO_PASS_ON: Duration = Duration::from_secs(5);
/// How soon again when that failed and nothing can be answered yet, and later.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// For all lists of a trust domain, of one server: one that is slow must not hold up the others.
const WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// What is on a list that is held is told to the engine again so often …
pub(crate) const TELL: SignedDuration = SignedDuration::from_secs(60);
/// … for so long. A list doesn't say until when its certificates run, so that what it has is revoked for
/// as long as it is held, and forgotten soon after a later list has it no more: when it has ended by
/// itself, or, of a statement, counts again.
pub(crate) const KEEP: SignedDuration = SignedDuration::from_secs(600);

/// Where revocations go.
pub trait Revoke: Send + Sync {
    /// This certificate.
    fn certificate(&self, serial_number: &str, until: Timestamp);
    /// This statement, unless there is a Delegation to judge it by.
    fn statement(&self, digest: &Digest, until: Timestamp);
}

/// A trust domain whose lists are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose lists count.
    pub bundle: Arc<Bundle>,
    /// What lists of statements are verified by; `None`: those aren't wanted.
    pub keys: Option<Arc<TrustedKeys>>,
    /// Ids of the authorities that sign lists now.
    pub signing: Vec<String>,
}

/// A trust domain and its lists.
#[derive(Debug)]
pub(crate) struct Domain {
    /// `None` while it isn't known: what was on its lists stays revoked.
    wanted: Option<Wanted>,
    pub(crate) held: Held,
    pub(crate) passing: Passing,
    /// They were fetched once, whatever came of it.
    tried: bool,
    /// All of its lists were good once.
    read: bool,
    due: Instant,
    /// The last fetch failed, and that was said.
    pub(crate) trouble: bool,
}

/// All lists.
pub struct Lists {
    servers: Vec<String>,
    pub(crate) http: Http,
    pub(crate) clock: Clock,
    /// `None`: they are passed on.
    pub(crate) revoke: Option<Arc<dyn Revoke>>,
    ages: Ages,
    pub(crate) domains: Mutex<BTreeMap<String, Domain>>,
    ready: AtomicBool,
    changed: Notify,
}

impl Lists {
    /// Those of the operators' servers at these URLs, of which one must answer: what is on them goes to
    /// `revoke`, again and again while it is there.
    pub fn to_revoke(
        servers: &[String],
        http: Http,
        clock: Clock,
        ages: Ages,
        revoke: Arc<dyn Revoke>,
    ) -> Self {
        Self::new(servers, http, clock, ages, Some(revoke))
    }

    /// The same, to be had by [`Lists::crls`].
    pub fn to_pass_on(servers: &[String], http: Http, clock: Clock, ages: Ages) -> Self {
        Self::new(servers, http, clock, ages, None)
    }

    fn new(
        servers: &[String],
        http: Http,
        clock: Clock,
        ages: Ages,
        revoke: Option<Arc<dyn Revoke>>,
    ) -> Self {
        let servers = servers.iter().map(|it| it.trim_end_matches('/').to_owned());
        Self {
            servers: servers.collect(),
            http,
            clock,
            revoke,
            ages,
            domains: Mutex::default(),
            ready: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Were those of all trust domains tried once, and those of one read?
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The lists of certificates of a trust domain that are passed on: they may be none, and may be past
    /// their time.
    pub fn crls(&self, trust_domain: &str) -> Crls {
        let domains = self.domains.lock();
        let domain = domains.get(trust_domain);
        domain.map(|it| it.passing.all()).unwrap_or_default()
    }

    /// A trust domain that is new or changed, or gone. May its agents be answered: were its lists read
    /// once? Without roots it vouches for nobody whose certificate could be revoked.
    pub fn set_domain(&self, name: &str, wanted: Option<Wanted>) -> bool {
        let mut domains = self.domains.lock();
        let Some(wanted) = wanted else {
            if let Some(gone) = domains.get_mut(name) {
                gone.wanted = None;
                for list in gone.held.names() {
                    self.ages.remove(&labels(name, list));
                }
            }
            return false;
        };
        let known = domains.entry(name.to_owned()).or_insert_with(|| Domain {
            wanted: None,
            held: Held::default(),
            passing: Passing::default(),
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
    pub async fn run(
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
    pub(crate) async fn refresh(&self, name: &str, wanted: &Wanted) -> bool {
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
                let every = match self.revoke {
                    Some(_) => EVERY,
                    None => EVERY_TO_PASS_ON,
                };
                domain.due = Instant::now() + half.unwrap_or(every).clamp(TICK, every);
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

    /// Tells what is held, and the metrics how old it is.
    pub(crate) fn tell(&self) {
        let now = self.clock.now();
        let mut domains = self.domains.lock();
        for (name, domain) in domains.iter_mut() {
            if let Some(revoke) = &self.revoke {
                domain.held.tell(&**revoke, now);
            }
            let Some(wanted) = &domain.wanted else {
                continue;
            };
            let forgotten = domain.held.keep_only(&wanted.bundle);
            domain.passing.keep_only(&wanted.bundle);
            // The last list of an authority that signs none any more gets older for good reason.
            let retired = domain.held.certificates();
            let retired = retired.filter(|it| !wanted.signing.iter().any(|id| id == it.as_str()));
            let retired: Vec<String> = retired.map(held::of).collect();
            for list in forgotten.into_iter().chain(retired.iter().cloned()) {
                self.ages.remove(&labels(name, list));
            }
            for (list, issued_at) in domain.held.ages() {
                if !retired.contains(&list) {
                    let age = now.duration_since(issued_at).as_secs_f64();
                    self.ages.set(&labels(name, list), age);
                }
            }
        }
        let all: Vec<&Domain> = domains.values().filter(|it| it.wants().is_some()).collect();
        if all.iter().all(|it| it.tried) && (all.is_empty() || all.iter().any(|it| it.read)) {
            self.ready.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
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
            && self.keys.as_ref().map(|it| it.keys()) == other.keys.as_ref().map(|it| it.keys())
    }
}

/// Is this the URL of a server of lists: `http(s)://<host>[:<port>][/<path>]`?
pub fn is_server(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let scheme = url.scheme_str();
    matches!(scheme, Some("http" | "https")) && url.host().is_some() && url.query().is_none()
}

fn labels(trust_domain: &str, list: String) -> List {
    List {
        trust_domain: trust_domain.to_owned(),
        list,
    }
}
