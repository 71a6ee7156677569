//! The cluster's keys, read from the API server.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::Request;
use kube::Client;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::jwks::KeySet;

/// A key that was taken out lets nobody in for longer than this.
const EVERY: Duration = Duration::from_secs(60);
/// At the start, and while nothing was read.
const RETRY: Duration = Duration::from_millis(500);
/// Whoever shows tokens of unknown keys has the API server asked no more often than this.
const AT_MOST: Duration = Duration::from_secs(3);

/// Who signs tokens.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) issuer: String,
    pub(super) set: KeySet,
    /// Another number, other keys.
    pub(super) generation: u64,
    document: String,
}

/// The keys as they were last read.
pub(crate) struct Keys {
    client: Option<Client>,
    current: ArcSwapOption<Current>,
    /// When they were read last, and held while they are.
    read: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("{path}: {why}")]
    Content { path: &'static str, why: String },
}

impl Keys {
    /// None are there before they were first [read](Self::keep).
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client: Some(client),
            current: ArcSwapOption::empty(),
            read: Mutex::new(None),
        }
    }

    #[cfg(test)]
    pub(super) fn fixed(issuer: &str, jwks: &str) -> Self {
        let keys = Self {
            client: None,
            current: ArcSwapOption::empty(),
            read: Mutex::new(None),
        };
        assert!(keys.set(issuer, jwks).is_ok());
        keys
    }

    /// Were they read?
    pub(crate) fn there(&self) -> bool {
        self.current.load().is_some()
    }

    pub(super) fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full()
    }

    /// Those of now, if they weren't read just before: somebody shows a key that isn't known.
    pub(super) async fn again(&self) -> Option<Arc<Current>> {
        let mut read = self.read.lock().await;
        if read.is_none_or(|it| it.elapsed() >= AT_MOST) {
            *read = Some(Instant::now());
            self.try_read().await;
        }
        self.current()
    }

    /// Reads them again for ever.
    pub(crate) async fn keep(self: Arc<Self>) -> Infallible {
        loop {
            let mut read = self.read.lock().await;
            *read = Some(Instant::now());
            self.try_read().await;
            drop(read);
            sleep(if self.there() { EVERY } else { RETRY }).await;
        }
    }

    /// What was read before stays where nothing can be.
    async fn try_read(&self) {
        let Some(client) = &self.client else { return };
        if let Err(why) = self.read_from(client).await {
            warn!("the cluster's keys for ServiceAccount tokens can't be read: {why}");
        }
    }

    async fn read_from(&self, client: &Client) -> Result<(), Unread> {
        const DISCOVERY: &str = "/.well-known/openid-configuration";
        // Not what discovery names: that may be for others to reach.
        const KEYS: &str = "/openid/v1/jwks";
        let text = async |path: &'static str| {
            let request = Request::get(path).body(Vec::new());
            client
                .request_text(request.map_err(kube::Error::HttpError)?)
                .await
        };
        let discovery: Discovery =
            serde_json::from_str(&text(DISCOVERY).await?).map_err(|why| unread(DISCOVERY, &why))?;
        let document = text(KEYS).await?;
        self.set(&discovery.issuer, &document)
            .map_err(|why| unread(KEYS, &why))
    }

    fn set(&self, issuer: &str, document: &str) -> Result<(), &'static str> {
        let before = self.current.load();
        if let Some(before) = before.as_ref()
            && before.document == document
            && before.issuer == issuer
        {
            return Ok(());
        }
        let set = KeySet::parse(document)?;
        let generation = before.as_ref().map_or(1, |it| it.generation + 1);
        info!(
            issuer,
            "the cluster's keys for ServiceAccount tokens were read"
        );
        self.current.store(Some(Arc::new(Current {
            issuer: issuer.to_owned(),
            set,
            generation,
            document: document.to_owned(),
        })));
        Ok(())
    }
}

fn unread(path: &'static str, why: &dyn std::fmt::Display) -> Unread {
    Unread::Content {
        path,
        why: why.to_string(),
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
