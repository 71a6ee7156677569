//! Which credentials exist, and for how long: every one is seen, however short its life.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use tokio::task::JoinHandle;

use super::ledger::UID_LABEL;
use crate::harness::Space;

/// Promised of a credential whose task is over.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A look at the credentials of a namespace that goes on until [`Sightings::end`].
pub(super) struct Sightings {
    task: JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Since when those exist that do.
    present: BTreeMap<String, Instant>,
    /// How long those existed that don't any more.
    past: Vec<(String, Duration)>,
}

impl Sightings {
    /// Looks at all that comes from now on.
    pub(super) async fn begin(space: &Space) -> Self {
        let secrets = space.secrets();
        let ours = ListParams::default().labels(UID_LABEL);
        let listed = secrets.list(&ours).await.unwrap();
        let version = listed.metadata.resource_version.unwrap();
        let seen = Arc::default();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let watch = follow(secrets, version, Arc::clone(&seen));
        let task = tokio::spawn(async move {
            tokio::select! {
                () = watch => panic!("the watch ended"),
                _ = stopped => {}
            }
        });
        Self { task, stop, seen }
    }

    /// Nothing that came up lived longer than a second, but for `expected`. Gives the names of all
    /// that came up.
    pub(super) async fn end(self, expected: &[&str]) -> BTreeSet<String> {
        // Dropped with its panic, if there was one.
        let _over = self.stop.send(());
        self.task.await.unwrap();
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let present = seen.present.into_iter();
        let present = present.map(|(name, since)| (name, since.elapsed()));
        let mut names = BTreeSet::new();
        for (name, life) in seen.past.into_iter().chain(present) {
            let long = life > ONE_SECOND && !expected.contains(&name.as_str());
            assert!(!long, "{name} lived {life:?}");
            names.insert(name);
        }
        names
    }
}

async fn follow(secrets: Api<Secret>, version: String, seen: Arc<Mutex<Seen>>) {
    let params = WatchParams::default().labels(UID_LABEL);
    let events = secrets.watch(&params, &version).await.unwrap();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let mut seen = seen.lock().unwrap();
        match event.unwrap() {
            WatchEvent::Added(secret) => {
                seen.present.insert(secret.name_any(), Instant::now());
            }
            WatchEvent::Deleted(secret) => {
                let name = secret.name_any();
                if let Some(since) = seen.present.remove(&name) {
                    seen.past.push((name, since.elapsed()));
                }
            }
            WatchEvent::Error(why) => panic!("the watch failed: {why:?}"),
            WatchEvent::Modified(_) | WatchEvent::Bookmark(_) => {}
        }
    }
}
