//! The delegations in memory, and who names whom.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_api::{Delegation, DelegationState};
use countersign_core::SpiffeId;
use countersign_runtime::ObjectKey;
use countersign_statement::{Digest, MAX_DEPTH};
use jiff::Timestamp;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tracing::error;

use crate::condition::is_true;
use crate::index::Multi;
use crate::newest::{Newest, Versioned};
use crate::retired::Mortal;
use crate::uid::Uid;

/// A delegation, packed as JSON, and what is asked of it often. Equal when it is the same version.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    packed: Box<[u8]>,
    version: Box<str>,
    pub(crate) facts: Facts,
}

/// What decides about the delegations below, without unpacking.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) uid: Arc<str>,
    pub(crate) delegator: Party,
    pub(crate) delegate: ObjectKey,
    pub(crate) parent: Option<ObjectKey>,
    pub(crate) latched: Latched,
    pub(crate) revoked: bool,
    pub(crate) deleting: bool,
    /// Message of its end.
    pub(crate) completed: Option<Box<str>>,
    pub(crate) ready: bool,
    /// Message of what holds it back.
    pub(crate) held: Option<Box<str>>,
    pub(crate) digest: Option<Digest>,
    pub(crate) expires: Option<Timestamp>,
    /// The trust domain that countersigned.
    pub(crate) domain: Option<Arc<str>>,
    /// The `jti` of what the delegator signed itself, once that was verified and countersigned.
    pub(crate) used: Option<(Jti, Timestamp)>,
}

/// Who hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Party {
    Owner(Arc<str>),
    Agent(ObjectKey),
}

/// UIDs as first seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latched {
    pub(crate) delegator: Option<Box<str>>,
    pub(crate) delegate: Option<Box<str>>,
    pub(crate) parent: Option<Box<str>>,
}

/// All delegations.
#[derive(Debug, Default)]
pub(crate) struct Delegations {
    pub(crate) objects: Newest<Object>,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    named: HashMap<ObjectKey, Named>,
    by_parent: Multi<ObjectKey>,
    by_agent: Multi<ObjectKey>,
    by_owner: Multi<Arc<str>>,
    by_namespace: Multi<Arc<str>>,
    by_digest: HashMap<Digest, ObjectKey>,
    by_uid: HashMap<Arc<str>, ObjectKey>,
    /// Who used a `jti`, and until when nobody else may: also when its delegation is gone.
    used: HashMap<Jti, Used>,
}

/// A delegator's SPIFFE ID and the `jti` that it chose.
pub(crate) type Jti = (Arc<str>, Arc<str>);

#[derive(Debug, Clone)]
struct Used {
    uid: Arc<str>,
    key: ObjectKey,
    until: Timestamp,
}

/// A statement that doesn't count any more, though its time isn't up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) digest: Digest,
    pub(crate) expires: Timestamp,
    pub(crate) domain: Arc<str>,
}

/// What one delegation names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    uid: Arc<str>,
    delegator: Party,
    delegate: ObjectKey,
    parent: Option<ObjectKey>,
    granted: Option<Granted>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.facts.uid == other.facts.uid
    }
}

impl Versioned for Object {
    fn version(&self) -> &str {
        &self.version
    }
}

impl Mortal for Object {
    fn living(&self) -> Option<Uid> {
        let over = self.facts.completed.is_some();
        (!over).then(|| Uid::from(&*self.facts.uid))
    }
}

impl Object {
    /// Packs a delegation.
    pub(crate) fn of(mut object: Delegation) -> Self {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        object.metadata.labels = None;
        Self {
            version: object.resource_version().unwrap_or_default().into(),
            facts: Facts::of(&object),
            // What came as JSON goes as JSON.
            packed: serde_json::to_vec(&object).unwrap_or_default().into(),
        }
    }

    /// The delegation. `None` would be a bug here: what was packed can be read.
    pub(crate) fn unpack(&self) -> Option<Delegation> {
        serde_json::from_slice(&self.packed)
            .inspect_err(|why| {
                error!(
                    uid = &*self.facts.uid,
                    "can't read a packed delegation: {why}"
                )
            })
            .ok()
    }
}

impl Facts {
    /// The statement that it holds.
    pub(crate) fn granted(&self) -> Option<Granted> {
        Some(Granted {
            digest: self.digest?,
            expires: self.expires?,
            domain: self.domain.clone()?,
        })
    }

