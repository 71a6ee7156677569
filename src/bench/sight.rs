//! A watch that tells when something was seen, as a user's program would see it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{Stream, TryStreamExt as _};
use http::Request;
use kube::core::WatchEvent;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};

use crate::api::Api;
use crate::objects::{identities, secrets};

/// Longer than anything here may take: then something is wrong, and the bench says so.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a watch has seen. Names are waited for one by one.
///
/// Ends with the value.
pub(crate) struct Sight {
    waiting: Waiting,
    watch: JoinHandle<()>,
}

type Waiting = Rc<RefCell<HashMap<String, oneshot::Sender<Instant>>>>;

/// One name that is waited for.
pub(crate) struct Awaited {
    name: String,
    seen: oneshot::Receiver<Instant>,
}

/// As much of an object as is looked at.
#[derive(Debug, Clone, Deserialize)]
struct Seen {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct List {
    metadata: ListMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

impl Sight {
    /// Identities whose certificate is there: `Ready=True`.
    pub(crate) async fn ready(api: &Api) -> Result<Self> {
        Self::start(
            api,
            &identities(),
            "application/json",
            |event| match event {
                WatchEvent::Added(it) | WatchEvent::Modified(it) if it.is("Ready") => Some(it),
                _ => None,
            },
        )
        .await
    }

    /// Identities that are over: `Completed=True`.
    pub(crate) async fn completed(api: &Api) -> Result<Self> {
        Self::start(
            api,
            &identities(),
            "application/json",
            |event| match event {
                WatchEvent::Added(it) | WatchEvent::Modified(it) if it.is("Completed") => Some(it),
                _ => None,
            },
        )
        .await
    }

    /// Secrets that are gone; of them the metadata alone is sent.
    pub(crate) async fn gone(api: &Api) -> Result<Self> {
        const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        Self::start(api, &secrets(), METADATA, |event| match event {
            WatchEvent::Deleted(it) => Some(it),
            _ => None,
        })
        .await
    }

    /// Waits for a name from now on; call it before the act that makes it appear.
    pub(crate) fn expect(&self, name: &str) -> Awaited {
        let (sender, seen) = oneshot::channel();
        self.waiting.borrow_mut().insert(name.to_owned(), sender);
        Awaited {
            name: name.to_owned(),
            seen,
        }
    }

    async fn start(
        api: &Api,
        path: &str,
        accept: &str,
        judge: fn(WatchEvent<Seen>) -> Option<Seen>,
    ) -> Result<Self> {
        let now: List = api.fetch(&format!("{path}?limit=1")).await?;
        let version = now.metadata.resource_version;
        let request = Request::get(format!("{path}?watch=true&resourceVersion={version}"))
            .header("accept", accept)
            .body(Vec::new())?;
        let events = api.client().request_events::<Seen>(request).await?;
        let waiting = Waiting::default();
        let watch = spawn_local(note(events, judge, Rc::clone(&waiting)));
        Ok(Self { waiting, watch })
    }
}

/// Tells those who wait. When the watch ends, so does their waiting: with an error.
async fn note(
    events: impl Stream<Item = Result<WatchEvent<Seen>, impl fmt::Display>>,
    judge: fn(WatchEvent<Seen>) -> Option<Seen>,
    waiting: Waiting,
) {
    let mut events = std::pin::pin!(events);
    loop {
        match events.try_next().await {
            Ok(Some(event)) => {
                let Some(seen) = judge(event) else { continue };
                let awaited = waiting.borrow_mut().remove(&seen.metadata.name);
                if let Some(awaited) = awaited {
                    let _gave_up = awaited.send(Instant::now());
                }
            }
            Ok(None) => break,
            Err(error) => {
                eprintln!("a watch of the bench failed: {error}");
                break;
            }
        }
    }
    waiting.borrow_mut().clear();
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Awaited {
    /// When it was seen.
    pub(crate) async fn seen(self) -> Result<Instant> {
        match tokio::time::timeout(PATIENCE, self.seen).await {
            Ok(seen) => seen.context("the watch ended"),
            Err(_) => bail!("{} was not seen within {PATIENCE:?}", self.name),
        }
    }
}

impl Seen {
    fn is(&self, condition: &str) -> bool {
        let conditions = &self.status.conditions;
        conditions
            .iter()
            .any(|it| it.kind == condition && it.status == "True")
    }
}
