//! A request as entities and values of Cedar's own, for conditions that aren't read directly.

use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{
    self, Context, Entity, EntityUID, EntityUIDEntry, Expr, Literal, SlotEnv, ValueKind,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use crate::context;
use crate::direct::Failed;
use crate::entity;
use crate::facts::{ContextFacts, ResourceFacts};
use crate::index::TypeName;
use crate::prepared::{KnownOwner, PreparedAgent};
use crate::request::above;
use crate::vocabulary::Vocabulary;

/// A policy has no slots: it is no template.
static NO_SLOTS: LazyLock<SlotEnv> = LazyLock::new(SlotEnv::new);

/// All of it but the agent.
#[derive(Debug)]
pub(crate) struct Whole {
    words: &'static Vocabulary,
    action: Arc<EntityUID>,
    resource: Arc<EntityUID>,
    context: Context,
    root: Option<KnownOwner>,
    /// Of the action, the resource, and the chain's root.
    entities: Entities,
}

/// With an agent.
pub(crate) struct OfAgent {
    request: ast::Request,
    entities: Entities,
}

impl Whole {
    pub(crate) fn of(
        verb: &str,
        resource: &ResourceFacts,
        context: &ContextFacts,
        words: &'static Vocabulary,
    ) -> Option<Self> {
        let action_entity = words.action(verb);
        let resource_entity = of_resource(resource, words)?;
        let resource = Arc::new(resource_entity.uid().clone());
        let known = context.delegation.as_ref().map(|it| KnownOwner {
            name: SmolStr::from(&it.root_owner),
            of_type: SmolStr::from(&it.root_owner_type),
        });
        let root = match &known {
            None => None,
            Some(it) => {
                let uid = words.uid(TypeName::Owner, it.name.clone())?;
                Some(entity::owner(uid, &it.of_type))
            }
        };
        let context = context::of(context, verb, root.as_ref().map(Entity::uid), words)?;
        let all = [
            Some(Arc::clone(action_entity)),
            Some(Arc::new(resource_entity)),
            root.map(Arc::new),
        ];
        Some(Self {
            words,
            action: Arc::new(action_entity.uid().clone()),
            resource,
            context,
            root: known,
            entities: with(Entities::new(), all.into_iter().flatten())?,
        })
    }

    /// With an agent; `None` if they contradict each other.
    pub(crate) fn with(&self, agent: &PreparedAgent) -> Option<OfAgent> {
        let (principal, more) = agent.entities(self.root.as_ref(), self.words)?;
        let known = |euid| EntityUIDEntry::Known { euid, loc: None };
        let request = ast::Request::new_unchecked(
            known(principal),
            known(Arc::clone(&self.action)),
            known(Arc::clone(&self.resource)),
            Some(self.context.clone()),
        );
        Some(OfAgent {
            request,
            entities: with(self.entities.clone(), more)?,
        })
    }
}

impl OfAgent {
    /// What evaluates conditions.
    pub(crate) fn evaluator(&self) -> Evaluator<'_> {
        let extensions = Extensions::all_available();
        Evaluator::new(self.request.clone(), &self.entities, extensions)
    }
}

/// Does a condition hold?
pub(crate) fn holds(evaluator: &Evaluator<'_>, condition: &Expr) -> Result<bool, Failed> {
    match evaluator.interpret(condition, &NO_SLOTS) {
        Ok(value) => match value.value_kind() {
            ValueKind::Lit(Literal::Bool(it)) => Ok(*it),
            _ => Err(Failed),
        },
        Err(_) => Err(Failed),
    }
}

fn of_resource(facts: &ResourceFacts, words: &Vocabulary) -> Option<Entity> {
    let path = SmolStr::from(&facts.path);
    let tags: Vec<(SmolStr, SmolStr)> = facts
        .properties
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Some(entity::new(
        words.uid(TypeName::Resource, path.clone())?,
        [
            ("type", entity::text(&SmolStr::from(&facts.kind))),
            ("path", entity::text(&path)),
            ("sensitivity", entity::long(facts.sensitivity as u64)),
            ("residency", entity::set(&facts.residency)),
        ],
        above(&path)
            .map(|it| words.uid(TypeName::Collection, it))
            .collect::<Option<_>>()?,
        &tags,
    ))
}

/// Adds entities whose ancestors are complete. `None` if two of one id differ.
fn with(entities: Entities, more: impl IntoIterator<Item = Arc<Entity>>) -> Option<Entities> {
    entities
        .add_entities(
            more,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .ok()
}
