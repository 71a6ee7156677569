//! Takes the tokens of one stream, however they arrive.

use std::sync::Arc;

use countersign_decision::{SignalRefused, SignalSink};
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::bearer::Token as BearerToken;
use crate::checks::over;
use crate::error::{SetError, SetErrorCode};
use crate::event::{Meaning, meaning};
use crate::keys::{KeySource, NoKeys};
use crate::metrics::Metrics;
use crate::replay::{REMEMBERED, Replay};
use crate::token::{Token, Verifier};

/// Tells the time; see `countersign_runtime::Clock`.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One stream of one transmitter.
#[derive(Debug)]
pub struct Stream {
    /// The transmitter, and who we are to it.
    pub verifier: Verifier,
    /// Its keys.
    pub keys: KeySource,
    /// What it shows when it pushes; `None`: it may not.
    pub push_token: Option<BearerToken>,
    /// The stream's id, if it is known: its own events must be about it.
    pub id: Option<String>,
}

/// Verifies tokens and hands their signals on.
pub struct Receiver {
    stream: Stream,
    sink: Arc<dyn SignalSink>,
    now: Now,
    metrics: Metrics,
    replay: Mutex<Replay>,
    verification: Mutex<Verification>,
}

#[derive(Debug, Default)]
struct Verification {
    /// What was sent along with the request for one.
    state: Option<String>,
    /// When the last one came.
    last: Option<Timestamp>,
}

/// What became of a token. Each of these is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Its signals count, as far as they aren't over.
    Accepted,
    /// It came before; nothing changed.
    Repeated,
    /// It is about the stream itself.
    OfTheStream,
    /// Its event means nothing here.
    Ignored,
}

/// A token wasn't taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    /// It never will be.
    #[error(transparent)]
    Refused(#[from] SetError),
    /// It may be later: it is to be sent again.
    #[error("not now: {0}")]
    Later(&'static str),
}

impl Receiver {
    /// A receiver whose signals go to `sink`.
    pub fn new(stream: Stream, sink: Arc<dyn SignalSink>, now: Now, metrics: Metrics) -> Self {
        Self {
            stream,
            sink,
            now,
            metrics,
            replay: Mutex::new(Replay::new(REMEMBERED)),
            verification: Mutex::default(),
        }
    }

    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Only a verification with this state is the one that was asked for. To be called before it is.
    pub fn expect_state(&self, state: impl Into<String>) {
        self.verification.lock().state = Some(state.into());
    }

    /// When the stream was seen to work the last time.
    pub fn verified(&self) -> Option<Timestamp> {
        self.verification.lock().last
    }

    /// Takes a token. When this returns its signals count.
    ///
    /// # Errors
    /// What its transmitter is told, or that it should send it again.
    pub async fn receive(&self, token: &str) -> Result<Received, NotReceived> {
        let received = self.take(token).await;
        let outcome = match &received {
            Ok(Received::Accepted) => "accepted",
            Ok(Received::Repeated) => "repeated",
            Ok(Received::OfTheStream) => "stream",
            Ok(Received::Ignored) => "ignored",
            Err(NotReceived::Refused(why)) => why.code.as_str(),
            Err(NotReceived::Later(_)) => "later",
        };
        self.metrics.received("set", outcome);
        if let Err(why) = &received {
            let issuer = &self.stream.verifier.issuer;
            tracing::warn!(issuer, %why, "a security event token was not taken");
        }
        received
    }

    async fn take(&self, token: &str) -> Result<Received, NotReceived> {
        let kid = Verifier::key_of(token)?;
        let keys = self.stream.keys.keys(kid.as_deref()).await;
        let keys = keys.map_err(|NoKeys| NotReceived::Later("the keys can't be had"))?;
        let now = (self.now)();
        let token = self.stream.verifier.verify(token, &keys, now)?;
        if self.replay.lock().knows(&token.issuer, &token.id) {
            return Ok(Received::Repeated);
        }
        let received = self.act(&token, now)?;
        let mut replay = self.replay.lock();
        replay.remember(&token.issuer, &token.id, token.issued, now);
        Ok(received)
    }

    fn act(&self, token: &Token, now: Timestamp) -> Result<Received, NotReceived> {
        match meaning(token, now)? {
            Meaning::Signals(signals) => {
                for signal in signals.into_iter().filter(|it| !over(it, now)) {
                    self.sink.accept(signal).map_err(|why| match why {
                        SignalRefused::Full => NotReceived::Later("there are too many signals"),
                        why => NotReceived::Refused(SetError::request(why.to_string())),
                    })?;
                }
                Ok(Received::Accepted)
            }
            Meaning::Verification { stream, state } => {
                self.check_stream(&stream)?;
                self.check_state(state, now)?;
                Ok(Received::OfTheStream)
            }
            Meaning::StreamUpdated { stream, status } => {
                self.check_stream(&stream)?;
                let issuer = &self.stream.verifier.issuer;
                tracing::warn!(issuer, status, "a transmitter changed its stream's status");
                Ok(Received::OfTheStream)
            }
            Meaning::Unknown => Ok(Received::Ignored),
        }
    }

    fn check_stream(&self, id: &str) -> Result<(), SetError> {
        match &self.stream.id {
            Some(ours) if ours != id => Err(SetError::request("that is another stream")),
            _ => Ok(()),
        }
    }

    /// A transmitter may verify of its own accord, without a state (SSF 1.0, section 8.1.4.1); such a
    /// one shows that the stream works, and isn't the one that was asked for.
    fn check_state(&self, state: Option<String>, now: Timestamp) -> Result<(), SetError> {
        let mut verification = self.verification.lock();
        match (&verification.state, state) {
            (Some(ours), Some(theirs)) if *ours != theirs => {
                let why = "the state is not the one that was sent";
                return Err(SetError::new(SetErrorCode::InvalidState, why));
            }
            (Some(_), Some(_)) => verification.state = None,
            _ => {}
        }
        verification.last = Some(now);
        Ok(())
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
