//! Which identities to look at again when something else changes.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use countersign_runtime::{Names, ObjectKey};
use parking_lot::Mutex;
use slab::Slab;

use crate::task::KindKey;
use crate::uid::Uid;

/// From what an identity names to the identities that name it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tables: Mutex<Tables>,
    /// Owners, trust domains and kinds: few, named by very many.
    names: Names,
}

/// What one identity names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) uid: Uid,
    pub(crate) kind: KindKey,
    pub(crate) task: Box<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) domain: Arc<str>,
    /// The Secret that it claims; none for other deliveries.
    pub(crate) secret: Option<Box<str>>,
    /// It isn't over: it keeps its kind's watch alive and claims its Secret.
    pub(crate) live: bool,
}

/// All identities by all that they are looked for by. One set of small numbers for everything: a
/// map for each sort of name would keep the names again, a kilobyte for each identity.
#[derive(Debug, Default)]
struct Tables {
    identities: Slab<Box<Identity>>,
    /// Hash of a name, and the number of an identity with a name of this hash.
    named: BTreeSet<(u32, u32)>,
    hasher: RandomState,
    /// How many unfinished identities have a task of a kind.
    kinds: HashMap<KindKey, usize>,
}

#[derive(Debug)]
struct Identity {
    key: ObjectKey,
    links: Links,
}

