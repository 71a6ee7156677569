//! Which identities to look at again when something else changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use countersign_runtime::ObjectKey;
use parking_lot::Mutex;

use crate::task::KindKey;

/// From what an identity names to the identities that name it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tables: Mutex<Tables>,
}

/// What one identity names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) uid: Arc<str>,
    pub(crate) kind: KindKey,
    pub(crate) task: Arc<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) domain: Arc<str>,
    /// The Secret that it claims; none for other deliveries.
    pub(crate) secret: Option<Arc<str>>,
    /// It isn't over: it keeps its kind's watch alive and claims its Secret.
    pub(crate) live: bool,
}

#[derive(Debug, Default)]
struct Tables {
    links: HashMap<ObjectKey, Links>,
    by_uid: HashMap<Arc<str>, ObjectKey>,
    by_task: Few<(KindKey, ObjectKey)>,
    by_owner: Multi<Arc<str>>,
    by_domain: Multi<Arc<str>>,
    by_namespace: Multi<Arc<str>>,
    by_secret: Few<ObjectKey>,
    by_kind: Multi<KindKey>,
}

/// From a key to what may be very many.
#[derive(Debug)]
pub(crate) struct Multi<K>(HashMap<K, BTreeSet<ObjectKey>>);

/// From a key to what is mostly one: a set of its own for each would take half a kilobyte.
#[derive(Debug)]
struct Few<K>(HashMap<K, Vec<ObjectKey>>);

impl<K> Default for Multi<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Multi<K> {
    pub(crate) fn add(&mut self, key: K, identity: &ObjectKey) {
        self.0.entry(key).or_default().insert(identity.clone());
    }

    pub(crate) fn remove(&mut self, key: &K, identity: &ObjectKey) {
        if let Some(set) = self.0.get_mut(key) {
            set.remove(identity);
            if set.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(crate) fn get(&self, key: &K) -> Vec<ObjectKey> {
        self.0.get(key).into_iter().flatten().cloned().collect()
    }
}

impl<K> Default for Few<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Few<K> {
    fn add(&mut self, key: K, identity: &ObjectKey) {
        let all = self.0.entry(key).or_insert_with(|| Vec::with_capacity(1));
        if !all.contains(identity) {
            all.push(identity.clone());
        }
    }

    fn remove(&mut self, key: &K, identity: &ObjectKey) {
        if let Some(all) = self.0.get_mut(key) {
            all.retain(|it| it != identity);
            if all.is_empty() {
                self.0.remove(key);
            }
        }
    }

    fn get(&self, key: &K) -> Vec<ObjectKey> {
        self.0.get(key).into_iter().flatten().cloned().collect()
    }
}

impl Index {
    /// Replaces what `identity` names; `None` when it is gone.
    pub(crate) fn put(&self, identity: &ObjectKey, links: Option<Links>) {
        let mut tables = self.tables.lock();
        if tables.links.get(identity) == links.as_ref() {
            return;
        }
        if let Some(old) = tables.links.remove(identity) {
            tables.unlink(identity, &old);
        }
        if let Some(links) = links {
            tables.link(identity, &links);
            tables.links.insert(identity.clone(), links);
        }
    }

    /// The identity with this UID.
    pub(crate) fn with_uid(&self, uid: &str) -> Option<ObjectKey> {
        self.tables.lock().by_uid.get(uid).cloned()
    }

    pub(crate) fn of_task(&self, kind: &KindKey, task: &ObjectKey) -> Vec<ObjectKey> {
        self.tables
            .lock()
            .by_task
            .get(&(kind.clone(), task.clone()))
    }

    pub(crate) fn of_kind(&self, kind: &KindKey) -> Vec<ObjectKey> {
        self.tables.lock().by_kind.get(kind)
    }

    pub(crate) fn of_owner(&self, owner: &str) -> Vec<ObjectKey> {
        self.tables.lock().by_owner.get(&owner.into())
    }

    pub(crate) fn of_domain(&self, domain: &str) -> Vec<ObjectKey> {
        self.tables.lock().by_domain.get(&domain.into())
    }

    pub(crate) fn of_namespace(&self, namespace: &str) -> Vec<ObjectKey> {
        self.tables.lock().by_namespace.get(&namespace.into())
    }

    /// Unfinished identities that claim this Secret.
    pub(crate) fn of_secret(&self, secret: &ObjectKey) -> Vec<ObjectKey> {
        self.tables.lock().by_secret.get(secret)
    }

    /// The kinds of the tasks of unfinished identities.
    pub(crate) fn kinds_in_use(&self) -> HashSet<KindKey> {
        self.tables.lock().by_kind.0.keys().cloned().collect()
    }
}

impl Tables {
    fn link(&mut self, identity: &ObjectKey, links: &Links) {
        let namespace = identity.namespace.clone().unwrap_or_default();
        self.by_uid.insert(Arc::clone(&links.uid), identity.clone());
        self.by_owner.add(Arc::clone(&links.owner), identity);
        self.by_domain.add(Arc::clone(&links.domain), identity);
        self.by_namespace.add(namespace, identity);
        if links.live {
            self.by_task.add(task_key(identity, links), identity);
            self.by_kind.add(links.kind.clone(), identity);
            if let Some(secret) = secret_key(identity, links) {
                self.by_secret.add(secret, identity);
            }
        }
    }

    fn unlink(&mut self, identity: &ObjectKey, links: &Links) {
        let namespace = identity.namespace.clone().unwrap_or_default();
        if self.by_uid.get(&links.uid) == Some(identity) {
            self.by_uid.remove(&links.uid);
        }
        self.by_owner.remove(&links.owner, identity);
        self.by_domain.remove(&links.domain, identity);
        self.by_namespace.remove(&namespace, identity);
        self.by_task.remove(&task_key(identity, links), identity);
        self.by_kind.remove(&links.kind, identity);
        if let Some(secret) = secret_key(identity, links) {
            self.by_secret.remove(&secret, identity);
        }
    }
}

fn task_key(identity: &ObjectKey, links: &Links) -> (KindKey, ObjectKey) {
    let task = ObjectKey {
        namespace: identity.namespace.clone(),
        name: Arc::clone(&links.task),
    };
    (links.kind.clone(), task)
}

fn secret_key(identity: &ObjectKey, links: &Links) -> Option<ObjectKey> {
    links.secret.as_ref().map(|name| ObjectKey {
        namespace: identity.namespace.clone(),
        name: Arc::clone(name),
    })
}
