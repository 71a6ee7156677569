//! The endpoints.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use countersign_core::json::Object;
use countersign_decision::{Caller, Signal, SignalRefused, SignalSink};
use countersign_http::shown;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::answer::{has_type, later, read, set_error, with_json};
use crate::bearer::{Token, shown_by};
use crate::checks::{over, wrong};
use crate::error::{SetError, SetErrorCode};
use crate::falco;
use crate::metrics::Metrics;
use crate::push::push;
use crate::receiver::{Now, Receiver};

/// The place of the endpoint for push delivery.
pub const PUSH_PATH: &str = "/ssf/events";
/// That for Falco.
pub const FALCO_PATH: &str = "/signals/falco";
/// That for anything else that notices something.
pub const REPORT_PATH: &str = "/signals/v1";
/// That for signals of other replicas.
pub const SHARE_PATH: &str = "/signals/v1/share";
/// That for replicas that start.
pub const TABLE_PATH: &str = "/signals/v1/table";

/// Signals in one request.
pub(crate) const MAX_SIGNALS: usize = 1000;
/// Of which each has its bounds; most have 400 bytes.
const MAX_REPORT_BYTES: usize = 2 * 1024 * 1024;
/// Falco cuts its output long before.
const MAX_ALERT_BYTES: usize = 64 * 1024;

/// Who may say what.
pub struct Settings {
    /// The streams of transmitters, by push and by poll.
    pub receivers: Vec<Arc<Receiver>>,
    /// What Falco shows; none: it may not.
    pub falco: Vec<Token>,
    /// Names of [`Caller`]s who may report signals of their own, as [`Caller::is`] has them.
    pub reporters: Vec<String>,
    /// The other replicas; `None`: there are none.
    pub replicas: Option<Replicas>,
    /// The time.
    pub now: Now,
    /// What is counted.
    pub metrics: Metrics,
}

/// What other replicas may do.
pub struct Replicas {
    /// This replica's own table: what it is told isn't shared on.
    pub table: Arc<dyn SignalSink>,
    /// The replicas' names as [`Caller`]s.
    pub callers: Vec<String>,
}

struct Reports {
    sink: Arc<dyn SignalSink>,
    settings: Settings,
}

/// The endpoints, whose signals go to `sink`.
///
/// Transmitters and Falco show a bearer token. Reporters and replicas are told by a [`Caller`] among
/// the request's extensions, which whoever terminates mTLS puts there; without one they are refused.
pub fn router(sink: Arc<dyn SignalSink>, settings: Settings) -> Router {
    let receivers: Arc<[Arc<Receiver>]> = settings.receivers.clone().into();
    let reports = Arc::new(Reports { sink, settings });
    Router::new()
        .route(FALCO_PATH, post(alert))
        .route(REPORT_PATH, post(report))
        .route(SHARE_PATH, post(share))
        .route(TABLE_PATH, get(table))
        .with_state(reports)
        .route(PUSH_PATH, post(push).with_state(receivers))
}

async fn alert(State(reports): State<Arc<Reports>>, request: Request) -> Response {
    let outcome = reports.alert(request).await;
    outcome.unwrap_or_else(|refusal| refusal)
}

