//! Keeps a store like the API server.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

use kube::runtime::watcher::Config;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::store::{ObjectKey, Store};
use crate::watch_metrics::WatchMetrics;

/// Follows the objects of `api` into `store` for ever.
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
    let _ = (name, api, config, store, reduce, changed, metrics);
    unimplemented!()
}
