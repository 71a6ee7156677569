//! What has ended stays so, also when etcd was restored from an older snapshot and shows it as it
//! was: the audit log tells of its end.
//!
//! ```text
//!  a take-over, or a listing ──▶ nothing is known: no grant ──▶ the log is asked about all that
//!    (the first, or another)                                    is there and isn't over
//!                                         it tells of an end: it ends again ◀──┤
//!                                     it doesn't: grants to it are as ever  ◀──┘
//! ```
//!
//! **Why by listings.** etcd can only be set back with the API servers stopped. That breaks each
//! watch, and one that can't be opened again at once lists anew (see
//! [`watch_into`](countersign_runtime::watch_into)). So whatever came back to life comes by a listing,
//! and never by a watch that went on; and from the moment that a listing begins nothing is granted to
//! anything, be it as new as it may. No other sign was as good. Versions go back, or leap ahead where
//! the restore raised them. The lease tells its holder of a restore, but seconds after the objects are
//! there. Times of creation don't tell what was made and ended while this replica led from what was
//! made just now. And to remember all that ever ended takes memory without end: the log has it.
//!
//! The price: after an API server was away, grants wait until the log was asked, as at a take-over.
//! Ends never wait.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_runtime::Store;
use parking_lot::Mutex;
use tokio::time::sleep;
use tracing::warn;

use crate::context::Context;
use crate::uid::Uid;

/// So many are looked up at once.
const AT_ONCE: usize = 500;
/// A log that can't be read is asked again after this long.
const AGAIN: Duration = Duration::from_secs(1);

/// What the audit log says of an object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Before {
    /// It tells of no end, or the object was made since all were asked about.
    #[default]
    NotEnded,
    /// It ended before.
    Ended,
    /// It is being asked, or the objects are being listed.
    NotKnown,
}

/// What ends for good.
pub(crate) trait Mortal {
    /// Its UID, unless it is over by what it says itself.
    fn living(&self) -> Option<Uid>;
}

/// The objects of a kind that are there, as the log knows them.
#[derive(Debug)]
pub(crate) struct Retired<V> {
    objects: Arc<Store<V>>,
    known: Mutex<Known>,
    /// The log could not be asked last time.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    /// The listing that this is of.
    listing: Option<u64>,
    /// They were there then, and nobody has asked yet.
    not_asked: HashSet<Uid>,
    ended: HashSet<Uid>,
}

