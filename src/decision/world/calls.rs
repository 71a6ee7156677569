//! How often a grant with a bound on calls was used.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use countersign_core::Grant;
use countersign_statement::Digest;
use parking_lot::Mutex;

/// Counts calls, in memory and for this decision point alone: of several replicas each counts its
/// own, and a restart begins anew. Goes with what holds the grant.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    counts: Mutex<HashMap<Holder, Made>>,
}

/// Calls by each of a holder's grants, which are named by their list and a hash of their content.
type Made = HashMap<(Level, u64), u64>;

/// Who holds a grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// An identity, by its UID.
    Identity(Arc<str>),
    /// A delegation: whoever acts by it or below it.
    Hop(Digest),
}

/// Whose list the grant stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Level {
    /// The holder's.
    Own,
    /// Its owner's; of a root delegation the owner's as of now.
    Owner,
    /// That of hop 0, counted with the root below it.
    Zero,
}

/// One use of a grant that has a bound on calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    holder: Holder,
    level: Level,
    /// Of the grant's content: an owner's grants may change their order.
    grant: u64,
    most: u64,
}

impl Use {
    /// None where the grant has no bound on calls.
    pub(crate) fn of(holder: &Holder, level: Level, grant: &Grant) -> Option<Self> {
        let most = grant.constraints.max_calls?;
        let mut hasher = DefaultHasher::new();
        grant.hash(&mut hasher);
        Some(Self {
            holder: holder.clone(),
            level,
            grant: hasher.finish(),
            most,
        })
    }

    fn is_left(&self, made: Option<&Made>) -> bool {
        let made = made.and_then(|made| made.get(&(self.level, self.grant)));
        made.copied().unwrap_or(0) < self.most
    }
}

impl Calls {
    /// Is there a call left?
    pub(crate) fn has_left(&self, it: &Use) -> bool {
        it.is_left(self.counts.lock().get(&it.holder))
    }

    /// Counts one call for each, or none at all where one has no call left.
    pub(crate) fn take(&self, uses: &[Use]) -> bool {
        if uses.is_empty() {
            return true;
        }
        let mut counts = self.counts.lock();
        if !uses.iter().all(|it| it.is_left(counts.get(&it.holder))) {
            return false;
        }
        for it in uses {
            let made = counts.entry(it.holder.clone()).or_default();
            *made.entry((it.level, it.grant)).or_default() += 1;
        }
        true
    }

    /// The holder is gone.
    pub(crate) fn forget(&self, holder: &Holder) {
        self.counts.lock().remove(holder);
    }
}
