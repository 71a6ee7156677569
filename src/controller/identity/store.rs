//! The identities, as last written by us or as seen since.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_api::AgentIdentity;
use countersign_runtime::{ObjectKey, Store};
use kube::ResourceExt as _;
use parking_lot::Mutex;

use super::parse;
use crate::condition;
use crate::index::Links;
use crate::task::KindKey;
use crate::version;

/// An identity without what nobody here reads. Equal when it is the same version.
#[derive(Debug, Clone)]
pub(crate) struct Object(pub(crate) AgentIdentity);

/// All identities. What we wrote counts until the watch shows something newer, so that no pass
/// decides on a status that is already history.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    seen: Arc<Store<Object>>,
    written: Mutex<HashMap<ObjectKey, Arc<Object>>>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.0.metadata, &other.0.metadata);
        a.resource_version == b.resource_version && a.uid == b.uid
    }
}

impl Object {
    /// Drops what is only ballast in memory.
    pub(crate) fn of(mut object: AgentIdentity) -> Self {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        object.metadata.labels = None;
        Self(object)
    }

    pub(crate) fn version(&self) -> &str {
        self.0
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }

    /// What it names, for the index.
    pub(crate) fn links(&self) -> Links {
        let object = &self.0;
        let over = object
            .status
            .as_ref()
            .is_some_and(|status| condition::is_true(&status.conditions, "Completed"));
        let secret = matches!(
            object.spec.credential.delivery,
            countersign_api::Delivery::Secret
        );
        Links {
            uid: object.uid().unwrap_or_default().into(),
            kind: KindKey::new(&object.spec.task_ref.group, &object.spec.task_ref.resource),
            task: object.spec.task_ref.name.as_str().into(),
            owner: object.spec.owner_ref.name.as_str().into(),
            domain: object.spec.trust_domain_ref.name.as_str().into(),
            secret: secret.then(|| parse::secret_name(object).into()),
            live: !over && object.metadata.deletion_timestamp.is_none(),
        }
    }
}

impl Identities {
    /// The store that the watch fills.
    pub(crate) fn seen(&self) -> &Arc<Store<Object>> {
        &self.seen
    }

    /// The newest that is known.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        let seen = self.seen.get(key);
        let written = self.written.lock().get(key).cloned();
        match (written, seen) {
            (Some(ours), Some(seen)) if version::newer(ours.version(), seen.version()) => {
                Some(ours)
            }
            (_, seen) => seen,
        }
    }

    /// We wrote this, or read it from the API server itself.
    pub(crate) fn wrote(&self, key: &ObjectKey, object: AgentIdentity) -> Arc<Object> {
        let object = Arc::new(Object::of(object));
        let mut written = self.written.lock();
        // Only what is ahead of the watch is kept: it may have brought this already, or the end.
        let ahead = self
            .seen
            .get(key)
            .is_some_and(|seen| version::newer(object.version(), seen.version()));
        if ahead {
            written.insert(key.clone(), Arc::clone(&object));
        }
        object
    }

    /// The watch brought something. Is it news, or what we wrote ourselves?
    pub(crate) fn is_news(&self, key: &ObjectKey, seen: Option<&Object>) -> bool {
        let mut written = self.written.lock();
        let Some(seen) = seen else {
            written.remove(key);
            return true;
        };
        match written.get(key) {
            Some(ours) if version::newer(ours.version(), seen.version()) => false,
            Some(ours) => {
                let own = ours.version() == seen.version();
                written.remove(key);
                !own
            }
            None => true,
        }
    }
}
