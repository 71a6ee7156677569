//! Which Secrets of ours there are, by metadata alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use countersign_runtime::{ObjectKey, Store, version};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::PartialObjectMeta;
use parking_lot::Mutex;

use super::{IDENTITY_ANNOTATION, UID_LABEL};
use crate::identity::SecretVersion;
use crate::uid::Uid;

/// A Secret with our label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The UID of the identity that it is labelled with.
    pub(crate) identity: Uid,
    /// That identity's name, where the Secret says it.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) uid: Uid,
    pub(crate) resource_version: Arc<str>,
}

/// The Secrets of all namespaces that are enabled.
#[derive(Debug)]
pub(crate) struct Secrets {
    watched: Watched,
    /// What we wrote and the watch doesn't show yet.
    written: Mutex<HashMap<ObjectKey, Written>>,
}

#[derive(Debug)]
enum Watched {
    All(Arc<Store<Held>>),
    Some(BTreeMap<String, Arc<Store<Held>>>),
}

#[derive(Debug, Clone)]
enum Written {
    Put(Held),
    /// Deleted: the UID that is gone.
    Gone(Uid),
}

impl Held {
    /// Reduces the metadata of a Secret.
    pub(crate) fn of(secret: &PartialObjectMeta<Secret>) -> Option<Self> {
        Some(Self {
            identity: secret.labels().get(UID_LABEL)?.as_str().into(),
            name: secret
                .annotations()
                .get(IDENTITY_ANNOTATION)
                .filter(|name| is_object_name(name))
                .map(|name| name.as_str().into()),
            uid: secret.uid()?.as_str().into(),
            resource_version: secret.resource_version()?.into(),
        })
    }

    pub(crate) fn version(&self, name: &str) -> SecretVersion {
        SecretVersion {
            name: name.to_owned(),
            uid: self.uid.to_string(),
            resource_version: self.resource_version.to_string(),
        }
    }
}

/// An annotation is free text, and this one becomes a part of a path.
fn is_object_name(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(allowed) && name != "." && name != ".."
}

impl Secrets {
    /// `namespaces`: all of them for `None`.
    pub(crate) fn new(namespaces: Option<&[String]>) -> Self {
        let watched = match namespaces {
            None => Watched::All(Arc::default()),
            Some(names) => {
                let stores = names.iter().map(|name| (name.clone(), Arc::default()));
                Watched::Some(stores.collect())
            }
        };
        Self {
            watched,
            written: Mutex::default(),
        }
    }

    /// The stores to fill, each with its namespace; `None` for all namespaces.
    pub(crate) fn stores(&self) -> Vec<(Option<String>, Arc<Store<Held>>)> {
        match &self.watched {
            Watched::All(store) => vec![(None, Arc::clone(store))],
            Watched::Some(stores) => stores
                .iter()
                .map(|(name, store)| (Some(name.clone()), Arc::clone(store)))
                .collect(),
        }
    }

    /// The store of a namespace; `None` where Secrets aren't enabled.
    pub(crate) fn store(&self, namespace: &str) -> Option<&Arc<Store<Held>>> {
        match &self.watched {
            Watched::All(store) => Some(store),
            Watched::Some(stores) => stores.get(namespace),
        }
    }

    /// The Secret of this name, if it has our label: as last written by us, or as seen since.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Held> {
        let written = self.written.lock();
        let seen = self.seen(key).map(|held| Held::clone(&held));
        match (written.get(key), seen) {
            (Some(Written::Put(ours)), Some(seen))
                if version::newer(&seen.resource_version, &ours.resource_version) =>
            {
                Some(seen)
            }
            (Some(Written::Put(ours)), _) => Some(ours.clone()),
            (Some(Written::Gone(uid)), seen) => seen.filter(|seen| seen.uid != *uid),
            (None, seen) => seen,
        }
    }

    /// We wrote this. Kept only while the watch is behind.
    pub(crate) fn wrote(&self, key: &ObjectKey, held: Held) {
        let mut written = self.written.lock();
        let seen = self.seen(key);
        let ahead = seen.is_none_or(|seen| {
            seen.uid != held.uid || version::newer(&held.resource_version, &seen.resource_version)
        });
        if ahead {
            written.insert(key.clone(), Written::Put(held));
        }
    }

    /// We deleted this, or saw that it is gone. Kept only while the watch still shows it.
    pub(crate) fn deleted(&self, key: &ObjectKey, uid: &Uid) {
        let mut written = self.written.lock();
        let shown = self.seen(key).is_some_and(|seen| seen.uid == *uid);
        let to_be_shown = matches!(written.get(key), Some(Written::Put(ours)) if ours.uid == *uid);
        if shown || to_be_shown {
            written.insert(key.clone(), Written::Gone(uid.clone()));
        } else {
            written.remove(key);
        }
    }

    /// A namespace's Secrets, or all of them, were listed again: what we wrote before is in that
    /// listing, or it is gone with the etcd that it was written to.
    pub(crate) fn forget_written(&self, namespace: Option<&str>) {
        let mut written = self.written.lock();
        written.retain(|key, _| namespace.is_some_and(|it| it != key.namespace()));
    }

    fn seen(&self, key: &ObjectKey) -> Option<Arc<Held>> {
        self.store(key.namespace())?.get(key)
    }

    /// The watch brought something. Is it news, or what we wrote ourselves?
    pub(crate) fn is_news(&self, key: &ObjectKey, seen: Option<&Held>) -> bool {
        let mut written = self.written.lock();
        let (news, settled) = match (written.get(key), seen) {
            (None, _) => (true, false),
            (Some(Written::Put(ours)), Some(seen)) => {
                let caught_up = !version::newer(&ours.resource_version, &seen.resource_version);
                (
                    caught_up && ours.resource_version != seen.resource_version,
                    caught_up,
                )
            }
            // Gone after we wrote it: somebody deleted it. A watch that only now shows an older
            // deletion makes us look once too often.
            (Some(Written::Put(_)), None) => (true, true),
            (Some(Written::Gone(uid)), Some(seen)) => (seen.uid != *uid, seen.uid != *uid),
            (Some(Written::Gone(_)), None) => (false, true),
        };
        if settled {
            written.remove(key);
        }
        news
    }

    /// All Secrets that the watches show.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&ObjectKey, &Held)) {
        for (_, store) in self.stores() {
            store.for_each(|key, held| visit(key, held));
        }
    }
}
