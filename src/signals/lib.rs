//! Receives signals: Shared Signals by push and poll, Falco, other replicas.
//!
//! ```text
//!  transmitter ── push ─▶ POST /ssf/events ─┐
//!  transmitter ◀─ poll ── Poller ───────────┴▶ Receiver: Verifier (keys of the issuer) ─▶ Replay
//!                                                  └─▶ meaning ─▶ Signal ──┐
//!  Falco ───▶ POST /signals/falco ─▶ Signal ───────────────────────────────┤
//!  others ──▶ POST /signals/v1 ─▶ Signal, of their own source ─────────────┤
//!                                                                          ▼
//!  replicas ◀══ Shared: a queue for each ◀═══════════════════════════ SignalSink
//!  replicas ═══ POST /signals/v1/share, GET /signals/v1/table ══════▶ the table itself
//! ```
//!
//! Nothing is believed that wasn't proved: who sends shows a token or a certificate, and a security
//! event token is signed by its issuer besides. A transmitter that is trusted may say anything of
//! anybody; what it says can't take back what another said.
//!
//! What it must not do: decide, keep signals, or write to the API server. Whatever runs for ever here
//! ([`Poller::run`], [`Shared::run`]) is a future for the caller's supervisor.

mod answer;
mod authorization;
mod backoff;
mod bearer;
mod checks;
mod discovery;
mod error;
mod event;
pub mod falco;
mod header;
mod jwk;
mod keys;
mod metrics;
mod peer;
mod poll;
mod push;
mod receiver;
mod replay;
mod router;
mod serial;
mod share;
mod subject;
mod token;

pub use authorization::{Authorization, ClientCredentials};
pub use bearer::{BadToken, Secret, Token as BearerToken, shown_by};
pub use checks::MAX_LIFETIME;
pub use discovery::{TransmitterConfiguration, discover};
pub use error::{SetError, SetErrorCode};
pub use event::{
    ACCOUNT_LASTS, COMPLIANCE_LASTS, Meaning, NOTE_LASTS, RISK_LASTS, SESSIONS_END, meaning,
};
pub use header::MAX_TOKEN_BYTES;
pub use jwk::{Algorithm, BadKeySet, KeySet};
pub use keys::KeySource;
pub use metrics::Metrics;
pub use peer::PeerSettings;
pub use poll::{PollSettings, Polled, Poller};
pub use receiver::{NotReceived, Now, Received, Receiver, Stream};
pub use router::{
    FALCO_PATH, PUSH_PATH, REPORT_PATH, Replicas, SHARE_PATH, Settings, TABLE_PATH, router,
};
pub use share::{Pulled, Shared};
pub use token::{MAX_AGE, MAX_SKEW, Token, Verifier};
