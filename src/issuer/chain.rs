//! Who controls what controls a pod.
//!
//! A pod's own controller stands in its metadata. What is above that is read from the API server, by
//! GETs of metadata alone, and remembered for a while. An owner counts only with the UID that the
//! reference names: another object of its name breaks the chain.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use countersign_runtime::{is_forbidden, is_not_found};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot};
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::feed::pod::{Controller, controller};

/// A chain that is longer ends here: pod, Job, JobSet and a workflow are three.
pub(crate) const LONGEST: usize = 8;
/// References hardly ever change, but objects may be adopted.
const KEPT: Duration = Duration::from_secs(60);
/// So many are remembered at most.
const MOST: usize = 65_536;
/// GETs at a time.
const AT_ONCE: usize = 16;
/// Whoever asks waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// An `apiVersion` and a `kind`.
type VersionKind = (String, String);

/// Reads controllers of controllers.
pub(crate) struct Chains {
    client: Client,
    places: Semaphore,
    above: Mutex<HashMap<String, (Instant, Option<Controller>)>>,
    kinds: Mutex<HashMap<VersionKind, Arc<(ApiResource, Scope)>>>,
}

/// It isn't known what is above.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("{kind} {name} can't be read: {why}")]
    Unread {
        kind: String,
        name: String,
        why: Box<kube::Error>,
    },
    #[error("{kind} {name} was not read within 5 s")]
    Late { kind: String, name: String },
}

impl Chains {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            places: Semaphore::new(AT_ONCE),
            above: Mutex::default(),
            kinds: Mutex::default(),
        }
    }

    /// The controller of `of`, which is in `namespace` or in none. `None`: nobody controls it, it isn't
    /// there, or it may not be read, so that fewer identities are found.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) async fn above(
        &self,
        namespace: &str,
        of: &Controller,
    ) -> Result<Option<Controller>, Unknown> {
        if let Some(known) = self.known(&of.uid) {
            return Ok(known);
        }
        if !is_plain(of) {
            return Ok(None);
        }
        let late = || Unknown::Late {
            kind: of.kind.clone(),
            name: of.name.clone(),
        };
        let reading = async {
            let _place = self.places.acquire().await;
            if let Some(known) = self.known(&of.uid) {
                return Ok(known); // somebody else has read it meanwhile
            }
            let read = self.read(namespace, of).await;
            let above = read.map_err(|why| Unknown::Unread {
                kind: of.kind.clone(),
                name: of.name.clone(),
                why: Box::new(why),
            })?;
            self.keep(of.uid.clone(), above.clone());
            Ok(above)
        };
        timeout(PATIENCE, reading).await.map_err(|_| late())?
    }

    fn known(&self, uid: &str) -> Option<Option<Controller>> {
        let above = self.above.lock();
        let (since, known) = above.get(uid)?;
        (since.elapsed() < KEPT).then(|| known.clone())
    }

    fn keep(&self, uid: String, it: Option<Controller>) {
        let mut above = self.above.lock();
        if above.len() >= MOST {
            above.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        if above.len() >= MOST {
            above.clear();
        }
        above.insert(uid, (Instant::now(), it));
    }

    async fn read(&self, namespace: &str, of: &Controller) -> kube::Result<Option<Controller>> {
        let kind = match self.kind(of).await {
            Ok(kind) => kind,
            Err(why) if is_not_found(&why) => return Ok(None),
            Err(kube::Error::Discovery(_)) => return Ok(None), // no such kind
            Err(why) => return Err(why),
        };
        let (resource, scope) = kind.as_ref();
        let api: Api<DynamicObject> = match scope {
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, resource),
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
        };
        let found = match api.get_metadata_opt(&of.name).await {
            Err(why) if is_forbidden(&why) => {
                let kind = &of.kind;
                warn!(
                    kind,
                    "objects of this kind may not be read: what is above them has no pods"
                );
                None
            }
            other => other?,
        };
        let found = found.filter(|it| it.uid().as_deref() == Some(&of.uid));
        Ok(found.and_then(|it| controller(it.metadata.owner_references.unwrap_or_default())))
    }

    async fn kind(&self, of: &Controller) -> kube::Result<Arc<(ApiResource, Scope)>> {
        let key = (of.api_version.clone(), of.kind.clone());
        if let Some(known) = self.kinds.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let (group, version) = match of.api_version.split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", of.api_version.as_str()),
        };
        let gvk = GroupVersionKind::gvk(group, version, &of.kind);
        let (resource, capabilities) = oneshot::pinned_kind(&self.client, &gvk).await?;
        let found = Arc::new((resource, capabilities.scope));
        let mut kinds = self.kinds.lock();
        if kinds.len() >= MOST {
            kinds.clear();
        }
        kinds.insert(key, Arc::clone(&found));
        Ok(found)
    }
}

/// Whoever writes a pod writes these, and they become parts of a path.
fn is_plain(of: &Controller) -> bool {
    let word = |text: &str| {
        let good = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b':' | b'_');
        (1..=253).contains(&text.len())
            && text.bytes().all(good)
            && text.bytes().any(|it| it != b'.')
    };
    let (group, version) = match of.api_version.split_once('/') {
        Some((group, version)) => (Some(group), version),
        None => (None, of.api_version.as_str()),
    };
    group.is_none_or(word) && word(version) && word(&of.kind) && word(&of.name)
}

impl std::fmt::Debug for Chains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chains").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_never_leads_out_of_its_place_in_a_path() {
        let of = |api_version: &str, kind: &str, name: &str| Controller {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            uid: "uid".to_owned(),
        };
        for (api_version, kind, name) in [
            ("batch/v1", "Job", "work"),
            ("v1", "ReplicationController", "a.b-c"),
            ("agents.x-k8s.io/v1alpha1", "Sandbox", "s"),
        ] {
            assert!(is_plain(&of(api_version, kind, name)));
        }
        for (api_version, kind, name) in [
            ("batch/v1", "Job", "../secrets/a"),
            ("batch/v1", "Job", ".."),
            ("batch/v1", "Job", ""),
            ("batch/v1", "Job", "a?watch=true"),
            ("batch/v1/namespaces", "Job", "a"),
            ("../v1", "Job", "a"),
            ("/v1", "Job", "a"),
            ("batch/", "Job", "a"),
            ("", "Job", "a"),
            ("batch/v1", "", "a"),
            ("batch/v1", "Job", "a%2f"),
        ] {
            assert!(
                !is_plain(&of(api_version, kind, name)),
                "{api_version} {kind} {name}"
            );
        }
    }
}