    fn of(object: &Delegation) -> Self {
        let (spec, status) = (&object.spec, object.status.as_ref());
        let namespace = object.namespace().unwrap_or_default();
        let key = |given: Option<&String>, name: &str| {
            ObjectKey::new(Some(given.unwrap_or(&namespace)), name)
        };
        let delegator = match (&spec.from.owner, &spec.from.agent) {
            (Some(owner), _) => Party::Owner(owner.name.as_str().into()),
            (None, Some(agent)) => Party::Agent(key(None, &agent.name)),
            (None, None) => Party::Owner("".into()), // the schema refuses it
        };
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let message = |kind: &str| {
            let mut all = conditions.iter();
            all.find(|it| it.type_ == kind && it.status == "True")
                .map(|it| it.message.as_str().into())
        };
        let uid = |uid: &str| -> Option<Box<str>> { Some(uid.into()) };
        let spiffe_id = status
            .and_then(|status| status.delegate.as_ref())
            .and_then(|delegate| delegate.spiffe_id.as_deref());
        Self {
            uid: object.uid().unwrap_or_default().into(),
            delegator,
            delegate: key(spec.to.namespace.as_ref(), &spec.to.name),
            parent: spec
                .parent_ref
                .as_ref()
                .map(|parent| key(parent.namespace.as_ref(), &parent.name)),
            latched: Latched {
                delegator: status
                    .and_then(|it| it.delegator.as_ref())
                    .and_then(|it| uid(&it.uid)),
                delegate: status
                    .and_then(|it| it.delegate.as_ref())
                    .and_then(|it| uid(&it.uid)),
                parent: status
                    .and_then(|it| it.parent.as_ref())
                    .and_then(|it| uid(&it.uid)),
            },
            revoked: spec.desired_state == DelegationState::Revoked,
            deleting: object.metadata.deletion_timestamp.is_some(),
            completed: message("Completed"),
            ready: is_true(conditions, "Ready"),
            held: message("Stalled").or_else(|| message("Reconciling")),
            digest: status
                .and_then(|status| status.digest.as_deref())
                .and_then(|digest| Digest::parse(digest).ok()),
            expires: status
                .and_then(|status| status.expiration_time.as_ref())
                .map(|time| time.0),
            domain: spiffe_id.and_then(domain_of),
            used: status
                .and_then(|status| status.digest.as_ref())
                .and(spec.statement.as_deref())
                .and_then(jti_of),
        }
    }
}

fn domain_of(spiffe_id: &str) -> Option<Arc<str>> {
    let (domain, _) = spiffe_id.strip_prefix("spiffe://")?.split_once('/')?;
    Some(domain.into())
}

/// Of a statement that was verified before it was countersigned, and until when it could be used
/// again.
fn jti_of(statement: &str) -> Option<(Jti, Timestamp)> {
    #[derive(serde::Deserialize)]
    struct Claims {
        iss: String,
        jti: String,
        exp: i64,
    }
    let payload = statement.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let until = Timestamp::from_second(claims.exp).ok()?;
    Some(((claims.iss.into(), claims.jti.into()), until))
}

