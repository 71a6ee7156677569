//! What is passed on of the lists of certificates. It goes to many, so that it changes only when it must:
//! when a list has other entries, and when half of the time is over of the one that was passed on last.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_authority::{AuthorityId, Bundle, VerifiedCrl};
use countersign_http::Bytes;
use jiff::Timestamp;
use tracing::warn;

/// So much is passed on of one trust domain, some 5,000 entries: it goes to every sidecar, and into
/// messages that few clients read beyond 4 MiB.
pub const MOST_BYTES: usize = 256 * 1024;

/// The lists of a trust domain, in DER. While they don't change, they are the same `Arc`.
pub type Crls = Arc<Vec<Bytes>>;

/// What is passed on.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    lists: BTreeMap<AuthorityId, Passed>,
    all: Crls,
    /// Some were too long, and that was said.
    too_long: bool,
}

#[derive(Debug)]
struct Passed {
    der: Bytes,
    /// Half of its time.
    until: Timestamp,
}

impl Passing {
    /// What is passed on now.
    pub(crate) fn all(&self) -> Crls {
        Arc::clone(&self.all)
    }

    /// A good list, in place of that authority's last one. `changed`: it has other entries than that.
    pub(crate) fn take(
        &mut self,
        authority: &AuthorityId,
        der: Bytes,
        list: &VerifiedCrl,
        changed: bool,
        now: Timestamp,
    ) {
        let there = self.lists.get(authority);
        if changed || there.is_none_or(|it| it.until <= now) {
            let life = list.next_update.duration_since(list.this_update);
            let until = list.this_update.checked_add(life / 2);
            let until = until.unwrap_or(Timestamp::MAX);
            self.lists.insert(authority.clone(), Passed { der, until });
            self.put_together();
        }
    }

    /// Forgets those of authorities that aren't trusted any more.
    pub(crate) fn keep_only(&mut self, bundle: &Bundle) {
        let before = self.lists.len();
        self.lists.retain(|id, _| bundle.authority(id).is_some());
        if self.lists.len() != before {
            self.put_together();
        }
    }

    fn put_together(&mut self) {
        let mut lists: Vec<&Passed> = self.lists.values().collect();
        // The newest first: those of authorities that sign no more are the first to be left out.
        lists.sort_by_key(|it| std::cmp::Reverse(it.until));
        let mut bytes = 0;
        let mut all = Vec::with_capacity(lists.len());
        for it in &lists {
            if bytes + it.der.len() <= MOST_BYTES {
                bytes += it.der.len();
                all.push(it.der.clone());
            }
        }
        let too_long = all.len() < lists.len();
        if too_long && !self.too_long {
            warn!(
                most_bytes = MOST_BYTES,
                "there are more revoked certificates than are passed on: sidecars keep the lists that they have"
            );
        }
        self.too_long = too_long;
        self.all = Arc::new(all);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Made at `second`, for a minute.
    fn list(second: i64) -> VerifiedCrl {
        VerifiedCrl {
            number: 1,
            this_update: at(second),
            next_update: at(second + 60),
            serial_numbers: Vec::new(),
        }
    }

    fn id(hex: &str) -> AuthorityId {
        AuthorityId::parse(hex).unwrap()
    }

    #[test]
    fn a_list_with_the_same_entries_is_passed_on_when_half_of_the_last_ones_time_is_over() {
        let mut passing = Passing::default();
        let mut take = |text: &'static str, second, changed| {
            let der = Bytes::from_static(text.as_bytes());
            passing.take(&id("0a"), der, &list(second), changed, at(second));
            passing.all()
        };
        let first = take("first", 0, true);
        assert!(Arc::ptr_eq(&first, &take("same", 29, false)));
        let later = take("later", 30, false);
        assert_eq!(*later, ["later"]);
        assert_eq!(*take("changed", 31, true), ["changed"]);
        assert_eq!(*take("again", 60, false), ["changed"]);
    }

    #[test]
    fn what_is_too_long_for_all_is_left_out_and_the_newest_stays() {
        let mut passing = Passing::default();
        let half = Bytes::from(vec![0; MOST_BYTES / 2]);
        for (name, second) in [("0a", 0), ("0b", 60), ("0c", 30)] {
            passing.take(&id(name), half.clone(), &list(second), true, at(second));
        }
        assert_eq!(passing.all().len(), 2);
        let long = Bytes::from(vec![0; MOST_BYTES + 1]);
        passing.take(&id("0d"), long, &list(90), true, at(90));
        assert_eq!(passing.all().len(), 2);
        assert!(passing.all().iter().all(|it| it.len() == MOST_BYTES / 2));
    }
}
