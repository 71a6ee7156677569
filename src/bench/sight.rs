//! A watch that tells when something was seen, as a user's program would see it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt as _;
use http::Request;
use kube::core::WatchEvent;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};

use crate::api::Api;
use crate::objects::{delegations, identities, pod_certificate_requests, secrets};

/// Longer than anything here may take: then something is wrong, and the bench says so.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a watch is sent of each object: all of it, or its metadata alone.
const WHOLE: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

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
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    resource_version: String,
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

/// A watch that goes on where it was cut: an API server ends one that is slow to read.
struct Watch {
    api: Api,
    path: String,
    accept: &'static str,
    /// Is this what is waited for? The second says that the object is gone.
    judge: fn(&Seen, bool) -> bool,
    version: String,
    waiting: Waiting,
}

impl Sight {
    /// Identities whose certificate is there: `Ready=True`.
    pub(crate) async fn ready(api: &Api) -> Result<Self> {
        Self::start(api, identities(), WHOLE, |it, _| it.is("Ready")).await
    }

    /// Identities that are over: `Completed=True`.
    pub(crate) async fn completed(api: &Api) -> Result<Self> {
        Self::start(api, identities(), WHOLE, |it, _| it.is("Completed")).await
    }

    /// Delegations that are countersigned: `Ready=True`.
    pub(crate) async fn countersigned(api: &Api) -> Result<Self> {
        Self::start(api, delegations(), WHOLE, |it, _| it.is("Ready")).await
    }

    /// Delegations that are over: `Completed=True`.
    pub(crate) async fn ended(api: &Api) -> Result<Self> {
        Self::start(api, delegations(), WHOLE, |it, _| it.is("Completed")).await
    }

    /// PodCertificateRequests whose certificate is there: `Issued=True`.
    pub(crate) async fn issued(api: &Api) -> Result<Self> {
        Self::start(api, pod_certificate_requests(), WHOLE, |it, _| {
            it.is("Issued")
        })
        .await
    }

    /// Secrets that are gone.
    pub(crate) async fn gone(api: &Api) -> Result<Self> {
        Self::start(api, secrets(), METADATA, |_, gone| gone).await
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
        path: String,
        accept: &'static str,
        judge: fn(&Seen, bool) -> bool,
    ) -> Result<Self> {
        let now: List = api.fetch(&format!("{path}?limit=1")).await?;
        let waiting = Waiting::default();
        let watch = Watch {
            api: api.clone(),
            path,
            accept,
            judge,
            version: now.metadata.resource_version,
            waiting: Rc::clone(&waiting),
        };
        let watch = spawn_local(watch.run());
        Ok(Self { waiting, watch })
    }
}

impl Watch {
    /// Until it fails; then nobody waits any more.
    async fn run(mut self) {
        let error = loop {
            if let Err(error) = self.once().await {
                break error;
            }
        };
        eprintln!("a watch of the bench failed: {error:#}");
        self.waiting.borrow_mut().clear();
    }

    /// Until the API server ends it.
    async fn once(&mut self) -> Result<()> {
        let path = format!("{}?watch=true&resourceVersion={}", self.path, self.version);
        let request = Request::get(path)
            .header("accept", self.accept)
            .body(Vec::new())?;
        let events = self.api.client().request_events::<Seen>(request).await?;
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await? {
            let (seen, gone) = match event {
                WatchEvent::Added(it) | WatchEvent::Modified(it) => (it, false),
                WatchEvent::Deleted(it) => (it, true),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(error) => bail!("{}", error.message),
            };
            self.note(&seen, gone);
            self.version = seen.metadata.resource_version;
        }
        Ok(())
    }

    fn note(&self, seen: &Seen, gone: bool) {
        if !(self.judge)(seen, gone) {
            return;
        }
        let awaited = self.waiting.borrow_mut().remove(&seen.metadata.name);
        if let Some(awaited) = awaited {
            let _gave_up = awaited.send(Instant::now());
        }
    }
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
