//! Envoy's external authorization v3, and Watch, over a decision point.
//!
//! ```text
//!  Envoy ══ CheckRequest ══▶ ask: who (certificate), what (route, or method and path),
//!                             │   on whose authority (header) ──▶ Question ─▶ DecisionPoint
//!        ◀═ CheckResponse ══ respond: identity headers, or status and reason ◀── Answer ─┘
//!
//!  anyone ══ WatchRequest ══▶ one Question ──▶ an answer now, and each time that it changes
//! ```
//!
//! Envoy asks once for each HTTP request, so a connection that stays open is decided anew with each
//! of its requests. Streams that are open already aren't asked about again: whoever holds one keeps a
//! Watch and ends it.
//!
//! What Envoy must be told: `failure_mode_allow: false`, `include_peer_certificate: true`, and nothing
//! that hides headers (`allowed_headers`, `disallowed_headers`).
//!
//! # What is asked about
//! A route says it by the filter's context extensions, each of them optional:
//!
//! | extension        | meaning |
//! |------------------|---------|
//! | `action`         | the verb, in place of the method's |
//! | `resource`       | the resource's path, whatever the request's is |
//! | `resourcePrefix` | stands before the request's path, which is the resource's otherwise |
//! | `resourceType`   | the resource's type |
//! | `tool`           | the tool that is called |
//! | `audience`       | for whom |
//! | `destructive`    | `true` or `false`, in place of "is it a DELETE?" |
//!
//! Without `action`: GET and HEAD are `read`, POST is `create`, PUT `write`, PATCH `update`, DELETE
//! `delete`, and any other its own name in lower case.
//!
//! The host is no part of a resource: an Envoy in front of several services gives the routes of each a
//! `resourcePrefix` of its own.
//!
//! The request's path must have one meaning for everybody who reads it, or policies about one path
//! would be evaded by another spelling of it. Its query is cut off and its percent-encoding is
//! undone, once; refused are encoded `/`, `\` and `%`, segments that are empty, `.`, `..` or `*`, path
//! parameters (`;`), control characters, and whatever isn't UTF-8; so are headers that make services
//! take another method or path than those of the request.
//!
//! # What the service behind is told
//! Headers `x-countersign-agent`, `-owner`, `-requester`, `-decision`, `-delegation` (the digest of the
//! chain's last statement) and `-delegation-depth`, as far as they are known. What a client sends under
//! a name that begins so is removed or overwritten. Values are visible ASCII: other bytes, and `%`, are
//! percent-encoded.
//!
//! # What it must not do
//! Decide; keep an answer; read a clock; answer what it can't read with an error where it can deny:
//! an error is an allow for an Envoy that was told so.

mod ask;
mod authority;
mod certificate;
mod check;
mod client;
mod codec;
pub mod envoy;
mod headers;
mod path;
mod percent;
mod respond;
pub mod watch;
mod watching;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use countersign_decision::DecisionPoint;

pub use client::Client;

use crate::watching::Places;

/// The path that Envoy calls.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The path of Watch.
pub const WATCH: &str = "/countersign.decision.v1.Decisions/Watch";

/// What may differ from one decision point to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The kinds of obligations that Envoy, or this service for it, meets. An allow that comes with
    /// another is denied. By default `notification` alone, which is met by a line in the log.
    pub known_obligations: Arc<BTreeSet<String>>,
    /// The largest request, in bytes: the headers of a request to Envoy and a certificate. Envoy itself
    /// takes 60 KiB of headers unless told otherwise. A larger one is answered with an error.
    pub max_message_bytes: usize,
    /// The most subscriptions of one caller at a time: each costs a decision with every change.
    pub max_watches_per_caller: usize,
    /// The most subscriptions of all callers.
    pub max_watches: usize,
}

/// What the handlers share.
pub(crate) struct Service {
    pub(crate) point: Arc<dyn DecisionPoint>,
    pub(crate) settings: Settings,
    pub(crate) places: Arc<Places>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            known_obligations: Arc::new(BTreeSet::from(["notification".to_owned()])),
            max_message_bytes: 512 * 1024,
            max_watches_per_caller: 256,
            max_watches: 4096,
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Both services, to be merged with whatever else a server offers. Needs HTTP/2.
///
/// Who asks is the [`countersign_decision::Caller`] in the request's extensions, put there by whoever
/// authenticated it; without one the answer is UNAUTHENTICATED.
pub fn service(point: Arc<dyn DecisionPoint>, settings: Settings) -> Router {
    let places = Arc::new(Places::new(
        settings.max_watches,
        settings.max_watches_per_caller,
    ));
    let service = Arc::new(Service {
        point,
        settings,
        places,
    });
    Router::new()
        .route(CHECK, post(check::handle))
        .route(WATCH, post(watching::handle))
        .with_state(service)
}
