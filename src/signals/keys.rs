//! The keys of a transmitter, fetched when they are needed and kept fresh.

use std::sync::Arc;
use std::time::Duration;

use countersign_http::{Http, HttpError};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::discovery::{WITHIN, discover};
use crate::jwk::KeySet;

/// Keys are asked for again when a token comes and they are older than this: a key that its owner
/// took out of the set is not trusted for much longer.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// While they can't be fetched, older ones count for so long.
const AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// Between two fetches, successful or not. Anybody can name a key that doesn't exist, and the
/// transmitter must not pay for it.
const BETWEEN: Duration = Duration::from_secs(30);
/// [`KeySet`] takes 64 keys; one with its certificates has a few KiB.
const MAX_BYTES: usize = 512 * 1024;

/// Where keys come from.
#[derive(Debug)]
pub struct KeySource {
    from: From,
    known: Mutex<Known>,
    /// Held while fetching: one fetch serves all who wait.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum From {
    Fixed(Arc<KeySet>),
    Address(Http, String),
    Discovery(Http, String),
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<(Arc<KeySet>, Instant)>,
    tried: Option<Instant>,
}

/// There are no keys now; there may be later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the transmitter's keys can't be had")]
pub(crate) struct NoKeys;

impl KeySource {
    /// These keys, for ever.
    pub fn fixed(keys: KeySet) -> Self {
        Self::new(From::Fixed(Arc::new(keys)))
    }

    /// The JWK set at an address.
    pub fn at(http: Http, jwks_uri: impl Into<String>) -> Self {
        Self::new(From::Address(http, jwks_uri.into()))
    }

    /// The JWK set that an issuer's SSF configuration names; see [`discover`].
    pub fn discovered(http: Http, issuer: impl Into<String>) -> Self {
        Self::new(From::Discovery(http, issuer.into()))
    }

    fn new(from: From) -> Self {
        Self {
            from,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The keys, with that of name `kid` if there is one.
    ///
    /// # Errors
    /// There are none that count, or nobody could be asked for that of this name since the call: a
    /// new key may be minutes old, and its first token must not be refused for good.
    pub(crate) async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, NoKeys> {
        if let From::Fixed(keys) = &self.from {
            return Ok(keys.clone());
        }
        if let Some(keys) = self.good(kid) {
            return Ok(keys);
        }
        let asked = Instant::now();
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(keys) = self.good(kid) {
            return Ok(keys); // fetched by the one before
        }
        let due = |tried: Instant| tried.elapsed() >= BETWEEN;
        let due = self.known.lock().tried.is_none_or(due);
        if due {
            self.fetch().await;
        }
        let known = self.known.lock();
        let (keys, since) = known.keys.as_ref().ok_or(NoKeys)?;
        let counts = since.elapsed() < AT_MOST && (keys.has(kid) || *since >= asked);
        counts.then(|| keys.clone()).ok_or(NoKeys)
    }

    /// Those that are there, if they are fresh and have the one that is asked for.
    fn good(&self, kid: Option<&str>) -> Option<Arc<KeySet>> {
        let known = self.known.lock();
        let (keys, since) = known.keys.as_ref()?;
        let good = since.elapsed() < FRESH && keys.has(kid);
        good.then(|| keys.clone())
    }

    async fn fetch(&self) {
        self.known.lock().tried = Some(Instant::now());
        match self.get().await {
            Ok(keys) => self.known.lock().keys = Some((Arc::new(keys), Instant::now())),
            Err(why) => tracing::warn!(%why, "the keys of a transmitter can't be fetched"),
        }
    }

    async fn get(&self) -> Result<KeySet, HttpError> {
        let (http, address) = match &self.from {
            // Never asked.
            From::Fixed(_) => return Err(HttpError::Unreadable("it is fixed".to_owned())),
            From::Address(http, address) => (http, address.clone()),
            From::Discovery(http, issuer) => {
                let found = discover(http, issuer).await?.jwks_uri;
                let missing = || HttpError::Unreadable("it names no jwks_uri".to_owned());
                (http, found.ok_or_else(missing)?)
            }
        };
        let json = http.get(&address, WITHIN, MAX_BYTES).await?;
        KeySet::parse(&json).map_err(|why| HttpError::Unreadable(why.to_string()))
    }
}
