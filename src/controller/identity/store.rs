//! The identities, as last written by us or as seen since.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_api::AgentIdentity;
use countersign_runtime::{ObjectKey, Store};
use jiff::Timestamp;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tracing::error;

use super::parse;
use crate::condition;
use crate::index::Links;
use crate::task::KindKey;
use crate::version;

/// An identity without what nobody here reads, packed: as JSON it takes a third of the memory that
/// its many small strings take, and most are looked at twice in their life. Equal when it is the
/// same version.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    packed: Box<[u8]>,
    uid: Box<str>,
    version: Box<str>,
    name: Box<str>,
    created: Timestamp,
    /// Of the certificate that will be renewed.
    live_until: Option<Timestamp>,
    /// Of the bundle in its Secret, and until when that lives.
    bundle: Option<(i64, Timestamp)>,
}

/// All identities. What we wrote counts until the watch shows something newer, so that no pass
/// decides on a status that is already history.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    seen: Arc<Store<Object>>,
    written: Mutex<HashMap<ObjectKey, Arc<Object>>>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.uid == other.uid
    }
}

impl Object {
    /// Packs an identity.
    pub(crate) fn of(mut object: AgentIdentity) -> Self {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        object.metadata.labels = None;
        let status = object.status.as_ref();
        let certificate = status.and_then(|status| status.certificate.as_ref());
        let secret = status.and_then(|status| status.secret.as_ref());
        Self {
            uid: object.uid().unwrap_or_default().into(),
            version: object.resource_version().unwrap_or_default().into(),
            name: object.name_any().into(),
            created: parse::created(&object),
            live_until: certificate
                .filter(|certificate| certificate.renewal_time.is_some())
                .map(|certificate| certificate.not_after.0),
            bundle: secret.zip(certificate).map(|(secret, certificate)| {
                (secret.bundle_sequence.unwrap_or(0), certificate.not_after.0)
            }),
            // What came as JSON goes as JSON.
            packed: serde_json::to_vec(&object).unwrap_or_default().into(),
        }
    }

    /// The identity. `None` would be a bug here: what was packed can be read.
    pub(crate) fn unpack(&self) -> Option<AgentIdentity> {
        serde_json::from_slice(&self.packed)
            .inspect_err(|why| error!(name = &*self.name, "can't read a packed identity: {why}"))
            .ok()
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn created(&self) -> Timestamp {
        self.created
    }

    /// When its certificate ends, if it has one that will be renewed.
    pub(crate) fn live_until(&self) -> Option<Timestamp> {
        self.live_until
    }

    /// The sequence number of the bundle in its Secret, and when the certificate beside it ends.
    pub(crate) fn bundle(&self) -> Option<(i64, Timestamp)> {
        self.bundle
    }

    /// What it names, for the index.
    pub(crate) fn links(&self) -> Option<Links> {
        let object = &self.unpack()?;
        let over = object
            .status
            .as_ref()
            .is_some_and(|status| condition::is_true(&status.conditions, "Completed"));
        let secret = matches!(
            object.spec.credential.delivery,
            countersign_api::Delivery::Secret
        );
        Some(Links {
            uid: object.uid().unwrap_or_default().into(),
            kind: KindKey::new(&object.spec.task_ref.group, &object.spec.task_ref.resource),
            task: object.spec.task_ref.name.as_str().into(),
            owner: object.spec.owner_ref.name.as_str().into(),
            domain: object.spec.trust_domain_ref.name.as_str().into(),
            secret: secret.then(|| parse::secret_name(object).into()),
            live: !over && object.metadata.deletion_timestamp.is_none(),
        })
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
