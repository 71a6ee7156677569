//! Finds the few policies that a request can concern among very many.
//!
//! ```text
//!  policies ──▶ tenancy: the cluster's, or one namespace's
//!                  └──▶ bucket: by the one entity of the scope that the fewest policies share
//!                          └──▶ the whole scope, by numbers instead of entities
//! ```
//!
//! It is exact: a policy is found if and only if the request is in its scope. Cedar evaluates the
//! scope before all conditions and it can't fail, so a policy that isn't found can be neither satisfied
//! nor fail, and of one that is found only the conditions are left to evaluate.

use std::collections::HashMap;

use crate::source::Scope;

/// The types of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TypeName {
    TrustDomain,
    Namespace,
    Fleet,
    Owner,
    Claimed,
    Agent,
    Collection,
    Resource,
    Action,
}

impl TypeName {
    pub(crate) const ALL: [Self; 9] = [
        Self::TrustDomain,
        Self::Namespace,
        Self::Fleet,
        Self::Owner,
        Self::Claimed,
        Self::Agent,
        Self::Collection,
        Self::Resource,
        Self::Action,
    ];

    /// As the schema has it.
    pub(crate) fn qualified(self) -> &'static str {
        match self {
            Self::TrustDomain => "Countersign::TrustDomain",
            Self::Namespace => "Countersign::Namespace",
            Self::Fleet => "Countersign::Fleet",
            Self::Owner => "Countersign::Owner",
            Self::Claimed => "Countersign::Claimed",
            Self::Agent => "Countersign::Agent",
            Self::Collection => "Countersign::Collection",
            Self::Resource => "Countersign::Resource",
            Self::Action => "Countersign::Action",
        }
    }
}

/// An entity that a scope names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) of: TypeName,
    pub(crate) id: Box<str>,
}

/// What a policy's scope asks for: a request is in it if for each axis the request's entity is, or
/// is in, the named one. Neither wider nor narrower than the scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Axes {
    /// `None`: any.
    pub(crate) principal: Option<Key>,
    /// `None`: any.
    pub(crate) resource: Option<Key>,
    /// One of these; `None`: any.
    pub(crate) actions: Option<Vec<Key>>,
}

/// An entity of a request, or an ancestor of one.
pub(crate) type Named<'a> = (TypeName, &'a str);

/// What of a request doesn't depend on the agent, in numbers.
#[derive(Debug)]
pub(crate) struct About {
    action: [Option<u32>; 2],
    resource: Vec<u32>,
    /// Those of the cluster's policies that aren't found by the agent, in whose scope action and
    /// resource are.
    common: Vec<u32>,
}

/// An index over policies, which it knows by their position.
#[derive(Debug, Default)]
pub(crate) struct Index {
    numbers: Numbers,
    /// By position.
    scopes: Vec<Numbered>,
    cluster: Tenancy,
    namespaces: HashMap<String, Tenancy>,
}

/// Entities that scopes name, numbered.
#[derive(Debug, Default)]
struct Numbers {
    /// In the order of [`TypeName::ALL`].
    by_type: [HashMap<Box<str>, u32>; TypeName::ALL.len()],
    next: u32,
}

/// [`Axes`] in numbers.
#[derive(Debug)]
struct Numbered {
    principal: Option<u32>,
    resource: Option<u32>,
    actions: Option<Box<[u32]>>,
}

/// The policies of the cluster, or of one namespace.
#[derive(Debug, Default)]
struct Tenancy {
    buckets: HashMap<u32, Vec<u32>>,
    /// Those whose scope names no entity.
    unscoped: Vec<u32>,
}

