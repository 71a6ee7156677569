//! Who may read metrics: the API server knows whose a token is, and what they may.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::answer::METRICS;
use super::pace::Pace;
use super::remembered::{Remembered, key};
use crate::client::{WriteError, is_forbidden, within};

/// No answer of the API server within this is none.
const LIMIT: Duration = Duration::from_secs(4);

/// Asks who may read metrics.
pub(crate) struct Access {
    tokens: Api<TokenReview>,
    rights: Api<SubjectAccessReview>,
    remembered: Mutex<Remembered>,
    pace: Pace,
    /// The last question had no answer, which was told.
    in_trouble: AtomicBool,
}

/// Whether a token lets its bearer read metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// Nobody's token.
    Nobody,
    /// The token of this user, who lacks the right.
    Forbidden(Arc<str>),
}

/// It isn't known whether the metrics may be read, so they may not. What is told is for strangers: it
/// names no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    #[error("too many tokens are being looked at: try again")]
    Busy,
    #[error("can't tell whose the token is: {}", why(.0, "tokenreviews.authentication.k8s.io"))]
    Token(WriteError),
    #[error("can't tell what the token's user may do: {}", why(.0, "subjectaccessreviews.authorization.k8s.io"))]
    Right(WriteError),
}

impl Access {
    /// `client` asks, and needs to `create` `tokenreviews` and `subjectaccessreviews`.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            tokens: Api::all(client.clone()),
            rights: Api::all(client),
            remembered: Mutex::default(),
            pace: Pace::new(),
            in_trouble: AtomicBool::new(false),
        }
    }

    /// May the bearer of `token` read metrics?
    ///
    /// # Errors
    /// Nobody knows.
    pub(super) async fn of(&self, token: &str) -> Result<Verdict, Unknown> {
        let key = key(token);
        if let Some(verdict) = self.remembered.lock().get(&key, Instant::now()) {
            return Ok(verdict);
        }
        if !self.pace.turn().await {
            return Err(Unknown::Busy);
        }
        let asked = Instant::now();
        let answer = self.ask(token).await;
        self.tell_trouble(answer.as_ref().err());
        let verdict = answer?;
        let mut remembered = self.remembered.lock();
        remembered.put(key, verdict.clone(), asked, Instant::now());
        Ok(verdict)
    }

    async fn ask(&self, token: &str) -> Result<Verdict, Unknown> {
        let Some(user) = self.user(token).await.map_err(Unknown::Token)? else {
            return Ok(Verdict::Nobody);
        };
        let name: Arc<str> = user.username.clone().unwrap_or_default().into();
        let may = self.may(user).await.map_err(Unknown::Right)?;
        Ok(if may {
            Verdict::Allowed
        } else {
            Verdict::Forbidden(name)
        })
    }

    /// The API server checks signature, expiry, audience (its own), and whether the account and the pod
    /// that the token is bound to are still there.
    async fn user(&self, token: &str) -> Result<Option<UserInfo>, WriteError> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.to_owned(),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let answer = within(LIMIT, self.tokens.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        let known = status.authenticated == Some(true);
        Ok(status.user.filter(|_| known))
    }

    async fn may(&self, user: UserInfo) -> Result<bool, WriteError> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: user.username,
                uid: user.uid,
                groups: user.groups,
                extra: user.extra,
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(METRICS.to_owned()),
                    verb: Some("get".to_owned()),
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = within(LIMIT, self.rights.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }

    /// Once, and once when it is over: anybody may show tokens, and would fill the log.
    fn tell_trouble(&self, trouble: Option<&Unknown>) {
        let before = self.in_trouble.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(why) if !before => {
                let source = match why {
                    Unknown::Token(source) | Unknown::Right(source) => source.to_string(),
                    Unknown::Busy => String::new(),
                };
                warn!(source, "nobody can read metrics: {why}");
            }
            None if before => info!("metrics can be read again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Why there is no answer to a review of this kind.
fn why(error: &WriteError, reviews: &str) -> String {
    match error {
        WriteError::TimedOut(limit) => format!("the API server didn't answer within {limit:?}"),
        WriteError::Kube(error) if is_forbidden(error) => format!(
            "the API server refuses: this program's account lacks the right to create {reviews}"
        ),
        WriteError::Kube(kube::Error::Api(status)) => {
            format!("the API server answered with {}", status.code)
        }
        WriteError::Kube(_) => "the API server can't be reached".to_owned(),
    }
}
