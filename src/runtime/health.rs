//! The health and metrics pages.

use std::fmt;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// Says what is wrong, or nothing. Called at each request: be quick.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The format of `text::encode`.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/healthz`, `/readyz` and `/metrics`, in plain HTTP for anybody. Where metrics aren't for anybody:
/// [`Pages`](crate::Pages).
///
/// A page of checks has a line for each, `ok` or what is wrong, and status 503 if anything is.
#[derive(Debug)]
pub struct Health {
    live: Checks,
    ready: Checks,
    registry: Option<Arc<Registry>>,
}

#[derive(Clone, Default)]
struct Checks(Vec<(String, Check)>);

impl Health {
    /// Pages without checks, and the metrics of `registry`.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            live: Checks::default(),
            ready: Checks::default(),
            registry: Some(registry),
        }
    }

    /// Adds a check to `/healthz`: one whose failure a restart may mend.
    #[must_use]
    pub fn live(mut self, name: impl Into<String>, check: Check) -> Self {
        self.live.0.push((name.into(), check));
        self
    }

    /// Adds a check to `/readyz`: one whose failure should keep traffic away.
    #[must_use]
    pub fn ready(mut self, name: impl Into<String>, check: Check) -> Self {
        self.ready.0.push((name.into(), check));
        self
    }

    /// The checks alone, and the metrics apart, which are served elsewhere.
    pub(crate) fn without_metrics(mut self) -> (Self, Option<Arc<Registry>>) {
        let registry = self.registry.take();
        (self, registry)
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    fn router(self) -> Router {
        let checks = |checks: Checks| get(page).with_state(Arc::new(checks));
        let router = Router::new()
            .route("/healthz", checks(self.live))
            .route("/readyz", checks(self.ready));
        match self.registry {
            Some(registry) => router.route("/metrics", get(metrics).with_state(registry)),
            None => router,
        }
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

async fn page(State(checks): State<Arc<Checks>>) -> (StatusCode, String) {
    let mut status = StatusCode::OK;
    let mut lines = String::new();
    for (name, check) in &checks.0 {
        let said = match check() {
            Ok(()) => "ok".to_owned(),
            Err(wrong) => {
                status = StatusCode::SERVICE_UNAVAILABLE;
                wrong
            }
        };
        lines.extend([name, ": ", &said, "\n"]);
    }
    (status, lines)
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    match exposition(&registry) {
        Ok(body) => ([(header::CONTENT_TYPE, OPEN_METRICS)], body).into_response(),
        Err(error) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            (status, error.to_string()).into_response()
        }
    }
}

/// The metrics as [`OPEN_METRICS`].
///
/// # Errors
/// One of them can't be encoded.
pub(crate) fn exposition(registry: &Registry) -> Result<String, fmt::Error> {
    let mut body = String::new();
    text::encode(&mut body, registry)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn pages_say_what_is_wrong() {
        let mut registry = Registry::with_prefix("test");
        let counter: Counter = Counter::default();
        registry.register("things", "Things", counter.clone());
        counter.inc();
        let health = Health::new(Arc::new(registry))
            .live("watches", Arc::new(|| Ok(())))
            .ready("watches", Arc::new(|| Ok(())))
            .ready("lease", Arc::new(|| Err("forbidden".to_owned())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(health.serve(listener));
        let get = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let live = get("/healthz").await;
        assert!(
            live.starts_with("HTTP/1.0 200") && live.ends_with("\r\nwatches: ok\n"),
            "{live}"
        );
        let ready = get("/readyz").await;
        assert!(ready.starts_with("HTTP/1.0 503"), "{ready}");
        assert!(
            ready.ends_with("watches: ok\nlease: forbidden\n"),
            "{ready}"
        );
        let metrics = get("/metrics").await;
        assert!(metrics.contains(OPEN_METRICS), "{metrics}");
        assert!(metrics.contains("test_things_total 1\n"), "{metrics}");
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    }
}
