//! What has ended stays so, also when etcd was restored from an older snapshot and shows it as it
//! was: the audit log tells of its end.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tracing::warn;

use crate::context::Context;
use crate::identity::Stage;
use crate::uid::Uid;

/// So many are looked up at once.
const AT_ONCE: usize = 500;
/// A log that can't be read is asked again after this long.
const AGAIN: Duration = Duration::from_secs(1);

/// What the audit log says of an object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Before {
    /// It tells of no end, or the object was made since this replica leads.
    #[default]
    NotEnded,
    /// It ended before.
    Ended,
    /// It is being asked.
    NotKnown,
}

/// Identities and delegations that are there, as the log knows them.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    sets: Mutex<Sets>,
    /// The log could not be asked last time.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Sets {
    /// They were there when this replica took over, and nobody has asked yet.
    not_known: HashSet<Uid>,
    ended: HashSet<Uid>,
}

impl Retired {
    /// What is known of the object with this UID?
    pub(crate) fn before(&self, uid: &str) -> Before {
        let uid = Uid::from(uid);
        let sets = self.sets.lock();
        if sets.ended.contains(&uid) {
            Before::Ended
        } else if sets.not_known.contains(&uid) {
            Before::NotKnown
        } else {
            Before::NotEnded
        }
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    fn begin(&self, there: HashSet<Uid>) {
        let mut sets = self.sets.lock();
        sets.ended.clear();
        sets.not_known = there;
    }

    fn next(&self) -> Vec<Uid> {
        let sets = self.sets.lock();
        sets.not_known.iter().take(AT_ONCE).cloned().collect()
    }

    fn learn(&self, asked: &[Uid], ended: &[Uid]) {
        let mut sets = self.sets.lock();
        for uid in asked {
            sets.not_known.remove(uid);
        }
        sets.ended.extend(ended.iter().cloned());
        if sets.not_known.is_empty() {
            sets.not_known.shrink_to_fit();
        }
    }
}

/// At a take-over, with everything listed: from now on nothing is granted to what is there before
/// the log was asked about it.
pub(crate) fn begin(ctx: &Context) {
    let mut there = HashSet::new();
    ctx.identities.seen().for_each(|_, identity| {
        if identity.stage() != Stage::Over {
            there.insert(identity.uid().clone());
        }
    });
    ctx.delegations.objects.seen().for_each(|_, delegation| {
        if delegation.facts.completed.is_none() {
            there.insert(Uid::from(&*delegation.facts.uid));
        }
    });
    ctx.audit.retired().begin(there);
}

/// Asks about all of it. What ended before is looked at.
pub(crate) async fn look_up(ctx: &Context) {
    let retired = ctx.audit.retired();
    let reader = ctx.audit.log().reader();
    loop {
        let asked = retired.next();
        if asked.is_empty() {
            return;
        }
        let names: Vec<String> = asked.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let running: HashSet<Uid> = match reader.without_end(&names).await {
            Ok(running) => running.iter().map(|it| it.as_str().into()).collect(),
            Err(why) => {
                retired.failing.store(true, Ordering::Release);
                warn!("can't ask the audit log what has ended: {why}");
                sleep(AGAIN).await;
                continue;
            }
        };
        let ended: Vec<Uid> = asked
            .iter()
            .filter(|uid| !running.contains(uid))
            .cloned()
            .collect();
        retired.learn(&asked, &ended);
        retired.failing.store(false, Ordering::Release);
        for uid in &ended {
            warn!(%uid, "an object is there that had ended: the cluster's state is an older one, and it ends again");
            if let Some(identity) = ctx.index.with_uid(uid) {
                ctx.look_at(&identity);
            } else if let Some(delegation) = ctx.delegations.with_uid(&uid.to_string()) {
                ctx.look_at_delegation(&delegation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_isnt_known_until_it_was_asked_about_and_what_comes_later_is_new() {
        let retired = Retired::default();
        let uids: Vec<Uid> = ["a", "b"].map(Uid::from).to_vec();
        retired.begin(uids.iter().cloned().collect());
        assert_eq!(retired.before("a"), Before::NotKnown);
        assert_eq!(retired.before("c"), Before::NotEnded);
        let asked = retired.next();
        assert_eq!(asked.len(), 2);
        retired.learn(&asked, &uids[..1]);
        assert_eq!(retired.before("a"), Before::Ended);
        assert_eq!(retired.before("b"), Before::NotEnded);
        assert!(retired.next().is_empty());
        retired.begin(HashSet::new());
        assert_eq!(retired.before("a"), Before::NotEnded);
    }
}
