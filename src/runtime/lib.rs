//! The machinery under the controllers: it keeps stores like the API server, hands out keys in the
//! right order, says who leads, and ends the process when a part of it dies.
//!
//! ```text
//!  API server ══ list, watch ══▶ watch_into ──▶ Store ──▶ observe (the controllers')
//!      ▲              ▲             │ changed
//!      │              │             ▼
//!      │       WatchProgress      Queue ──▶ next ──▶ workers ──▶ done
//!      │              │                                 │
//!      │              ▼                                 │ Permit
//!      │           Health                               ▼
//!      └══════════════ Leadership (Lease) ◀══════════ writes, within a limit
//! ```
//!
//! What it must not do: know our kinds, decide what should be, or start a task that nobody
//! supervises.

mod accept;
mod backoff;
mod client;
mod clock;
mod health;
mod heartbeat;
mod leader;
mod merge;
mod names;
mod pages;
mod progress;
mod queue;
mod scrape;
mod store;
mod supervisor;
pub mod version;
mod watch;
mod watch_metrics;

pub use accept::accept;
pub use client::{
    Clients, NoServerTime, ServerTime, Skew, WriteError, is_already_exists, is_conflict,
    is_forbidden, is_not_found, server_time, within,
};
pub use clock::Clock;
pub use health::{Check, Health};
pub use heartbeat::{Freshness, Heartbeat};
pub use leader::{Candidate, Leadership, NotLeader, Permit};
pub use merge::merge_patch;
pub use names::Names;
pub use pages::{MetricsTls, PageSettings, Pages, PagesError, SecureMetrics};
pub use progress::{Observed, WatchProgress};
pub use queue::{Outcome, Queue, Urgency};
pub use store::{ObjectKey, Store, Trouble};
pub use supervisor::{Stopping, Supervisor, TaskEnded};
pub use watch::watch_into;
pub use watch_metrics::WatchMetrics;
