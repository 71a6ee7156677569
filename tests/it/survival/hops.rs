//! Delegations between agents whose tasks are Pods, and what of them was ever to be seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_api::Delegation;
use countersign_audit::{Kind, Reader};
use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{OWNER, Space, within};
use crate::support::{create, find, is, uid, until};

/// From the owner to an agent.
pub(super) fn root(name: &str, to: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {"name": name},
        "spec": {
            "from": {"owner": {"name": OWNER}},
            "to": {"name": to},
            "grants": [{"actions": ["read"], "resources": ["ledger/invoices/*"]}],
            "maxDepth": 15,
        },
    })
}

/// From an agent to another, of what `parent` gave it.
pub(super) fn hop(name: &str, parent: &str, from: &str, to: &str) -> Value {
    json!({
        "apiVersion": "countersign.dev/v1alpha1",
        "kind": "Delegation",
        "metadata": {"name": name},
        "spec": {
            "from": {"agent": {"name": from}},
            "to": {"name": to},
            "parentRef": {"name": parent},
            "grants": [{"actions": ["read"], "resources": ["ledger/invoices/2026/*"]}],
            "maxDepth": 14,
        },
    })
}

/// The delegations of a namespace.
pub(super) struct Hops {
    api: Api<Delegation>,
}

impl Hops {
    pub(super) fn of(space: &Space) -> Self {
        Self {
            api: Api::namespaced(space.client.clone(), &space.name),
        }
    }

    pub(super) async fn create(&self, object: Value) -> Delegation {
        create(&self.api, object).await.unwrap()
    }

    pub(super) async fn get(&self, name: &str) -> Delegation {
        self.api.get(name).await.unwrap()
    }

    pub(super) async fn all(&self) -> Vec<Delegation> {
        self.api.list(&ListParams::default()).await.unwrap().items
    }

    pub(super) async fn until_ready(&self, name: &str) -> Delegation {
        until(&self.api, name, "Ready", |it| is(it, "Ready")).await
    }

    /// Waits until all of the namespace are so.
    pub(super) async fn until_all(
        &self,
        bound: Duration,
        what: &str,
        good: impl Fn(&Delegation) -> bool,
    ) {
        within(bound, what, async || {
            self.all().await.iter().all(&good).then_some(())
        })
        .await;
    }

    /// Waits until it is over, for so long at most; gives the reason.
    pub(super) async fn until_ended(&self, bound: Duration, name: &str) -> String {
        let over = within(bound, &format!("the end of {name}"), async || {
            let it = self.get(name).await;
            find(&it, "Completed").map(|completed| (it, completed.reason))
        })
        .await;
        assert_over(&over.0);
        over.1
    }

    /// Waits until it is held back for this reason; gives the message.
    pub(super) async fn until_held(&self, name: &str, reason: &str) -> String {
        let held = |it: &Delegation| {
            let found = find(it, "Stalled").or_else(|| find(it, "Reconciling"));
            found.filter(|it| it.reason == reason).map(|it| it.message)
        };
        let what = format!("held back for {reason}");
        let it = until(&self.api, name, &what, |it| held(it).is_some()).await;
        held(&it).unwrap()
    }

    pub(super) async fn revoke(&self, name: &str) {
        let patch = Patch::Merge(json!({"spec": {"desiredState": "Revoked"}}));
        let params = PatchParams::default();
        self.api.patch(name, &params, &patch).await.unwrap();
    }
}

/// Nothing of it counts or can be copied.
pub(super) fn assert_over(delegation: &Delegation) {
    let status = delegation.status.as_ref().unwrap();
    assert!(is(delegation, "Completed"), "{status:#?}");
    assert!(find(delegation, "Ready").is_none(), "{status:#?}");
    assert!(status.statement.is_none() && status.ancestors.is_empty());
}

/// The digest of what was countersigned last.
pub(super) fn digest(delegation: &Delegation) -> Option<String> {
    delegation.status.as_ref()?.digest.clone()
}

/// A look at the delegations of a namespace that misses no version of any, until
/// [`Showings::end`].
pub(super) struct Showings {
    task: JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
    seen: Arc<Mutex<BTreeMap<String, Shown>>>,
}

/// What one delegation showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) name: String,
    /// What it was Ready with, in that order.
    pub(super) digests: Vec<String>,
    pub(super) ended: bool,
}

impl Showings {
    /// Looks at all that comes from now on. With a log: whatever was countersigned must have its
    /// record by the time it is to be seen.
    pub(super) async fn begin(space: &Space, log: Option<Reader>) -> Self {
        let api = Hops::of(space).api;
        let listed = api.list(&ListParams::default()).await.unwrap();
        let seen: Arc<Mutex<BTreeMap<String, Shown>>> = Arc::default();
        for delegation in &listed.items {
            note(&mut seen.lock().unwrap(), delegation);
        }
        let version = listed.metadata.resource_version.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let watch = follow(api, version, Arc::clone(&seen), log);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = watch => panic!("the watch ended"),
                _ = stopped => {}
            }
        });
        Self { task, stop, seen }
    }

    /// What was to be seen, by UID. None was woken after its end.
    pub(super) async fn end(self) -> BTreeMap<String, Shown> {
        // Dropped with its panic, if there was one.
        let _over = self.stop.send(());
        self.task.await.unwrap();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Notes a version; gives the digest if it is new.
fn note(seen: &mut BTreeMap<String, Shown>, delegation: &Delegation) -> Option<String> {
    let shown = seen.entry(uid(delegation)).or_default();
    shown.name = delegation.name_any();
    let (ready, over) = (is(delegation, "Ready"), is(delegation, "Completed"));
    assert!(over || !shown.ended, "{} came back", shown.name);
    assert!(!(ready && over), "{} is over and Ready", shown.name);
    shown.ended = over;
    let digest = digest(delegation).filter(|_| ready)?;
    if shown.digests.last() == Some(&digest) {
        return None;
    }
    shown.digests.push(digest.clone());
    Some(digest)
}

async fn follow(
    api: Api<Delegation>,
    version: String,
    seen: Arc<Mutex<BTreeMap<String, Shown>>>,
    log: Option<Reader>,
) {
    let events = api.watch(&WatchParams::default(), &version).await.unwrap();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event.unwrap() {
            WatchEvent::Added(it) | WatchEvent::Modified(it) => {
                let digest = note(&mut seen.lock().unwrap(), &it);
                if let (Some(log), Some(digest)) = (&log, digest) {
                    let records = log.by_digest(&digest).await.unwrap();
                    let granted = |kind| kind == Kind::DelegationGranted;
                    let known = records.iter().any(|it| granted(it.entry.kind));
                    assert!(known, "{} shows {digest} without a record", it.name_any());
                }
            }
            WatchEvent::Error(why) => panic!("the watch failed: {why:?}"),
            WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
        }
    }
}