/// What an identity is looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name<'a> {
    Key(&'a ObjectKey),
    Uid(&'a Uid),
    Owner(&'a str),
    Domain(&'a str),
    Namespace(&'a str),
    Kind(&'a KindKey),
    Task {
        kind: &'a KindKey,
        namespace: &'a str,
        name: &'a str,
    },
    Secret {
        namespace: &'a str,
        name: &'a str,
    },
}

/// From a key to what may be very many.
#[derive(Debug)]
pub(crate) struct Multi<K>(HashMap<K, BTreeSet<ObjectKey>>);

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

impl Index {
    /// Replaces what `identity` names; `None` when it is gone.
    pub(crate) fn put(&self, identity: &ObjectKey, links: Option<Links>) {
        let mut tables = self.tables.lock();
        let known = tables.find(Name::Key(identity)).next();
        if known.map(|(_, known)| &known.links) == links.as_ref() {
            return;
        }
        if let Some((number, _)) = known {
            tables.remove(number);
        }
        if let Some(links) = links {
            let (key, links) = (identity.clone(), self.with_shared_names(links));
            tables.add(Identity { key, links });
        }
    }

    /// The identity with this UID.
    pub(crate) fn with_uid(&self, uid: &Uid) -> Option<ObjectKey> {
        self.with(Name::Uid(uid)).pop()
    }

    pub(crate) fn of_task(&self, kind: &KindKey, task: &ObjectKey) -> Vec<ObjectKey> {
        let (namespace, name) = (task.namespace(), &*task.name);
        self.with(Name::Task {
            kind,
            namespace,
            name,
        })
    }

    pub(crate) fn of_kind(&self, kind: &KindKey) -> Vec<ObjectKey> {
        self.with(Name::Kind(kind))
    }

    pub(crate) fn of_owner(&self, owner: &str) -> Vec<ObjectKey> {
        self.with(Name::Owner(owner))
    }

    pub(crate) fn of_domain(&self, domain: &str) -> Vec<ObjectKey> {
        self.with(Name::Domain(domain))
    }

    pub(crate) fn of_namespace(&self, namespace: &str) -> Vec<ObjectKey> {
        self.with(Name::Namespace(namespace))
    }

    /// Unfinished identities that claim this Secret.
    pub(crate) fn of_secret(&self, secret: &ObjectKey) -> Vec<ObjectKey> {
        let (namespace, name) = (secret.namespace(), &*secret.name);
        self.with(Name::Secret { namespace, name })
    }

    /// The kinds of the tasks of unfinished identities.
    pub(crate) fn kinds_in_use(&self) -> HashSet<KindKey> {
        self.tables.lock().kinds.keys().cloned().collect()
    }

    fn with(&self, name: Name<'_>) -> Vec<ObjectKey> {
        let tables = self.tables.lock();
        let found = tables.find(name);
        found.map(|(_, identity)| identity.key.clone()).collect()
    }

    fn with_shared_names(&self, links: Links) -> Links {
        Links {
            kind: KindKey {
                group: self.names.shared(&links.kind.group),
                resource: self.names.shared(&links.kind.resource),
            },
            owner: self.names.shared(&links.owner),
            domain: self.names.shared(&links.domain),
            ..links
        }
    }
}

impl Tables {
    /// The identities with this name, and their numbers.
    fn find(&self, name: Name<'_>) -> impl Iterator<Item = (usize, &Identity)> {
        let hash = self.hash(name);
        self.named
            .range((hash, 0)..=(hash, u32::MAX))
            .filter_map(move |(_, number)| {
                let number = *number as usize;
                let identity = self.identities.get(number)?;
                let has = identity.names().any(|its| its == name);
                has.then_some((number, &**identity))
            })
    }

    fn add(&mut self, identity: Identity) {
        if identity.links.live {
            *self.kinds.entry(identity.links.kind.clone()).or_default() += 1;
        }
        let number = self.identities.insert(Box::new(identity));
        for entry in self.entries(number) {
            self.named.insert(entry);
        }
    }

    fn remove(&mut self, number: usize) {
        for entry in self.entries(number) {
            self.named.remove(&entry);
        }
        let Some(Identity { links, .. }) = self.identities.try_remove(number).map(|it| *it) else {
            return;
        };
        if links.live
            && let Some(count) = self.kinds.get_mut(&links.kind)
        {
            *count -= 1;
            if *count == 0 {
                self.kinds.remove(&links.kind);
            }
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "there is no room for 2^32 identities"
    )]
    fn entries(&self, number: usize) -> Vec<(u32, u32)> {
        let names = self.identities.get(number).into_iter();
        let names = names.flat_map(|identity| identity.names());
        names.map(|name| (self.hash(name), number as u32)).collect()
    }

    /// Half of a hash: whoever finds something by it compares the name itself.
    #[allow(clippy::cast_possible_truncation, reason = "half of it is enough")]
    fn hash(&self, name: Name<'_>) -> u32 {
        self.hasher.hash_one(name) as u32
    }
}

impl Identity {
    fn names(&self) -> impl Iterator<Item = Name<'_>> {
        let (namespace, links) = (self.key.namespace(), &self.links);
        let always = [
            Name::Key(&self.key),
            Name::Uid(&links.uid),
            Name::Owner(&links.owner),
            Name::Domain(&links.domain),
            Name::Namespace(namespace),
        ];
        let task = Name::Task {
            kind: &links.kind,
            namespace,
            name: &links.task,
        };
        let secret = links.secret.as_deref();
        let secret = secret.map(|name| Name::Secret { namespace, name });
        let live = [Some(Name::Kind(&links.kind)), Some(task), secret];
        let live = live.into_iter().flatten().filter(|_| links.live);
        always.into_iter().chain(live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Some("ns"), name)
    }

    fn links(name: &str, live: bool) -> Links {
        Links {
            uid: format!("{name}-uid").as_str().into(),
            kind: KindKey::new("batch", "jobs"),
            task: name.into(),
            owner: "owner".into(),
            domain: "domain".into(),
            secret: Some("shared".into()),
            live,
        }
    }

    #[test]
    fn an_identity_is_found_by_all_that_it_names() {
        let index = Index::default();
        index.put(&key("a"), Some(links("a", true)));
        index.put(&key("b"), Some(links("b", true)));
        let kind = KindKey::new("batch", "jobs");
        assert_eq!(index.with_uid(&"a-uid".into()), Some(key("a")));
        assert_eq!(index.of_task(&kind, &key("b")), [key("b")]);
        let both = [
            index.of_kind(&kind),
            index.of_owner("owner"),
            index.of_domain("domain"),
            index.of_namespace("ns"),
            index.of_secret(&key("shared")),
        ];
        for mut found in both {
            found.sort();
            assert_eq!(found, [key("a"), key("b")]);
        }
        assert!(index.of_owner("domain").is_empty());
        assert_eq!(index.kinds_in_use(), HashSet::from([kind]));
    }

    #[test]
    fn what_is_over_claims_nothing_and_what_is_gone_is_not_found() {
        let index = Index::default();
        index.put(&key("a"), Some(links("a", true)));
        index.put(&key("a"), Some(links("a", false)));
        assert!(index.of_secret(&key("shared")).is_empty());
        assert!(index.kinds_in_use().is_empty());
        assert_eq!(index.of_owner("owner"), [key("a")]);
        index.put(&key("a"), None);
        assert!(index.of_owner("owner").is_empty());
        let tables = index.tables.lock();
        assert!(tables.named.is_empty() && tables.identities.is_empty());
    }
}
