//! Pods by their projected ServiceAccount tokens, verified here: the API server isn't asked about each.
//!
//! ```text
//!  token ──▶ seen before? ──────────────────────────────▶ Asker
//!              │ no                                         ▲
//!              ▼                                            │
//!           signature ──▶ issuer, audience, times, pod ─────╯
//!              ▲
//!  Keys: /openid/v1/jwks of the API server, again when a token names a key that isn't there
//! ```
//!
//! What a token says was true when it was made. Whether its pod is there still is for whoever watches
//! pods.

mod cache;
mod claims;
mod jwks;
mod keys;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

pub(crate) use keys::Keys;

use crate::PodRef;
use cache::Cache;

/// Who shows a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) pod: PodRef,
    /// The token's end.
    pub(crate) expires: Timestamp,
}

/// Why a token lets nobody in. The words are for programs; messages never have a part of the token in
/// them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadToken {
    #[error("no bearer token was shown")]
    Missing,
    #[error("it is no ServiceAccount token of this cluster: {0}")]
    Bad(&'static str),
    #[error("the token is over: show a newer one")]
    Expired,
    #[error("the token is for another audience than {0:?}: project one for it")]
    WrongAudience(String),
    #[error("the token is signed by a key that isn't this cluster's")]
    UnknownKey,
    #[error("the token is bound to no pod: project it into one, or make it for a pod")]
    Unbound,
    #[error("the cluster's keys could not be read yet")]
    NoKeys,
}

/// Verifies tokens, and remembers those that it found good.
#[derive(Debug)]
pub(crate) struct Tokens {
    audience: String,
    keys: Arc<Keys>,
    known: Mutex<Cache>,
}

impl Tokens {
    pub(crate) fn new(audience: String, keys: Arc<Keys>) -> Self {
        Self {
            audience,
            keys,
            known: Mutex::default(),
        }
    }

    /// Who shows this?
    ///
    /// # Errors
    /// Nobody, and why.
    pub(crate) async fn asker(&self, token: &str, now: Timestamp) -> Result<Asker, BadToken> {
        let digest = cache::digest(token);
        let keys = self.keys.current();
        let generation = keys.as_ref().map_or(0, |it| it.generation);
        if let Some(known) = self.known.lock().find(&digest, generation, now) {
            return known;
        }
        let shown = claims::Unverified::read(token)?;
        let keys = match keys.filter(|it| it.set.has(&shown.kid)) {
            Some(keys) => keys,
            None => {
                let keys = self.keys.again().await.ok_or(BadToken::NoKeys)?;
                if !keys.set.has(&shown.kid) {
                    return Err(BadToken::UnknownKey);
                }
                keys
            }
        };
        let signed = keys.set.verify(
            &shown.kid,
            &shown.alg,
            shown.signing_input.as_bytes(),
            &shown.signature,
        );
        if !signed {
            return Err(BadToken::Bad("its signature doesn't verify"));
        }
        let asker = claims::judge(&shown.payload, &keys.issuer, &self.audience, now)?;
        (self.known.lock()).put(digest, keys.generation, asker.clone(), now);
        Ok(asker)
    }
}

impl BadToken {
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Missing | Self::Bad(_) => "BadToken",
            Self::Expired => "ExpiredToken",
            Self::WrongAudience(_) => "WrongAudience",
            Self::UnknownKey => "UnknownKey",
            Self::Unbound => "UnboundToken",
            Self::NoKeys => "Stale",
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pod.namespace, self.pod.name)
    }
}
