//! Who asks.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use countersign_authzen::{BaseUrl, Settings, router};
use countersign_decision::{Caller, DecisionPoint};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const EVALUATION: &str = "/access/v1/evaluation";
pub(crate) const EVALUATIONS: &str = "/access/v1/evaluations";
pub(crate) const SEARCH_SUBJECT: &str = "/access/v1/search/subject";
pub(crate) const SEARCH_RESOURCE: &str = "/access/v1/search/resource";
pub(crate) const SEARCH_ACTION: &str = "/access/v1/search/action";
pub(crate) const POSTED: [&str; 5] = [
    EVALUATION,
    EVALUATIONS,
    SEARCH_SUBJECT,
    SEARCH_RESOURCE,
    SEARCH_ACTION,
];

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    /// The JSON of a success.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// The message of an error of this status.
    pub(crate) fn refused(&self, status: StatusCode) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "text/plain; charset=utf-8"
        );
        assert!(!self.body.is_empty());
        self.text()
    }
}

pub(crate) fn settings() -> Settings {
    Settings::new(BaseUrl::parse("https://pdp.example.com").unwrap())
}

/// One that vouches for agents and knows of resources.
pub(crate) fn gateway() -> Caller {
    Caller {
        name: "gateway".to_owned(),
        vouches: true,
        authoritative: true,
    }
}

/// An API and a caller of it.
pub(crate) struct Client {
    router: Router,
    caller: Option<Caller>,
}

impl Client {
    pub(crate) fn new(point: Arc<dyn DecisionPoint>) -> Self {
        Self::with(point, settings())
    }

    pub(crate) fn with(point: Arc<dyn DecisionPoint>, settings: Settings) -> Self {
        Self {
            router: router(point, settings),
            caller: Some(gateway()),
        }
    }

    pub(crate) fn asked_by(mut self, caller: Option<Caller>) -> Self {
        self.caller = caller;
        self
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Got {
        if let Some(caller) = self.caller.clone() {
            request.extensions_mut().insert(caller);
        }
        let (parts, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        Got {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Got {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// The JSON of the answer, which must be a success.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Value {
        self.post(path, body.to_string()).await.json()
    }

    /// The message of the answer, which must be a 400.
    pub(crate) async fn refused(&self, path: &str, body: &Value) -> String {
        let got = self.post(path, body.to_string()).await;
        got.refused(StatusCode::BAD_REQUEST)
    }
}
