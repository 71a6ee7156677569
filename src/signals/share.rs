//! Replicas tell each other of signals.
//!
//! ```text
//!  receivers ──▶ Shared::accept ─▶ this replica's table      POST /signals/v1/share ─▶ table
//!                      └─▶ a queue for each peer ─▶ run ═══▶ (of the peer; not shared on)
//!  a replica that starts ─▶ pull ═══════════════════════════▶ GET /signals/v1/table
//! ```

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::json::Object;
use countersign_decision::{Signal, SignalRefused, SignalSink};
use countersign_http::{Ask, Http, HttpError};
use futures::future::join_all;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::checks::wrong;
use crate::metrics::Metrics;
use crate::peer::{Next, Peer, PeerSettings};
use crate::receiver::Now;
use crate::router::{SHARE_PATH, TABLE_PATH};

/// Signals in one request: some 40 KB.
const BATCH: usize = 100;
/// Between the tries to reach a replica: a revocation shouldn't wait long for one that is back.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// For one request.
const WITHIN: Duration = Duration::from_secs(5);
/// A table with 100,000 signals.
const MAX_TABLE_BYTES: usize = 64 * 1024 * 1024;
const TABLE_WITHIN: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A table that other replicas hear of too.
pub struct Shared {
    table: Arc<dyn SignalSink>,
    http: Http,
    peers: Mutex<Vec<Arc<Peer>>>,
    changed: Notify,
    now: Now,
    metrics: Metrics,
}

/// What a replica that starts learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulled {
    /// Peers that answered.
    pub reached: usize,
    /// Peers in all.
    pub peers: usize,
    /// Signals that came from them, some more than once.
    pub signals: usize,
}

impl Shared {
    /// Shares what `table` accepts. There are no peers yet.
    pub fn new(table: Arc<dyn SignalSink>, http: Http, now: Now, metrics: Metrics) -> Self {
        Self {
            table,
            http,
            peers: Mutex::default(),
            changed: Notify::new(),
            now,
            metrics,
        }
    }

    /// This replica's own table, for what other replicas say.
    pub fn table(&self) -> Arc<dyn SignalSink> {
        self.table.clone()
    }

    /// The other replicas, as they are now. One that is new gets the whole table; what waits for one
    /// that is gone is dropped.
    pub fn set_peers(&self, peers: Vec<PeerSettings>) {
        let mut known = self.peers.lock();
        let keep = |settings: PeerSettings| {
            let same = known.iter().find(|it| {
                it.settings.address == settings.address && it.settings.name == settings.name
            });
            same.cloned()
                .unwrap_or_else(|| Arc::new(Peer::new(settings)))
        };
        let peers: Vec<_> = peers.into_iter().map(keep).collect();
        let same = peers.len() == known.len()
            && peers
                .iter()
                .zip(known.iter())
                .all(|(a, b)| Arc::ptr_eq(a, b));
        *known = peers;
        drop(known);
        if !same {
            self.changed.notify_one();
        }
    }

    /// Tells the peers, for ever. One that can't be reached holds up no other.
    pub async fn run(&self) -> Infallible {
        loop {
            let peers = self.peers.lock().clone();
            let all = join_all(peers.iter().map(|peer| self.tell(peer)));
            tokio::select! {
                never = all => {
                    // There are no peers.
                    drop(never);
                    self.changed.notified().await;
                }
                () = self.changed.notified() => {}
            }
        }
    }

    /// Asks all peers for their tables, at once, and takes what they have.
    pub async fn pull(&self, within: Duration) -> Pulled {
        let peers = self.peers.lock().clone();
        let all = peers
            .iter()
            .map(|peer| timeout(within, self.pull_from(peer)));
        let mut pulled = Pulled {
            peers: peers.len(),
            ..Pulled::default()
        };
        for (answer, peer) in join_all(all).await.into_iter().zip(&peers) {
            let peer = &peer.settings.name;
            match answer {
                Ok(Ok(signals)) => {
                    pulled.reached += 1;
                    pulled.signals += signals;
                }
                Ok(Err(why)) => tracing::warn!(peer, %why, "a replica's signals can't be had"),
                Err(_) => tracing::warn!(peer, "a replica's signals didn't come in time"),
            }
        }
        pulled
    }

