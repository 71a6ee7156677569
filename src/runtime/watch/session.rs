//! One listing, or one watch until it ends.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{ListParams, VersionMatch, WatchEvent, WatchParams};
use kube::core::Status;
use kube::runtime::watcher::{Config, ListSemantic};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::follow::Follow;
use crate::store::ObjectKey;

/// How long the server keeps a watch open at most: a hung one is found this much later, and an
/// open one costs a request each time.
const LONGEST_WATCH_SECONDS: u32 = 60;
/// How much later than that the end may come.
const MARGIN: Duration = Duration::from_secs(5);
/// A watch that ends sooner without an event isn't opened again at once.
const SHORT: Duration = Duration::from_secs(2);

/// How to list and watch one kind.
pub(super) struct Session<K> {
    api: Api<K>,
    list: ListParams,
    watch: WatchParams,
    silence: Duration,
}

/// How a listing or a watch ended, and what comes next.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Where to watch from; a listing if there is none.
    pub(super) version: Option<String>,
    /// Whether anything succeeded.
    pub(super) progress: bool,
    pub(super) failure: Option<Failure>,
    /// Whether to wait before that.
    pub(super) wait: bool,
}

/// An error, as much of it as is told.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Option<u16>,
    pub(super) message: String,
}

impl<K> Session<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    pub(super) fn new(api: Api<K>, config: &Config) -> Self {
        let seconds = config.timeout.map_or(LONGEST_WATCH_SECONDS, |seconds| {
            seconds.clamp(1, LONGEST_WATCH_SECONDS)
        });
        let any = config.list_semantic == ListSemantic::Any;
        Self {
            api,
            list: ListParams {
                label_selector: config.label_selector.clone(),
                field_selector: config.field_selector.clone(),
                limit: config.page_size,
                version_match: any.then_some(VersionMatch::NotOlderThan),
                resource_version: any.then(|| "0".to_owned()),
                ..ListParams::default()
            },
            watch: WatchParams {
                label_selector: config.label_selector.clone(),
                field_selector: config.field_selector.clone(),
                timeout: Some(seconds),
                bookmarks: config.bookmarks,
                send_initial_events: false,
            },
            silence: Duration::from_secs(u64::from(seconds)) + MARGIN,
        }
    }

    /// Lists all objects, page by page.
    pub(super) async fn list<V, R, C>(&self, follow: &mut Follow<'_, K, V, R, C>) -> Step
    where
        V: PartialEq,
        R: Fn(K) -> Option<V>,
        C: Fn(&ObjectKey, Option<&Arc<V>>, Option<&Arc<V>>),
    {
        let mut params = self.list.clone();
        follow.list_begins();
        loop {
            let page = match self.api.list(&params).await {
                Ok(page) => page,
                // 410 says that the pages' version is gone meanwhile: from the start, too.
                Err(error) => return Step::failed(None, false, Failure::of(&error)),
            };
            page.items
                .into_iter()
                .for_each(|object| follow.listed(object));
            let version = page.metadata.resource_version.filter(|it| !it.is_empty());
            match page.metadata.continue_.filter(|it| !it.is_empty()) {
                Some(next) => {
                    params.continue_token = Some(next);
                    params.resource_version = None; // the token carries it
                    params.version_match = None;
                }
                None if version.is_none() => {
                    let failure = Failure::text("the listing has no resourceVersion");
                    return Step::failed(None, false, failure);
                }
                None => {
                    follow.list_ends();
                    return Step {
                        version,
                        progress: true,
                        ..Step::default()
                    };
                }
            }
        }
    }

    /// Watches from `version` until the watch ends.
    pub(super) async fn watch<V, R, C>(
        &self,
        mut version: String,
        follow: &mut Follow<'_, K, V, R, C>,
    ) -> Step
    where
        V: PartialEq,
        R: Fn(K) -> Option<V>,
        C: Fn(&ObjectKey, Option<&Arc<V>>, Option<&Arc<V>>),
    {
        let opened = Instant::now();
        let events = match self.api.watch(&self.watch, &version).await {
            Ok(events) => events,
            Err(error) => return Step::interrupted(version, false, Failure::of(&error)),
        };
        follow.watch_opened();
        let mut events = pin!(events);
        let mut progress = false;
        loop {
            let event = match timeout(self.silence, events.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => {
                    let wait = !progress && opened.elapsed() < SHORT;
                    return Step {
                        version: Some(version),
                        progress: progress || !wait,
                        failure: None,
                        wait,
                    };
                }
                Err(_) => {
                    // The next one may hang as well: a listing is sure to show what there is.
                    let failure = Failure::text("the watch hung");
                    return Step::failed(None, progress, failure);
                }
            };
            let seen = match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    let seen = object.resource_version();
                    follow.applied(object);
                    seen
                }
                Ok(WatchEvent::Deleted(object)) => {
                    follow.deleted(&object);
                    object.resource_version()
                }
                Ok(WatchEvent::Bookmark(bookmark)) => Some(bookmark.metadata.resource_version),
                Ok(WatchEvent::Error(status)) => {
                    return Step::interrupted(version, progress, Failure::from(&*status));
                }
                Err(error @ kube::Error::SerdeError(_)) => {
                    // The same would come again after a new start: rather lose it alone.
                    follow.failed(&Failure::of(&error));
                    continue;
                }
                Err(error) => return Step::interrupted(version, progress, Failure::of(&error)),
            };
            let Some(seen) = seen.filter(|it| !it.is_empty()) else {
                let failure = Failure::text("an event has no resourceVersion");
                return Step::failed(None, progress, failure);
            };
            version = seen;
            progress = true;
            follow.succeeded();
        }
    }
}

impl Step {
    fn failed(version: Option<String>, progress: bool, failure: Failure) -> Self {
        Self {
            version,
            progress,
            failure: Some(failure),
            wait: true,
        }
    }

    /// After a watch's failure: on from `version`, unless the server can't.
    fn interrupted(version: String, progress: bool, failure: Failure) -> Self {
        // 410: too old. 504: newer than anything the server has (or an overloaded server: then a
        // listing does no harm). 404: the kind is gone, and if it comes back, nothing of before is
        // in it.
        let lost = matches!(failure.code, Some(404 | 410 | 504));
        // One that brought nothing before it failed, or couldn't be opened: the server was away. It
        // may have come back with an etcd that was set back, and is silent then until that has
        // passed `version`, without an error. 429 is a server that is there, and has too much to do.
        let away = !progress && failure.code != Some(429);
        Self::failed((!lost && !away).then_some(version), progress, failure)
    }
}

impl Failure {
    fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(&**status),
            other => Self::text(&chain(other)),
        }
    }

    fn text(message: &str) -> Self {
        Self {
            code: None,
            message: message.to_owned(),
        }
    }
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        Self {
            code: Some(status.code),
            message: status.message.clone(),
        }
    }
}

/// An error with its causes, each once: kube's messages often have the next one in them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
