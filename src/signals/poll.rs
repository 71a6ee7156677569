//! Poll delivery (RFC 8936): tokens are fetched, and acknowledged with the next request.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::json::Object;
use countersign_http::{Ask, Http, HttpError};
use http::{Method, StatusCode};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::{Instant, sleep};

use crate::authorization::{Authorization, Authorizer};
use crate::backoff::Backoff;
use crate::error::SetError;
use crate::header::MAX_TOKEN_BYTES;
use crate::receiver::{NotReceived, Receiver};

/// Tokens of one answer.
const MAX_EVENTS: usize = 100;
/// All of them as large as may be.
const MAX_BYTES: usize = MAX_EVENTS * (MAX_TOKEN_BYTES + 1024);
/// A long poll may wait for so long: more than what transmitters and proxies in between have.
const WITHIN: Duration = Duration::from_secs(120);
/// Between the tries of a poll that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where to poll.
#[derive(Debug, Clone)]
pub struct PollSettings {
    /// The stream's `delivery.endpoint_url`.
    pub endpoint: String,
    /// Who we are there.
    pub authorization: Authorization,
    /// The wait after an empty answer that came at once: some transmitters know no long polls. Two
    /// seconds are kind to most.
    pub interval: Duration,
}

/// Polls one stream.
#[derive(Debug)]
pub struct Poller {
    http: Http,
    settings: PollSettings,
    authorizer: Authorizer,
    receiver: Arc<Receiver>,
    /// What the transmitter doesn't know yet.
    acknowledged: Vec<String>,
    refused: BTreeMap<String, SetError>,
}

/// What one poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polled {
    /// Tokens that came.
    pub tokens: usize,
    /// Tokens among them that will have to come again.
    pub again: usize,
    /// Has the transmitter more?
    pub more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    max_events: usize,
    return_immediately: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ack: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set_errs: BTreeMap<&'a str, Refusal<'a>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    err: &'static str,
    description: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    sets: Sets,
    #[serde(default)]
    more_available: bool,
}

#[derive(Default)]
struct Sets(Vec<(String, String)>);

impl Poller {
    /// A poller whose tokens `receiver` takes.
    pub fn new(http: Http, settings: PollSettings, receiver: Arc<Receiver>) -> Self {
        Self {
            http,
            authorizer: Authorizer::new(settings.authorization.clone()),
            settings,
            receiver,
            acknowledged: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Polls for ever, slower while it fails. May be dropped at any await: what wasn't acknowledged
    /// comes again, and is known.
    pub async fn run(mut self) -> Infallible {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let asked = Instant::now();
            let wait = match self.poll().await {
                Ok(polled) if polled.again > 0 => backoff.next(),
                Ok(polled) => {
                    backoff.reset();
                    let at_once = polled.tokens > 0 || polled.more;
                    let waited = asked.elapsed();
                    if at_once {
                        Duration::ZERO // and so acknowledge at once
                    } else {
                        self.settings.interval.saturating_sub(waited)
                    }
                }
                Err(why) => {
                    let endpoint = &self.settings.endpoint;
                    tracing::warn!(endpoint, %why, "a transmitter can't be polled");
                    backoff.next()
                }
            };
            sleep(wait).await;
        }
    }

    /// Polls once, and takes what comes.
    ///
    /// # Errors
    /// There was no good answer. What is to be acknowledged is kept for the next.
    pub async fn poll(&mut self) -> Result<Polled, HttpError> {
        // With something to tell, the answer must not wait for the next event.
        let tells = !self.acknowledged.is_empty() || !self.refused.is_empty();
        let answer = self.ask(tells).await?;
        self.acknowledged.clear();
        self.refused.clear();
        let mut again = 0;
        let tokens = answer.sets.0.len();
        for (id, token) in answer.sets.0 {
            match self.receiver.receive(&token).await {
                Ok(_) => self.acknowledged.push(id),
                Err(NotReceived::Refused(why)) => {
                    self.refused.insert(id, why);
                }
                Err(NotReceived::Later(_)) => again += 1,
            }
        }
        Ok(Polled {
            tokens,
            again,
            more: answer.more_available,
        })
    }

    async fn ask(&self, return_immediately: bool) -> Result<Answer, HttpError> {
        let refused = self.refused.iter().map(|(id, why)| {
            let refusal = Refusal {
                err: why.code.as_str(),
                description: &why.description,
            };
            (id.as_str(), refusal)
        });
        let body = Body {
            max_events: MAX_EVENTS,
            return_immediately,
            ack: &self.acknowledged,
            set_errs: refused.collect(),
        };
        let unreadable = |why: serde_json::Error| HttpError::Unreadable(why.to_string());
        let answer = self
            .http
            .ask(Ask {
                method: Method::POST,
                address: self.settings.endpoint.clone(),
                authorization: Some(self.authorizer.header(&self.http).await?),
                content_type: "application/json",
                body: serde_json::to_vec(&body).map_err(unreadable)?,
                within: WITHIN,
                most_bytes: MAX_BYTES,
            })
            .await;
        if let Err(why) = &answer
            && why.status() == Some(StatusCode::UNAUTHORIZED)
        {
            self.authorizer.forget();
        }
        let Object(answer) = serde_json::from_slice(&answer?).map_err(unreadable)?;
        Ok(answer)
    }
}

impl<'de> Deserialize<'de> for Sets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, String)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(entry) = all.next_entry()? {
                    // RFC 8936, section 2.2: never more than were asked for.
                    if found.len() >= MAX_EVENTS {
                        return Err(A::Error::custom("more tokens than were asked for"));
                    }
                    found.push(entry);
                }
                Ok(found)
            }
        }
        from.deserialize_map(Members).map(Self)
    }
}