async fn report(
    State(reports): State<Arc<Reports>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Response {
    let outcome = reports.report(caller, request).await;
    outcome.unwrap_or_else(|refusal| refusal)
}

async fn share(
    State(reports): State<Arc<Reports>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Response {
    let outcome = reports.share(caller, request).await;
    outcome.unwrap_or_else(|refusal| refusal)
}

async fn table(State(reports): State<Arc<Reports>>, caller: Option<Extension<Caller>>) -> Response {
    match reports.replica(caller) {
        Some(replicas) => with_json(&json!(replicas.table.all())),
        None => not_allowed(),
    }
}

impl Reports {
    async fn alert(&self, request: Request) -> Result<Response, Response> {
        let count = |outcome| self.settings.metrics.received("falco", outcome);
        let (head, body) = request.into_parts();
        if shown_by(&head.headers, self.settings.falco.iter().map(Some)).is_none() {
            count("denied");
            let why = "the bearer token is missing or not known";
            let why = SetError::new(SetErrorCode::AuthenticationFailed, why);
            return Err(set_error(StatusCode::UNAUTHORIZED, &why));
        }
        let alert = json_body(&head.headers, body, MAX_ALERT_BYTES).await;
        let alert = alert.inspect_err(|_| count("invalid_request"))?;
        let now = (self.settings.now)();
        let signal = falco::read(&alert, now).map_err(|why| {
            count("invalid_request");
            bad(why)
        })?;
        let Some(signal) = signal.filter(|it| !over(it, now)) else {
            count("ignored");
            return Ok(with_json(&json!({"accepted": 0})));
        };
        match self.sink.accept(signal) {
            Ok(()) => count("accepted"),
            Err(SignalRefused::Full) => {
                count("later");
                return Err(later("there are too many signals"));
            }
            Err(why) => {
                count("invalid_request");
                return Err(bad(why.to_string()));
            }
        }
        Ok(with_json(&json!({"accepted": 1})))
    }

    /// All or, where the table is full or knows better, the first ones; that the same are sent again
    /// changes nothing.
    async fn report(
        &self,
        caller: Option<Extension<Caller>>,
        request: Request,
    ) -> Result<Response, Response> {
        let count = |outcome| self.settings.metrics.received("report", outcome);
        let reporters = &self.settings.reporters;
        let allowed = |caller: &Caller| reporters.iter().any(|it| caller.is(it));
        let Some(Extension(caller)) = caller.filter(|it| allowed(it)) else {
            count("denied");
            return Err(not_allowed());
        };
        let (head, body) = request.into_parts();
        let body = json_body(&head.headers, body, MAX_REPORT_BYTES).await;
        let body = body.inspect_err(|_| count("invalid_request"))?;
        let now = (self.settings.now)();
        let signals = signals(&body).and_then(|signals| {
            for (place, signal) in signals.iter().enumerate() {
                let wrong = wrong(signal, now).map(str::to_owned);
                if let Some(why) = wrong.or_else(|| not_his(signal, &caller.name)) {
                    return Err(format!("signal {place}: {why}"));
                }
            }
            Ok(signals)
        });
        let signals = signals.map_err(|why| {
            count("invalid_request");
            bad(why)
        })?;
        let mut accepted = 0;
        for signal in signals {
            if over(&signal, now) {
                count("ignored");
                continue;
            }
            match self.sink.accept(signal) {
                Ok(()) => {
                    count("accepted");
                    accepted += 1;
                }
                Err(SignalRefused::Full) => {
                    count("later");
                    return Err(later("there are too many signals"));
                }
                Err(why) => {
                    count("invalid_request");
                    return Err(bad(why.to_string()));
                }
            }
        }
        Ok(with_json(&json!({"accepted": accepted})))
    }

    /// Each for itself: one that can't be, of a newer replica perhaps, doesn't hold up the others.
    async fn share(
        &self,
        caller: Option<Extension<Caller>>,
        request: Request,
    ) -> Result<Response, Response> {
        let metrics = &self.settings.metrics;
        let table = &self.replica(caller).ok_or_else(not_allowed)?.table;
        let (head, body) = request.into_parts();
        let body = json_body(&head.headers, body, MAX_REPORT_BYTES).await?;
        let all: Vec<Value> = serde_json::from_slice(&body).map_err(|why| bad(why.to_string()))?;
        if all.len() > MAX_SIGNALS {
            return Err(bad(too_many()));
        }
        let now = (self.settings.now)();
        let (mut accepted, mut refused) = (0, 0);
        for signal in all {
            let signal: Option<Object<Signal>> = serde_json::from_value(signal).ok();
            let signal = signal.map(|Object(it)| it);
            let Some(signal) = signal.filter(|it| wrong(it, now).is_none()) else {
                refused += 1;
                continue;
            };
            if over(&signal, now) {
                continue;
            }
            match table.accept(signal) {
                Ok(()) => accepted += 1,
                Err(SignalRefused::Full) => return Err(later("there are too many signals")),
                Err(_) => refused += 1,
            }
        }
        metrics.add_received("peer", "accepted", accepted);
        metrics.add_received("peer", "invalid_request", refused);
        Ok(with_json(
            &json!({"accepted": accepted, "refused": refused}),
        ))
    }

    /// `None`: the caller is no replica.
    fn replica(&self, caller: Option<Extension<Caller>>) -> Option<&Replicas> {
        let replicas = self.settings.replicas.as_ref()?;
        let found = caller.filter(|it| replicas.callers.contains(&it.name));
        if found.is_none() {
            self.settings.metrics.received("peer", "denied");
        }
        found.map(|_| replicas)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("receivers", &self.receivers)
            .field("falco", &self.falco)
            .field("reporters", &self.reporters)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replicas")
            .field("callers", &self.callers)
            .finish_non_exhaustive()
    }
}

/// A signal or an array of them.
fn signals(body: &[u8]) -> Result<Vec<Signal>, String> {
    let unreadable = |why: serde_json::Error| shown(&why.to_string());
    let first = body.iter().find(|it| !it.is_ascii_whitespace());
    let signals: Vec<Object<Signal>> = if first == Some(&b'[') {
        serde_json::from_slice(body).map_err(unreadable)?
    } else {
        vec![serde_json::from_slice(body).map_err(unreadable)?]
    };
    if signals.len() > MAX_SIGNALS {
        return Err(too_many());
    }
    Ok(signals.into_iter().map(|Object(it)| it).collect())
}

/// A reporter speaks for itself: else it could take back what another noticed.
fn not_his(signal: &Signal, caller: &str) -> Option<String> {
    let below = signal.source.strip_prefix(caller);
    let his = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (!his).then(|| format!("the source must be {caller:?} or begin with it and a slash"))
}

async fn json_body(
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<axum::body::Bytes, Response> {
    if !has_type(headers, "application/json") {
        return Err(bad("the content type must be application/json".to_owned()));
    }
    read(body, most).await
}

fn too_many() -> String {
    format!("there must not be more than {MAX_SIGNALS} signals")
}

fn bad(why: String) -> Response {
    set_error(StatusCode::BAD_REQUEST, &SetError::request(why))
}

fn not_allowed() -> Response {
    let why = SetError::new(SetErrorCode::AccessDenied, "the caller may not do that");
    set_error(StatusCode::FORBIDDEN, &why)
}