impl Index {
    /// Indexes policies, each at the position at which it comes.
    pub(crate) fn of<'a>(policies: impl IntoIterator<Item = (&'a Scope, &'a Axes)>) -> Self {
        let mut index = Self::default();
        let mut tenancies: HashMap<&Scope, Vec<u32>> = HashMap::new();
        for (position, (scope, axes)) in (0_u32..).zip(policies) {
            let numbered = index.numbers.of_axes(axes);
            index.scopes.push(numbered);
            tenancies.entry(scope).or_default().push(position);
        }
        for (scope, members) in tenancies {
            let tenancy = Tenancy::holding(&members, &index.scopes);
            match scope {
                Scope::Cluster => index.cluster = tenancy,
                Scope::Namespace(name) => {
                    index.namespaces.insert(name.clone(), tenancy);
                }
            }
        }
        index
    }

    /// What an action and a resource, each with its ancestors, have to do with policies.
    pub(crate) fn about<'a>(
        &self,
        action: [Named<'_>; 2],
        resource: impl Iterator<Item = Named<'a>>,
    ) -> About {
        let mut about = About {
            action: action.map(|it| self.numbers.of(it)),
            resource: resource.filter_map(|it| self.numbers.of(it)).collect(),
            common: Vec::new(),
        };
        let common = self.cluster.of(about.numbers());
        let common = common.chain(&self.cluster.unscoped).copied();
        about.common = common
            .filter(|it| self.scope(*it).is_some_and(|it| it.concerns(&about)))
            .collect();
        about
    }

    /// Finds the positions of all policies in whose scope a request of an agent of `namespace` is,
    /// in order.
    pub(crate) fn candidates<const N: usize>(
        &self,
        about: &About,
        namespace: &str,
        principal: [Named<'_>; N],
        found: &mut Vec<u32>,
    ) {
        let principal = principal.map(|it| self.numbers.of(it));
        let of_principal = |it: &u32| {
            let scope = self.scope(*it);
            scope.is_some_and(|it| it.principal.is_none_or(|it| principal.contains(&Some(it))))
        };
        let of_all =
            |it: &u32| of_principal(it) && self.scope(*it).is_some_and(|it| it.concerns(about));
        found.clear();
        found.extend(about.common.iter().copied().filter(of_principal));
        let by_principal = || principal.iter().flatten().copied();
        found.extend(self.cluster.of(by_principal()).copied().filter(of_all));
        if let Some(own) = self.namespaces.get(namespace) {
            let named = own.of(by_principal().chain(about.numbers()));
            found.extend(named.chain(&own.unscoped).copied().filter(of_all));
        }
        found.sort_unstable();
        // A policy whose scope lists several actions may be in several buckets.
        found.dedup();
    }

    fn scope(&self, position: u32) -> Option<&Numbered> {
        self.scopes.get(position as usize)
    }
}

impl About {
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let action = self.action.iter().flatten();
        self.resource.iter().chain(action).copied()
    }
}

impl Numbers {
    fn of_axes(&mut self, axes: &Axes) -> Numbered {
        Numbered {
            principal: axes.principal.as_ref().map(|it| self.add(it)),
            resource: axes.resource.as_ref().map(|it| self.add(it)),
            actions: axes
                .actions
                .as_ref()
                .map(|all| all.iter().map(|it| self.add(it)).collect()),
        }
    }

    fn add(&mut self, key: &Key) -> u32 {
        let Some(of_type) = self.by_type.get_mut(key.of as usize) else {
            return u32::MAX;
        };
        if let Some(number) = of_type.get(&key.id) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        of_type.insert(key.id.clone(), number);
        number
    }

    /// An entity's, if any scope names it.
    fn of(&self, (of, id): Named<'_>) -> Option<u32> {
        self.by_type.get(of as usize)?.get(id).copied()
    }
}

impl Tenancy {
    /// Those in the buckets of these entities.
    fn of(&self, numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = &u32> {
        let buckets = numbers.filter_map(|it| self.buckets.get(&it));
        buckets.flatten()
    }

    /// Puts each policy where the fewest others could be.
    fn holding(members: &[u32], scopes: &[Numbered]) -> Self {
        let with_scope = || {
            members
                .iter()
                .filter_map(|it| Some((*it, scopes.get(*it as usize)?)))
        };
        let mut shared: HashMap<u32, usize> = HashMap::new();
        for (_, scope) in with_scope() {
            for number in scope.ways().concat() {
                *shared.entry(number).or_default() += 1;
            }
        }
        let crowd = |way: &&[u32]| -> usize {
            way.iter()
                .map(|it| shared.get(it).copied().unwrap_or(0))
                .sum()
        };
        let mut tenancy = Self::default();
        for (position, scope) in with_scope() {
            match scope.ways().into_iter().min_by_key(crowd) {
                Some(way) => {
                    for number in way {
                        tenancy.buckets.entry(*number).or_default().push(position);
                    }
                }
                None => tenancy.unscoped.push(position),
            }
        }
        tenancy
    }
}

impl Numbered {
    /// Are action and resource in it?
    fn concerns(&self, about: &About) -> bool {
        let named = |all: &[u32]| all.iter().any(|it| about.action.contains(&Some(*it)));
        self.resource.is_none_or(|it| about.resource.contains(&it))
            && self.actions.as_deref().is_none_or(named)
    }

    /// For each axis that isn't open: the buckets that a policy must be in to be found by it.
    fn ways(&self) -> Vec<&[u32]> {
        [self.principal.as_slice(), self.resource.as_slice()]
            .into_iter()
            .filter(|it| !it.is_empty())
            .chain(self.actions.as_deref())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::TypeName;

    #[test]
    fn types_are_numbered_as_they_are_listed() {
        for (number, it) in TypeName::ALL.into_iter().enumerate() {
            assert_eq!(it as usize, number);
        }
    }
}