impl Delegations {
    /// The newest that is known.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.objects.get(key)
    }

    /// Replaces what `key` names; `None` when it is gone. Gives the statement that it held before and
    /// doesn't hold now.
    pub(crate) fn link(&self, key: &ObjectKey, facts: Option<&Facts>) -> Option<Granted> {
        let named = facts.map(|facts| Named {
            uid: Arc::clone(&facts.uid),
            delegator: facts.delegator.clone(),
            delegate: facts.delegate.clone(),
            parent: facts.parent.clone(),
            granted: facts.granted(),
        });
        let mut tables = self.tables.lock();
        if let Some(facts) = facts
            && let Some((jti, until)) = &facts.used
        {
            let used = Used {
                uid: Arc::clone(&facts.uid),
                key: key.clone(),
                until: *until,
            };
            tables.used.entry(jti.clone()).or_insert(used);
        }
        if tables.named.get(key) == named.as_ref() {
            return None;
        }
        let old = tables.named.remove(key);
        if let Some(old) = &old {
            tables.unlink(key, old);
        }
        let held = named.as_ref().and_then(|named| named.granted.clone());
        if let Some(named) = named {
            tables.link(key, &named);
            tables.named.insert(key.clone(), named);
        }
        let lost = old.and_then(|old| old.granted);
        lost.filter(|lost| held.is_none_or(|held| held.digest != lost.digest))
    }

    /// Takes a `jti` for the delegation with this UID, for good; `Err` says who has it.
    pub(crate) fn take_jti(
        &self,
        delegator: &SpiffeId,
        jti: &str,
        (uid, key): (&str, &ObjectKey),
        until: Timestamp,
    ) -> Result<(), ObjectKey> {
        let jti = (Arc::from(delegator.as_str()), Arc::from(jti));
        let mut tables = self.tables.lock();
        let used = tables.used.entry(jti).or_insert_with(|| Used {
            uid: uid.into(),
            key: key.clone(),
            until,
        });
        if &*used.uid == uid {
            Ok(())
        } else {
            Err(used.key.clone())
        }
    }

    /// Forgets what nobody could use again.
    pub(crate) fn prune(&self, now: Timestamp) {
        self.tables.lock().used.retain(|_, used| used.until > now);
    }

    /// Those that hand `parent` on, directly.
    pub(crate) fn children(&self, parent: &ObjectKey) -> Vec<ObjectKey> {
        self.tables.lock().by_parent.get(parent)
    }

    /// All of `keys` and all that rest on them, each once. Below what was never countersigned only
    /// its children wait; and no chain is longer than may be countersigned.
    pub(crate) fn with_below(&self, keys: Vec<ObjectKey>) -> Vec<ObjectKey> {
        let tables = self.tables.lock();
        let mut known: HashSet<ObjectKey> = keys.iter().cloned().collect();
        let mut found = keys.clone();
        let mut level = keys;
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for parent in &level {
                for child in tables.by_parent.get(parent) {
                    if known.insert(child.clone()) {
                        found.push(child.clone());
                        let named = tables.named.get(&child);
                        if named.is_some_and(|named| named.granted.is_some()) {
                            next.push(child);
                        }
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        found
    }

    /// Those that an agent hands on or is given.
    pub(crate) fn of_agent(&self, agent: &ObjectKey) -> Vec<ObjectKey> {
        self.tables.lock().by_agent.get(agent)
    }

    /// The roots of an owner.
    pub(crate) fn of_owner(&self, owner: &str) -> Vec<ObjectKey> {
        self.tables.lock().by_owner.get(&owner.into())
    }

    /// Those whose delegate is in this namespace.
    pub(crate) fn of_namespace(&self, namespace: &str) -> Vec<ObjectKey> {
        self.tables.lock().by_namespace.get(&namespace.into())
    }

    /// The delegation with this UID.
    pub(crate) fn with_uid(&self, uid: &str) -> Option<ObjectKey> {
        self.tables.lock().by_uid.get(uid).cloned()
    }

    /// The delegation with this digest.
    pub(crate) fn with_digest(&self, digest: &Digest) -> Option<ObjectKey> {
        self.tables.lock().by_digest.get(digest).cloned()
    }
}

impl Tables {
    fn link(&mut self, key: &ObjectKey, named: &Named) {
        self.by_uid.insert(Arc::clone(&named.uid), key.clone());
        match &named.delegator {
            Party::Owner(owner) => self.by_owner.add(Arc::clone(owner), key),
            Party::Agent(agent) => self.by_agent.add(agent.clone(), key),
        }
        self.by_agent.add(named.delegate.clone(), key);
        let namespace = named.delegate.namespace.clone().unwrap_or_default();
        self.by_namespace.add(namespace, key);
        if let Some(parent) = &named.parent {
            self.by_parent.add(parent.clone(), key);
        }
        if let Some(granted) = &named.granted {
            self.by_digest.insert(granted.digest, key.clone());
        }
    }

    fn unlink(&mut self, key: &ObjectKey, named: &Named) {
        if self.by_uid.get(&named.uid) == Some(key) {
            self.by_uid.remove(&named.uid);
        }
        match &named.delegator {
            Party::Owner(owner) => self.by_owner.remove(owner, key),
            Party::Agent(agent) => self.by_agent.remove(agent, key),
        }
        self.by_agent.remove(&named.delegate, key);
        let namespace = named.delegate.namespace.clone().unwrap_or_default();
        self.by_namespace.remove(&namespace, key);
        if let Some(parent) = &named.parent {
            self.by_parent.remove(parent, key);
        }
        if let Some(granted) = &named.granted
            && self.by_digest.get(&granted.digest) == Some(key)
        {
            self.by_digest.remove(&granted.digest);
        }
    }
}
