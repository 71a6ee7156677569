//! The objects that a command looks at, as they were listed.

use std::collections::BTreeMap;

use countersign_api::{AgentIdentity, AgentOwner, Delegation};
use kube::ResourceExt as _;

/// Owners, identities and delegations.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) owners: Vec<AgentOwner>,
    pub(crate) identities: Vec<AgentIdentity>,
    pub(crate) delegations: Vec<Delegation>,
}

/// The name of an object in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn of(object: &impl kube::ResourceExt) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The delegation above, if it isn't a root.
pub(crate) fn parent_of(delegation: &Delegation) -> Option<Key> {
    let parent = delegation.spec.parent_ref.as_ref()?;
    Some(named(delegation, parent))
}

/// Who gets it.
pub(crate) fn delegate_of(delegation: &Delegation) -> Key {
    named(delegation, &delegation.spec.to)
}

/// The agent that hands on; none at a root.
pub(crate) fn delegator_of(delegation: &Delegation) -> Option<Key> {
    let agent = delegation.spec.from.agent.as_ref()?;
    Some(Key {
        namespace: delegation.namespace().unwrap_or_default(),
        name: agent.name.clone(),
    })
}

fn named(delegation: &Delegation, reference: &countersign_api::NamespacedReference) -> Key {
    Key {
        namespace: reference
            .namespace
            .clone()
            .or_else(|| delegation.namespace())
            .unwrap_or_default(),
        name: reference.name.clone(),
    }
}

/// Is `child` below `parent`, the very object that it was below at the first look?
pub(crate) fn is_below(child: &Delegation, parent: &Delegation) -> bool {
    if parent_of(child) != Some(Key::of(parent)) {
        return false;
    }
    let latched = child.status.as_ref().and_then(|it| it.parent.as_ref());
    latched.is_none_or(|latched| Some(&latched.uid) == parent.metadata.uid.as_ref())
}

/// All below those that `is_first` names, transitively and themselves included, nearest first; each
/// once.
pub(crate) fn descendants(
    all: &[Delegation],
    is_first: impl Fn(&Delegation) -> bool,
) -> Vec<&Delegation> {
    let mut below: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (place, it) in all.iter().enumerate() {
        if let Some(parent) = parent_of(it) {
            below.entry(parent).or_default().push(place);
        }
    }
    let mut taken = vec![false; all.len()];
    let mut found: Vec<&Delegation> = Vec::new();
    for (it, taken) in all.iter().zip(&mut taken) {
        if is_first(it) {
            *taken = true;
            found.push(it);
        }
    }
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        for place in below.get(&Key::of(parent)).into_iter().flatten() {
            let (Some(child), Some(taken)) = (all.get(*place), taken.get_mut(*place)) else {
                continue;
            };
            if !*taken && is_below(child, parent) {
                *taken = true;
                found.push(child);
            }
        }
    }
    found
}