    async fn pull_from(&self, peer: &Peer) -> Result<usize, HttpError> {
        let ask = Ask {
            within: TABLE_WITHIN,
            most_bytes: MAX_TABLE_BYTES,
            ..ask(peer, Method::GET, TABLE_PATH, Vec::new())
        };
        let answer = self.http.ask(ask).await?;
        let signals: Vec<Value> = serde_json::from_slice(&answer).map_err(unreadable)?;
        let now = (self.now)();
        let mut taken = 0;
        for signal in signals {
            // One of a newer replica may be none here.
            let signal: Option<Object<Signal>> = serde_json::from_value(signal).ok();
            let signal = signal.map(|Object(it)| it);
            let signal = signal.filter(|it| wrong(it, now).is_none());
            if signal.is_some_and(|it| self.table.accept(it).is_ok()) {
                taken += 1;
            }
        }
        Ok(taken)
    }

    async fn tell(&self, peer: &Peer) -> Infallible {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut failing = false;
        loop {
            let told = match peer.next(BATCH) {
                Next::Nothing => {
                    peer.changed.notified().await;
                    continue;
                }
                Next::Whole(place) => {
                    let told = self.send_all(peer).await;
                    told.map(|()| peer.whole_sent(place))
                }
                Next::Some(signals, place) => {
                    let told = self.send(peer, &signals).await;
                    told.map(|()| peer.sent(place))
                }
            };
            match told {
                Ok(()) => {
                    backoff.reset();
                    failing = false;
                }
                Err(why) => {
                    let peer = &peer.settings.name;
                    // Once, and not twice a second while it is down.
                    if !failing {
                        tracing::warn!(peer, %why, "a replica can't be told of signals");
                    }
                    failing = true;
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    async fn send_all(&self, peer: &Peer) -> Result<(), HttpError> {
        let all = self.table.all();
        for batch in all.chunks(BATCH) {
            self.send(peer, batch).await?;
        }
        Ok(())
    }

    /// Sends a batch; one that is refused for good counts as sent.
    async fn send(&self, peer: &Peer, signals: &[Signal]) -> Result<(), HttpError> {
        let name = &peer.settings.name;
        let body = serde_json::to_vec(signals).map_err(unreadable)?;
        let count = signals.len() as u64;
        match self
            .http
            .ask(ask(peer, Method::POST, SHARE_PATH, body))
            .await
        {
            Ok(answer) => {
                let answer: Answer = serde_json::from_slice(&answer).unwrap_or_default();
                let refused = answer.refused.min(count);
                self.metrics.add_shared(name, "sent", count - refused);
                self.metrics.add_shared(name, "refused", refused);
                Ok(())
            }
            Err(why) if why.status().is_some_and(never_good) => {
                tracing::warn!(peer = name, %why, "a replica refused signals");
                self.metrics.add_shared(name, "refused", count);
                Ok(())
            }
            Err(why) => Err(why),
        }
    }
}

impl SignalSink for Shared {
    fn accept(&self, signal: Signal) -> Result<(), SignalRefused> {
        self.table.accept(signal.clone())?;
        for peer in self.peers.lock().iter() {
            let dropped = peer.push(signal.clone());
            if dropped > 0 {
                let name = &peer.settings.name;
                self.metrics.add_shared(name, "dropped", dropped as u64);
            }
        }
        Ok(())
    }

    fn all(&self) -> Vec<Signal> {
        self.table.all()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

/// A replica's answer.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    refused: u64,
}

fn ask(peer: &Peer, method: Method, path: &str, body: Vec<u8>) -> Ask {
    let PeerSettings { address, token, .. } = &peer.settings;
    Ask {
        method,
        address: format!("{}{path}", address.trim_end_matches('/')),
        authorization: token.as_ref().map(|it| format!("Bearer {}", it.reveal())),
        content_type: "application/json",
        body,
        within: WITHIN,
        most_bytes: MAX_ANSWER_BYTES,
    }
}

/// Sent again, the same batch would be refused again. That we may not may change.
fn never_good(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    )
}

fn unreadable(why: serde_json::Error) -> HttpError {
    HttpError::Unreadable(why.to_string())
}
