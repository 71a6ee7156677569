//! Watch: what is with a pod's identity, now and whenever it changes.
//!
//! # Revocation lists
//! While tasks end, a list changes all the time, and it goes to everybody. So nobody is woken for one: it
//! goes along when the same would be said again, each stream at its own moment of [`HEARTBEAT`], and what a
//! client gets is bounded by [`LIST_BYTES_A_SECOND`]. With 10,000 clients that is a thousand lists a second
//! at most, and 80 MB. A list that was fetched reaches every client within [`HEARTBEAT`], or, if it is longer
//! than 80 KiB, within the time that its length takes: half a minute for the longest that is passed on.

use std::sync::Arc;
use std::time::Duration;

use countersign_authority::AuthorityId;
use countersign_issuing::{State, WatchResponse, Watching};
use countersign_lists::Crls;
use futures::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::feed::identity::Standing;
use crate::feed::{Domain, Seen, Trusted};
use crate::issue::{Desk, signed_by, usual_ttl};
use crate::matching::{may_have, refused};
use crate::metrics::Counted;
use crate::service::{status, trust_of};
use crate::shares::OneWatch;
use crate::token::Asker;
use crate::{Reason, Refused};

/// So often the same is said again, so that a client knows that it is still told.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Of revocation lists, for each client, in the mean.
const LIST_BYTES_A_SECOND: f64 = 8192.0;
/// Changes of a namespace come in crowds: those that listen look no more often than this.
const PACE: Duration = Duration::from_millis(20);

struct Stream {
    desk: Desk,
    asker: Asker,
    which: String,
    changes: watch::Receiver<u64>,
    /// What was said last, without its trust.
    said: Option<WatchResponse>,
    trust: Option<Arc<Trusted>>,
    /// The revocation lists that went with it, and when there may be others.
    crls: Crls,
    crls_due: Instant,
    /// By whom the client's certificates are signed, as far as is known.
    authority: Option<AuthorityId>,
    /// Since when another signs.
    rotated: Option<Instant>,
    /// It had this one.
    had: bool,
    over: bool,
    /// When the same is said again.
    heartbeat: Instant,
    looked: Instant,
    _held: Held,
}

/// What is given back with the end.
pub(crate) type Held = (Counted, OneWatch);

/// Begins to tell.
///
/// # Errors
/// The pod isn't known, or nothing is known for sure.
pub(crate) async fn begin(
    desk: Desk,
    asker: Asker,
    which: String,
    held: Held,
) -> Result<Watching, Refused> {
    let changes = desk.feed().changes_in(&asker.pod.namespace);
    let mut stream = Stream {
        desk,
        asker,
        which,
        changes,
        said: None,
        trust: None,
        crls: Crls::default(),
        crls_due: Instant::now(),
        authority: None,
        rotated: None,
        had: false,
        over: false,
        // Clients come in crowds, after an outage: each has a moment of its own from then on.
        heartbeat: Instant::now() + HEARTBEAT.mul_f64(rand::random_range(0.0..1.0)),
        looked: Instant::now(),
        _held: held,
    };
    stream.changes.mark_unchanged();
    let first = stream.look().await?;
    let first = stream.news(first).unwrap_or_default();
    let rest = unfold(stream, |mut stream| async move {
        let next = stream.next().await?;
        Some((next, stream))
    });
    let first = futures::stream::once(async { Ok(first) });
    Ok(Box::pin(futures::StreamExt::chain(first, rest)))
}

/// What is with it now.
struct Now {
    response: WatchResponse,
    trust: Option<(String, Arc<Trusted>)>,
    reissue: bool,
}

impl Stream {
    /// `None`: the stream ends, since its token does. Whoever goes on to listen shows another one.
    async fn next(&mut self) -> Option<Result<WatchResponse, Status>> {
        loop {
            if self.over || self.asker.expires <= self.desk.clock().now() {
                return None;
            }
            tokio::select! {
                _ = self.changes.changed() => {
                    sleep_until(self.looked + PACE).await;
                    self.changes.mark_unchanged();
                }
                () = sleep_until(self.heartbeat) => {}
            }
            let now = match self.look().await {
                Ok(now) => now,
                Err(why) => {
                    // Nobody knows what is with it: others may.
                    self.over = true;
                    return Some(Err(status(&why)));
                }
            };
            if let Some(news) = self.news(now) {
                return Some(Ok(news));
            }
        }
    }

