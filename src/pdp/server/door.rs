//! Who a request is from, as of now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use countersign_decision::{Caller, Engine, Freshness, Peer};
use countersign_runtime::Clock;
use tracing::debug;

use super::Callers;
use crate::metrics::Metrics;

/// Where those who aren't [`Caller`]s show secrets of their own: transmitters and Falco.
const OF_OTHERS: [&str; 2] = ["/ssf/", "/signals/falco"];
/// What callers and replicas tell.
const TOLD: &str = "/signals/";

/// What it takes to know who is there.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) callers: Arc<Callers>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// A connection, as its requests see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Guest(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    peer: Option<Peer>,
    known: AtomicBool,
}

impl Guest {
    /// With the certificate that its handshake verified.
    pub(super) fn new(peer: Option<Peer>) -> Self {
        let known = AtomicBool::new(false);
        Self(Arc::new(Inner { peer, known }))
    }

    /// Has it ever shown who it is?
    pub(super) fn is_known(&self) -> bool {
        self.0.known.load(Ordering::Relaxed)
    }

    fn set_known(&self) {
        self.0.known.store(true, Ordering::Relaxed);
    }
}

impl Door {
    /// Looks at the certificate before there is a request: whoever has a good one may keep a connection
    /// in store.
    pub(super) fn look(&self, guest: &Guest) {
        if self.by_certificate(guest).is_some() {
            guest.set_known();
        }
    }

    /// Has the certificate ceased to count since the connection was opened?
    pub(super) fn is_refused(&self, guest: &Guest) -> bool {
        let peer = guest.0.peer.as_ref();
        peer.is_some_and(|it| self.engine.check_peer(it, self.clock.now()).is_err())
    }

    fn by_certificate(&self, guest: &Guest) -> Option<Caller> {
        let peer = guest.0.peer.as_ref()?;
        let caller = self.callers.by_id(peer.spiffe_id())?;
        match self.engine.check_peer(peer, self.clock.now()) {
            Ok(()) => Some(caller),
            Err(reason) => {
                let (reason, name) = (reason.as_str(), caller.name);
                debug!(caller = name, reason, "its certificate doesn't count");
                self.metrics.refused(reason);
                None
            }
        }
    }

    fn caller(&self, headers: &HeaderMap, guest: &Guest, path: &str) -> Option<Caller> {
        if let Some(caller) = self.callers.by_token(headers) {
            return Some(caller);
        }
        // Nobody knows yet whether the certificate still counts. Questions are denied until then; what
        // is told would stay.
        let early = self.engine.world().freshness() == Freshness::NotReady;
        let told = path.starts_with(TOLD);
        self.by_certificate(guest).filter(|_| !(early && told))
    }
}

/// Puts the [`Caller`] into the request's extensions, if it is one. Who isn't is refused by whatever
/// needs one.
pub(super) async fn identify(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Response {
    // Only ours counts.
    request.extensions_mut().remove::<Caller>();
    let guest = request.extensions_mut().remove::<Guest>();
    let guest = guest.unwrap_or_default();
    let path = request.uri().path();
    let others = OF_OTHERS.iter().any(|it| path.starts_with(it));
    if let Some(caller) = door.caller(request.headers(), &guest, path) {
        guest.set_known();
        request.extensions_mut().insert(caller);
    }
    let response = next.run(request).await;
    if others && response.status().is_success() {
        guest.set_known();
    }
    response
}
