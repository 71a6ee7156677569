//! Keeps a store like the API server: lists, then watches, for ever.
//!
//! ```text
//!        ┌── 410: too old, or unknown; it hung; the server was away ──┐
//!        ▼                                                            │
//!  list, page by page ──▶ sweep, synced ──▶ watch from the version listed ──▶ end of the watch
//!        ▲                                  ▲                                      │
//!        └─ error: backoff                  └────────── from the version seen ─────┘
//! ```
//!
//! **etcd may be set back** to an older copy, with the API servers stopped meanwhile. Its revisions
//! then go back too, and a watch from a version that is yet to come is not refused but silent, all
//! changes up to that version included (1.37). So a watch that couldn't be opened again at once is
//! listed anew. Where the restore raised the revisions (`--bump-revision --mark-compacted`) it is
//! answered 410, and listed as well.
//!
//! **Why not kube's watcher** (5.0). It says nothing when a watch is opened again or a bookmark
//! comes, so after an error an idle kind would look troubled until its next change; a watch that
//! is answered "too old" by status instead of by event is tried again for ever; and one that the
//! server ends at once is opened again in a hot loop. Its [`Config`] is used, and its order of
//! calls.

mod follow;
mod session;

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

use kube::runtime::watcher::Config;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::store::{ObjectKey, Store};
use crate::watch_metrics::WatchMetrics;
use follow::Follow;
use session::Session;

/// Follows the objects of `api` into `store` for ever. Each is reduced to a `V` at once, without
/// its managedFields, and dropped; one that is reduced to `None` counts as absent. `api` may be
/// typed, of `PartialObjectMeta` (only metadata is fetched) or of `DynamicObject`.
///
/// `changed` is called after the store has changed, with what was and what is, and not for
/// objects that are equal; it must be quick. While objects are listed again what was known stays
/// visible; what the listing lacks is removed at its end.
///
/// Errors are the store's [trouble](Store::trouble) until something succeeds, and are tried again
/// after a backoff of this watch's own, 0.2 to 5 s. `name` tells this watch in logs and metrics.
///
/// Of `config` counts: the selectors; the page size and semantic of lists; `timeout` (60 s if
/// absent, more is cut to it), after which the server ends a watch and after which, with 5 s more,
/// a silent one counts as hung. Lists, and the time until a watch is answered, are limited by the
/// client ([`Clients`](crate::Clients)).
///
/// An object that `K` can't be read from fails the whole listing, and leaves a change of it
/// unseen: use a `K` that takes anything, such as `DynamicObject`, where the API server's schema
/// doesn't exclude that, and let `reduce` judge.
pub async fn watch_into<K, V>(
    name: &str,
    api: Api<K>,
    config: Config,
    store: Arc<Store<V>>,
    reduce: impl Fn(K) -> Option<V> + Send,
    changed: impl Fn(&ObjectKey, Option<&Arc<V>>, Option<&Arc<V>>) + Send,
    metrics: WatchMetrics,
) -> Infallible
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    V: PartialEq + Send + Sync,
{
    let session = Session::new(api, &config);
    let mut follow = Follow::new(name, &store, reduce, changed, &metrics);
    let mut backoff = Backoff::default();
    let mut version = None;
    loop {
        let step = match version.take() {
            None => session.list(&mut follow).await,
            Some(version) => session.watch(version, &mut follow).await,
        };
        version = step.version;
        if version.is_none() {
            follow.outdated();
        }
        if step.progress {
            backoff.reset();
        }
        if let Some(failure) = step.failure {
            follow.failed(&failure);
        }
        if step.wait {
            sleep(backoff.next()).await;
        }
    }
}
