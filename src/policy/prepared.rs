//! An agent, kept between requests.

use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID, Value};
use smol_str::SmolStr;

use crate::entity::{self, text};
use crate::facts::AgentFacts;
use crate::index::TypeName;
use crate::vocabulary::Vocabulary;

/// An agent's facts in a form that is small to keep (under a kibibyte for what agents usually are)
/// and fast to ask policies about. Cedar's own entities would be ten times as large; where a policy
/// needs them they are built of it for that request, which takes a microsecond or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedAgent {
    spiffe_id: SmolStr,
    name: SmolStr,
    namespace: SmolStr,
    trust_domain: SmolStr,
    owner: SmolStr,
    owner_type: SmolStr,
    task: SmolStr,
    /// By name.
    claimed: Box<[(SmolStr, SmolStr)]>,
}

/// An owner that a request knows already: that of its chain's root.
#[derive(Debug, Clone)]
pub(crate) struct KnownOwner {
    pub(crate) name: SmolStr,
    pub(crate) of_type: SmolStr,
}

impl PreparedAgent {
    /// An agent. Call it again when its facts change.
    pub fn of(facts: &AgentFacts) -> Self {
        let AgentFacts {
            spiffe_id,
            name,
            namespace,
            trust_domain,
            owner,
            owner_type,
            task,
            claimed,
        } = facts;
        Self {
            spiffe_id: spiffe_id.into(),
            name: name.into(),
            namespace: namespace.into(),
            trust_domain: trust_domain.into(),
            owner: owner.into(),
            owner_type: owner_type.into(),
            task: task.into(),
            claimed: claimed
                .iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        }
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn spiffe_id(&self) -> &str {
        &self.spiffe_id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn task(&self) -> &str {
        &self.task
    }

    /// Its owner's name and type.
    pub(crate) fn owner(&self) -> (&str, &str) {
        (&self.owner, &self.owner_type)
    }

    /// What it claims under a name.
    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        let place = self
            .claimed
            .binary_search_by(|(key, _)| key.as_str().cmp(name));
        let (_, value) = self.claimed.get(place.ok()?)?;
        Some(value)
    }

    /// It and all that it is in: what the index looks for, and what [`Self::entities`] tells Cedar.
    pub(crate) fn lineage(&self) -> [(TypeName, &str); 4] {
        [
            (TypeName::Agent, &self.spiffe_id),
            (TypeName::Owner, &self.owner),
            (TypeName::Namespace, &self.namespace),
            (TypeName::TrustDomain, &self.trust_domain),
        ]
    }

    /// Its id; and it, its claims, and its owner unless that is the one that is `known`.
    pub(crate) fn entities(
        &self,
        known: Option<&KnownOwner>,
        words: &Vocabulary,
    ) -> Option<(Arc<EntityUID>, impl Iterator<Item = Arc<Entity>> + use<>)> {
        let uid = words.uid(TypeName::Agent, self.spiffe_id.clone())?;
        let owner = words.uid(TypeName::Owner, self.owner.clone())?;
        let claimed = words.uid(TypeName::Claimed, self.spiffe_id.clone())?;
        let [_, ancestors @ ..] = self.lineage();
        let agent = entity::new(
            uid.clone(),
            [
                ("name", text(&self.name)),
                ("namespace", text(&self.namespace)),
                ("spiffeID", text(&self.spiffe_id)),
                ("task", text(&self.task)),
                ("owner", Value::from(owner.clone())),
                ("claimed", Value::from(claimed.clone())),
            ],
            ancestors
                .into_iter()
                .map(|(of, id)| words.uid(of, id))
                .collect::<Option<_>>()?,
            &[],
        );
        let owner =
            if known.is_some_and(|it| it.name == self.owner && it.of_type == self.owner_type) {
                None
            } else {
                Some(Arc::new(entity::owner(owner, &self.owner_type)))
            };
        let claimed = entity::new(claimed, [], entity::no_parents(), &self.claimed);
        let all = [Some(Arc::new(agent)), Some(Arc::new(claimed)), owner];
        Some((Arc::new(uid), all.into_iter().flatten()))
    }
}
