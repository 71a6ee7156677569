//! The health and metrics pages.

use std::io;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// Says what is wrong, or nothing. Called at each request: be quick.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// `/healthz`, `/readyz` and `/metrics`.
pub struct Health {
    live: Vec<(String, Check)>,
    ready: Vec<(String, Check)>,
    registry: Arc<Registry>,
}

impl Health {
    /// Pages without checks.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            live: Vec::new(),
            ready: Vec::new(),
            registry,
        }
    }

    /// Adds a check to `/healthz`: one whose failure a restart may mend.
    #[must_use]
    pub fn live(mut self, name: impl Into<String>, check: Check) -> Self {
        self.live.push((name.into(), check));
        self
    }

    /// Adds a check to `/readyz`: one whose failure should keep traffic away.
    #[must_use]
    pub fn ready(mut self, name: impl Into<String>, check: Check) -> Self {
        self.ready.push((name.into(), check));
        self
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let _ = (self.registry, listener);
        unimplemented!()
    }
}
