//! Whether we lead, known to all who ask.

use std::fmt;
use std::sync::OnceLock;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is asked at each write, without waiting for the network.
pub(super) struct Hold {
    state: Mutex<State>,
    leads: watch::Sender<bool>,
    gauge: Gauge,
    caught_up: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
}

#[derive(Debug, Default)]
struct State {
    valid_until: Option<Instant>,
    /// For good: a renewal that is answered late must not bring the lead back.
    released: bool,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Hold {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            leads: watch::Sender::new(false),
            gauge: Gauge::default(),
            caught_up: OnceLock::new(),
        }
    }

    pub(super) fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Who asks first stays.
    pub(super) fn vouch(&self, caught_up: impl Fn() -> bool + Send + Sync + 'static) {
        self.caught_up.get_or_init(|| Box::new(caught_up));
    }

    /// Has whoever acts by this lead looked at all that is there? Nobody who doesn't tell is waited
    /// for.
    pub(super) fn caught_up(&self) -> bool {
        self.caught_up.get().is_none_or(|it| it())
    }

    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let valid_until = self.state.lock().valid_until;
        valid_until.filter(|end| Instant::now() < *end)
    }

    pub(super) fn is_released(&self) -> bool {
        self.state.lock().released
    }

    /// We lead until then, unless released.
    pub(super) fn extend(&self, until: Instant) {
        let mut state = self.state.lock();
        if !state.released {
            state.valid_until = Some(until);
            self.tell(until > Instant::now());
        }
    }

    /// Another leads, or the time is over.
    pub(super) fn lose(&self) {
        let mut state = self.state.lock();
        state.valid_until = None;
        self.tell(false);
    }

    pub(super) fn release(&self) {
        let mut state = self.state.lock();
        state.released = true;
        state.valid_until = None;
        self.tell(false);
    }

    /// Called under the lock, so that the order of changes is the order of news.
    fn tell(&self, leads: bool) {
        self.gauge.set(i64::from(leads));
        let changed = self
            .leads
            .send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if changed {
            tracing::info!(leads, "the leadership changed");
        }
    }
}
