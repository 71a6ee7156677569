//! What one pod may take of an endpoint: a sidecar needs two certificates a minute and one Watch, so
//! more is a mistake or mischief, which would fill the audit log and the places of others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{Reason, Refused};

/// A sidecar has one open, and for a moment the next one beside it.
const WATCHES: usize = 4;
/// Of whom nothing was heard for so long nothing needs to be known.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// They are looked for when there are twice as many as the last time, and at least so many.
const LOOK_AT: usize = 1024;

/// Who has taken what, by the pod's UID.
#[derive(Debug)]
pub(crate) struct Shares(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    /// Credentials: all of a minute's may be had at once, and then as many as time brings.
    a_minute: f64,
    pods: HashMap<String, Share>,
    look_at: usize,
}

#[derive(Debug)]
struct Share {
    left: f64,
    since: Instant,
    watches: usize,
}

/// A Watch that is open.
#[derive(Debug)]
pub(crate) struct OneWatch {
    of: String,
    taken: Arc<Mutex<Taken>>,
}

impl Shares {
    /// Of so many credentials a minute for each pod.
    pub(crate) fn new(a_minute: u32) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            a_minute: a_minute.into(),
            pods: HashMap::new(),
            look_at: LOOK_AT,
        })))
    }

    /// One more credential.
    ///
    /// # Errors
    /// It has had too many of late.
    pub(crate) fn credential(&self, pod: &str) -> Result<(), Refused> {
        let mut taken = self.0.lock();
        let share = taken.share(pod);
        if share.left < 1.0 {
            return Err(too_much("credentials"));
        }
        share.left -= 1.0;
        Ok(())
    }

    /// It wasn't issued: whoever is refused asks again, and isn't to wait for it then.
    pub(crate) fn give_back(&self, pod: &str) {
        let mut taken = self.0.lock();
        let most = taken.a_minute;
        let share = taken.share(pod);
        share.left = (share.left + 1.0).min(most);
    }

    /// One more Watch, for as long as what is returned lives.
    ///
    /// # Errors
    /// It has several open.
    pub(crate) fn watch(&self, pod: &str) -> Result<OneWatch, Refused> {
        let mut taken = self.0.lock();
        let share = taken.share(pod);
        if share.watches >= WATCHES {
            return Err(too_much("watches"));
        }
        share.watches += 1;
        Ok(OneWatch {
            of: pod.to_owned(),
            taken: Arc::clone(&self.0),
        })
    }
}

impl Taken {
    fn share(&mut self, pod: &str) -> &mut Share {
        let now = Instant::now();
        if self.pods.len() >= self.look_at {
            self.pods
                .retain(|_, it| it.watches > 0 || now < it.since + FORGOTTEN);
            self.look_at = LOOK_AT.max(2 * self.pods.len());
        }
        let share = self.pods.entry(pod.to_owned()).or_insert(Share {
            left: self.a_minute,
            since: now,
            watches: 0,
        });
        let passed = now.saturating_duration_since(share.since);
        let more = passed.as_secs_f64() * self.a_minute / 60.0;
        share.left = (share.left + more).min(self.a_minute);
        share.since = now;
        share
    }
}

impl Drop for OneWatch {
    fn drop(&mut self) {
        if let Some(share) = self.taken.lock().pods.get_mut(&self.of) {
            share.watches = share.watches.saturating_sub(1);
        }
    }
}

fn too_much(what: &str) -> Refused {
    Refused {
        reason: Reason::Overloaded,
        message: format!("this pod asks for too many {what}: ask again later"),
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_asks_for_too_much_waits_and_no_other_does() {
        let shares = Shares::new(60);
        for _ in 0..60 {
            shares.credential("greedy").unwrap();
        }
        let refused = shares.credential("greedy").unwrap_err();
        assert_eq!(refused.reason, Reason::Overloaded);
        shares.credential("other").unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        shares.credential("greedy").unwrap();
        shares.credential("greedy").unwrap();
        shares.credential("greedy").unwrap_err();
        shares.give_back("greedy");
        shares.credential("greedy").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_has_few_watches_at_a_time_and_those_that_ended_are_free() {
        let shares = Shares::new(60);
        let mut open: Vec<_> = (0..4).map(|_| shares.watch("pod").unwrap()).collect();
        shares.watch("pod").unwrap_err();
        shares.watch("other").unwrap();
        drop(open.pop());
        shares.watch("pod").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_gone_are_forgotten() {
        let shares = Shares::new(60);
        let _open = shares.watch("stays").unwrap();
        for pod in 0..LOOK_AT {
            shares.credential(&pod.to_string()).unwrap();
        }
        tokio::time::advance(FORGOTTEN).await;
        for pod in 0..LOOK_AT {
            shares.credential(&format!("new-{pod}")).unwrap();
        }
        let taken = shares.0.lock();
        assert!(taken.pods.contains_key("stays"));
        assert!(taken.pods.len() <= LOOK_AT + 1, "{}", taken.pods.len());
    }
}
