//! The decision point: `countersign decide`.
//!
//! ```text
//!  API server ══ watches ══▶ feed ──▶ Engine ◀── signals ◀══ transmitters, Falco, other replicas
//!                                      ▲   │
//!  Envoy ══ ext_authz ═╗               │   └──▶ risk ══▶ status.risk of the identity
//!  others ══ AuthZEN ══╬═▶ server ──▶ Point ──▶ audit log
//!  watchers ══ Watch ══╝
//! ```
//!
//! Any number of replicas; each keeps everything in memory and asks nobody to answer. What it can't
//! know, it denies.
//!
//! What it must not do: decide (the engine does), write anything in the cluster but `status.risk`, or
//! hold a key of a trust domain.

mod checkpoints;
mod feed;
mod listed;
mod metrics;
mod point;
mod record;
mod risk;
mod run;
mod server;
mod settings;
mod token;

pub use run::{DecideError, run};
pub use server::TlsError;
pub use settings::{
    BadSetting, CallerRule, Record, Rights, Settings, TlsFiles, TokenFile, Transmitter,
};
