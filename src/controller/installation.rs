//! Are the admission policies in place, and as they were shipped?
//!
//! What an identity says of its requester can be believed only because the API server's own
//! policies wrote it. Without them nothing is issued.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use countersign_runtime::Store;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::identity::Refusal;

/// What is known of the policies.
#[derive(Debug, Default)]
pub(crate) struct Installation {
    /// One for each kind of policy and binding.
    stores: [Arc<Store<Policy>>; 4],
    seen: Mutex<BTreeMap<String, Policy>>,
    verdict: ArcSwapOption<Verdict>,
}

/// One policy or binding, as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Its spec is the one that is shipped.
    pub(crate) as_shipped: bool,
    /// Since when it is in place.
    pub(crate) created: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// In place since the newest of them was created.
    Since(Timestamp),
    Trouble(Refusal),
}

impl Installation {
    /// The stores that the watches fill.
    pub(crate) fn stores(&self) -> &[Arc<Store<Policy>>; 4] {
        &self.stores
    }

    /// All of them have been listed: what wasn't seen by now is missing.
    /// Does nothing before, and tells whether it changed anything.
    pub(crate) fn listed(&self) -> bool {
        if !self.stores.iter().all(|store| store.synced()) {
            return false;
        }
        let verdict = judge(&self.seen.lock());
        let changed = self.verdict.load().as_deref() != Some(&verdict);
        self.verdict.store(Some(Arc::new(verdict)));
        changed
    }

    /// A policy was seen, or is gone. `name` is `<kind>/<name>`. True when that changes anything.
    pub(crate) fn put(&self, name: &str, policy: Option<Policy>, now: Timestamp) -> bool {
        let mut seen = self.seen.lock();
        let altered = seen.get(name).is_some_and(|before| !before.as_shipped);
        let policy = policy.map(|policy| Policy {
            // What came in while it was altered isn't believed once it is mended.
            created: if altered && policy.as_shipped {
                policy.created.max(now)
            } else {
                policy.created
            },
            ..policy
        });
        match policy {
            Some(policy) => seen.insert(name.to_owned(), policy),
            None => seen.remove(name),
        };
        let before = self.verdict.load_full();
        if before.is_none() {
            return false; // nothing is missing before everything was listed
        }
        let verdict = judge(&seen);
        let changed = before.as_deref() != Some(&verdict);
        self.verdict.store(Some(Arc::new(verdict)));
        changed
    }

    /// What is wrong with the policies.
    pub(crate) fn trouble(&self) -> Option<Refusal> {
        match self.verdict.load().as_deref() {
            Some(Verdict::Since(_)) => None,
            Some(Verdict::Trouble(why)) => Some(Refusal::clone(why)),
            None => Some(judge_nothing()),
        }
    }

    /// Why an identity created at `created` can't be issued. One that was `issued` before has been
    /// believed then: policies that are replaced later don't end it.
    pub(crate) fn closed(&self, created: Timestamp, issued: bool) -> Option<Refusal> {
        match self.verdict.load().as_deref() {
            // To the second: what was created in the same one may have been stamped.
            Some(Verdict::Since(since)) if issued || created >= *since => None,
            Some(Verdict::Since(_)) => Some(Refusal {
                reason: "RequesterUnverified",
                message: "the identity is older than the admission policies, so that nobody knows who asked for it: create it again".to_owned(),
            }),
            Some(Verdict::Trouble(why)) => Some(Refusal::clone(why)),
            None => Some(judge_nothing()),
        }
    }
}

fn judge_nothing() -> Refusal {
    Refusal {
        reason: "PoliciesUnknown",
        message: "the admission policies have not been looked at yet".to_owned(),
    }
}

fn judge(seen: &BTreeMap<String, Policy>) -> Verdict {
    let mut missing = Vec::new();
    let mut altered = Vec::new();
    let mut since = Timestamp::UNIX_EPOCH;
    for name in countersign_api::admission::names() {
        match seen.get(&name) {
            None => missing.push(name),
            Some(policy) if !policy.as_shipped => altered.push(name),
            Some(policy) => since = since.max(policy.created),
        }
    }
    let trouble = |reason, what: &str, names: Vec<String>, mend: &str| {
        Verdict::Trouble(Refusal {
            reason,
            message: format!(
                "{what}: {}; {mend} (countersign crds | kubectl apply --server-side -f -). Nothing is issued meanwhile",
                names.join(", ")
            ),
        })
    };
    if !missing.is_empty() {
        let what = "admission policies are missing";
        trouble("PoliciesMissing", what, missing, "apply crds/ again")
    } else if !altered.is_empty() {
        let what = "admission policies were altered";
        // To apply alone would leave what others have added.
        let mend = "delete them and apply crds/ again";
        trouble("PoliciesAltered", what, altered, mend)
    } else {
        Verdict::Since(since)
    }
}