    /// What is to be said of it, if there is anything new or it is time to say it again.
    fn news(&mut self, now: Now) -> Option<WatchResponse> {
        let same_trust = match (&self.trust, &now.trust) {
            (Some(before), Some((_, now))) => Arc::ptr_eq(before, now) || before == now,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        let same = self.said.as_ref() == Some(&now.response);
        let moment = Instant::now();
        let again = self.heartbeat <= moment;
        if same && same_trust && !now.reissue && !again {
            return None;
        }
        if again {
            self.heartbeat = moment + HEARTBEAT;
        }
        self.said = Some(now.response.clone());
        let mut response = now.response;
        response.reissue = now.reissue;
        if let Some((name, trust)) = now.trust {
            let crls = self.desk.feed().crls(&name);
            let due = again && self.crls_due <= moment;
            if !same_trust || (due && crls != self.crls) {
                response.trust = Some(trust_of(&name, &trust, &crls));
                self.trust = Some(trust);
                self.crls_due = moment + time_of(&crls);
                self.crls = crls;
            }
        }
        Some(response)
    }

    async fn look(&mut self) -> Result<Now, Refused> {
        self.looked = Instant::now();
        let which = Some(self.which.as_str()).filter(|it| !it.is_empty());
        match self.desk.identity(&self.asker.pod, which).await {
            Ok(it) => {
                self.had = true;
                Ok(self.found(&it))
            }
            Err(why) => self.missing(why),
        }
    }

    fn found(&mut self, it: &Seen) -> Now {
        let domain = self.desk.feed().domains().get(&it.trust_domain);
        let mut now = Now {
            response: WatchResponse {
                spiffe_id: it.spiffe_id.clone(),
                key_algorithm: it.key_algorithm.as_str().to_owned(),
                ..WatchResponse::default()
            },
            trust: None,
            reissue: false,
        };
        let clock = self.desk.clock().now();
        let late = it.deadline.is_some_and(|deadline| deadline <= clock);
        let (state, refusal) = match (&it.standing, may_have(it)) {
            (Standing::Active, _) if late => (
                State::Ended,
                Some(refused(Reason::IdentityEnded, it, "its deadline is over")),
            ),
            (_, Ok(())) => (State::Active, None),
            (Standing::Suspended(_), Err(why)) => (State::Suspended, Some(why)),
            (Standing::TaskOver(_) | Standing::Ended(_), Err(why)) => (State::Ended, Some(why)),
            (_, Err(why)) => (State::Waiting, Some(why)),
        };
        now.response.state = state.into();
        match refusal {
            None => "Issuable".clone_into(&mut now.response.reason),
            Some(why) => {
                why.reason.as_str().clone_into(&mut now.response.reason);
                now.response.message = why.message;
            }
        }
        if let Some(domain) = domain {
            let ttl = usual_ttl(it, &domain);
            now.response.certificate_ttl_seconds = i64::try_from(ttl).unwrap_or(i64::MAX);
            now.trust = domain.trust.clone().map(|it| (domain.name.clone(), it));
            now.reissue = state == State::Active && self.must_ask(&domain, ttl);
        }
        now
    }

    /// Isn't the authority trusted any more that the client's certificates are of? One that was rotated
    /// in its time is, for longer than they live: by its end, they are of the next.
    fn must_ask(&mut self, domain: &Domain, ttl: u64) -> bool {
        let Some(signing) = signed_by(domain) else {
            return false;
        };
        let ask = match &self.authority {
            None => false,
            Some(before) if *before == signing => {
                self.rotated = None;
                return false;
            }
            Some(before) => domain.reissue(before),
        };
        let rotated = *self.rotated.get_or_insert_with(Instant::now);
        if ask || self.authority.is_none() || rotated.elapsed() > Duration::from_secs(ttl) {
            self.authority = Some(signing);
            self.rotated = None;
        }
        ask
    }

    /// Nothing is for the pod.
    fn missing(&self, why: Refused) -> Result<Now, Refused> {
        let state = match why.reason {
            Reason::TaskOver | Reason::IdentityEnded => State::Ended,
            // At first the pod may not have been seen yet; what was there before is gone.
            Reason::UnknownPod if self.said.is_some() => State::Ended,
            Reason::NoIdentity if self.had => State::Ended,
            Reason::NoIdentity | Reason::SeveralIdentities => State::Waiting,
            _ => return Err(why),
        };
        let known = self.said.as_ref().filter(|_| self.had);
        Ok(Now {
            response: WatchResponse {
                state: state.into(),
                spiffe_id: known.map_or_else(String::new, |it| it.spiffe_id.clone()),
                reason: why.reason.as_str().to_owned(),
                message: why.message,
                ..WatchResponse::default()
            },
            trust: None,
            reissue: false,
        })
    }
}

/// How long a client has no others after these.
fn time_of(crls: &Crls) -> Duration {
    let bytes: usize = crls.iter().map(|it| it.len()).sum();
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Duration::from_secs_f64(f64::from(bytes) / LIST_BYTES_A_SECOND)
}

#[cfg(test)]
mod tests {
    use countersign_lists::MOST_BYTES;

    use super::*;

    #[test]
    fn the_longest_lists_come_before_they_are_over() {
        let crls = |bytes: usize| Crls::new(vec![vec![0; bytes].into()]);
        assert!(time_of(&crls(700)) < Duration::from_secs(1));
        let longest = time_of(&crls(MOST_BYTES));
        // An operator's lists are good for a minute, and half of it is over when they are fetched.
        assert!(longest <= Duration::from_secs(32), "{longest:?}");
    }
}