impl<V: Mortal> Retired<V> {
    pub(crate) fn new(objects: Arc<Store<V>>) -> Self {
        Self {
            objects,
            known: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// What is known of the object with this UID?
    pub(crate) fn before(&self, uid: &str) -> Before {
        let known = self.known.lock();
        known.before(&Uid::from(uid), self.objects.listing())
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// From now on nothing is granted to what is there before the log was asked about it.
    fn begin(&self) {
        // First: of what a listing brings that begins right after, nothing is known.
        let listing = self.objects.listing();
        let mut there = HashSet::new();
        self.objects
            .for_each(|_, object| there.extend(object.living()));
        *self.known.lock() = Known {
            listing,
            not_asked: there,
            ended: HashSet::new(),
        };
    }

    /// Waits until the objects were listed again since.
    async fn listed_again(&self) {
        let listing = self.known.lock().listing;
        self.objects.wait_listed(listing).await;
    }

    fn is_settled(&self) -> bool {
        let ended = {
            let known = self.known.lock();
            let asked = known.is_of(self.objects.listing()) && known.not_asked.is_empty();
            asked.then(|| known.ended.clone())
        };
        let Some(ended) = ended else {
            return false;
        };
        let mut settled = true;
        if !ended.is_empty() {
            self.objects.for_each(|_, object| {
                settled &= object.living().is_none_or(|it| !ended.contains(&it));
            });
        }
        settled
    }

    fn next(&self) -> Vec<Uid> {
        let known = self.known.lock();
        known.not_asked.iter().take(AT_ONCE).cloned().collect()
    }

    fn learn(&self, asked: &[Uid], ended: &[Uid]) {
        self.known.lock().learn(asked, ended);
    }
}

impl Known {
    /// `now` is the listing that the objects are of now.
    fn before(&self, uid: &Uid, now: Option<u64>) -> Before {
        if self.ended.contains(uid) {
            Before::Ended
        } else if !self.is_of(now) || self.not_asked.contains(uid) {
            Before::NotKnown
        } else {
            Before::NotEnded
        }
    }

    fn is_of(&self, listing: Option<u64>) -> bool {
        listing.is_some() && listing == self.listing
    }

    fn learn(&mut self, asked: &[Uid], ended: &[Uid]) {
        for uid in asked {
            self.not_asked.remove(uid);
        }
        self.ended.extend(ended.iter().cloned());
        if self.not_asked.is_empty() {
            self.not_asked.shrink_to_fit();
        }
    }
}

/// At a take-over. What wasn't listed by then is [followed](follow).
pub(crate) fn begin(ctx: &Context) {
    begin_identities(ctx);
    begin_delegations(ctx);
}

/// Asks about all of it. What ended before is looked at.
pub(crate) async fn look_up(ctx: &Context) {
    futures::join!(
        ask(ctx, ctx.audit.identities()),
        ask(ctx, ctx.audit.delegations()),
    );
}

/// Was the log asked about all that is there, and has ended again what had ended before?
pub(crate) fn settled(ctx: &Context) -> bool {
    ctx.audit.identities().is_settled()
}

/// Asks about what wasn't asked about yet, and about all of a kind whenever it was listed again.
/// Never returns.
pub(crate) async fn follow(ctx: &Context) {
    futures::join!(
        keep(ctx, ctx.audit.identities(), begin_identities),
        keep(ctx, ctx.audit.delegations(), begin_delegations),
    );
}

async fn keep<V: Mortal>(ctx: &Context, retired: &Retired<V>, begin: fn(&Context)) {
    loop {
        ask(ctx, retired).await;
        retired.listed_again().await;
        begin(ctx);
    }
}

fn begin_identities(ctx: &Context) {
    ctx.identities.forget_written();
    ctx.audit.identities().begin();
}

fn begin_delegations(ctx: &Context) {
    ctx.delegations.objects.forget_written();
    ctx.audit.delegations().begin();
}

async fn ask<V: Mortal>(ctx: &Context, retired: &Retired<V>) {
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
    fn what_was_listed_isnt_known_until_it_was_asked_about_and_what_comes_later_is_new() {
        let [a, b, later] = ["a", "b", "later"].map(Uid::from);
        let mut known = Known {
            listing: Some(1),
            not_asked: HashSet::from([a.clone(), b.clone()]),
            ended: HashSet::new(),
        };
        assert_eq!(known.before(&a, Some(1)), Before::NotKnown);
        assert_eq!(known.before(&later, Some(1)), Before::NotEnded);
        known.learn(&[a.clone(), b.clone()], std::slice::from_ref(&a));
        assert_eq!(known.before(&a, Some(1)), Before::Ended);
        assert_eq!(known.before(&b, Some(1)), Before::NotEnded);
        assert!(known.not_asked.is_empty());
    }

    #[test]
    fn from_the_moment_that_objects_are_listed_again_none_is_known_but_to_have_ended() {
        let [ended, lives] = ["ended", "lives"].map(Uid::from);
        let known = Known {
            listing: Some(1),
            not_asked: HashSet::new(),
            ended: HashSet::from([ended.clone()]),
        };
        for now in [None, Some(2)] {
            assert_eq!(known.before(&lives, now), Before::NotKnown);
            assert_eq!(known.before(&ended, now), Before::Ended);
        }
        let nothing = Known::default();
        assert_eq!(nothing.before(&lives, None), Before::NotKnown);
    }
}
