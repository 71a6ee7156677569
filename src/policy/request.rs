//! A request, built once and asked for every agent of a chain.

use std::sync::{Arc, LazyLock};

use cedar_policy::Effect;
use cedar_policy_core::ast::{
    self, Context, Entity, EntityUID, EntityUIDEntry, Literal, SlotEnv, ValueKind,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use crate::context;
use crate::entity;
use crate::facts::{ContextFacts, ResourceFacts};
use crate::index::TypeName;
use crate::policy_set::PolicySet;
use crate::prepared::{KnownOwner, PreparedAgent};
use crate::rule::Rule;
use crate::source::Obligation;
use crate::verdict::{Kind, PolicyName, Verdict};
use crate::vocabulary::{ANY_ACTION, Vocabulary};

/// The longest path that policies are asked about, in bytes.
pub const MAX_PATH_BYTES: usize = 4_096;
/// The most collections that a resource is in.
pub const MAX_COLLECTIONS: usize = 64;

/// A policy has no slots: it is no template.
static NO_SLOTS: LazyLock<SlotEnv> = LazyLock::new(SlotEnv::new);

/// What is asked, of whichever agent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `None`: its facts can't be put to policies.
    asked: Option<Asked>,
}

#[derive(Debug, Clone)]
struct Asked {
    words: &'static Vocabulary,
    path: SmolStr,
    action: Arc<EntityUID>,
    resource: Arc<EntityUID>,
    context: Context,
    root: Option<KnownOwner>,
    /// Of the action, the resource, and the chain's root.
    entities: Entities,
}

/// What one policy says to a request.
enum Holds {
    Yes,
    No,
    Failed,
}

impl Request {
    /// Takes what is asked. `context.call.action` is `action`, whatever `context` says itself.
    ///
    /// Facts that can't be put to policies (a path beyond [`MAX_PATH_BYTES`] or in more than
    /// [`MAX_COLLECTIONS`], a time before our era) make every answer [`Kind::Failed`].
    pub fn prepare(action: &str, resource: &ResourceFacts, context: &ContextFacts) -> Self {
        Self {
            asked: Asked::of(action, resource, context),
        }
    }

    /// Asks all policies: default deny, forbid wins, and a forbid that fails denies.
    pub fn evaluate(&self, policies: &PolicySet, agent: &PreparedAgent) -> Verdict {
        self.asked
            .as_ref()
            .and_then(|it| it.evaluate(policies, agent))
            .unwrap_or_else(Verdict::unreadable)
    }
}

impl Asked {
    fn of(action: &str, resource: &ResourceFacts, context: &ContextFacts) -> Option<Self> {
        let words = Vocabulary::shipped()?;
        let path = SmolStr::from(&resource.path);
        if path.len() > MAX_PATH_BYTES || above(&path).nth(MAX_COLLECTIONS).is_some() {
            return None;
        }
        let action_entity = words.action(action);
        let resource_entity = of_resource(resource, &path, words)?;
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
        let context = context::of(context, action, root.as_ref().map(Entity::uid), words)?;
        let all = [
            Some(Arc::clone(action_entity)),
            Some(Arc::new(resource_entity)),
            root.map(Arc::new),
        ];
        Some(Self {
            words,
            path,
            action: Arc::new(action_entity.uid().clone()),
            resource,
            context,
            root: known,
            entities: with(Entities::new(), all.into_iter().flatten())?,
        })
    }

    fn evaluate(&self, policies: &PolicySet, agent: &PreparedAgent) -> Option<Verdict> {
        let action = [
            (TypeName::Action, self.action.eid().as_ref()),
            (TypeName::Action, ANY_ACTION),
        ];
        let resource: Vec<(TypeName, &str)> = [(TypeName::Resource, self.path.as_str())]
            .into_iter()
            .chain(above(&self.path).map(|it| (TypeName::Collection, it)))
            .collect();
        let lineage = agent.lineage();
        let candidates = policies.candidates(agent.namespace(), &lineage, &action, &resource);

        let (principal, more) = agent.entities(self.root.as_ref(), self.words)?;
        let entities = with(self.entities.clone(), more)?;
        let known = |euid| EntityUIDEntry::Known { euid, loc: None };
        let request = ast::Request::new_unchecked(
            known(principal),
            known(Arc::clone(&self.action)),
            known(Arc::clone(&self.resource)),
            Some(self.context.clone()),
        );
        let evaluator = Evaluator::new(request, &entities, Extensions::all_available());
        let mut tally = Tally::default();
        for entry in candidates {
            tally.add(&entry.rule, entry.audited, holds(&evaluator, &entry.rule));
        }
        Some(tally.verdict())
    }
}

/// Evaluates one policy in whose scope the request is.
fn holds(evaluator: &Evaluator<'_>, rule: &Rule) -> Holds {
    let Some(condition) = &rule.condition else {
        return Holds::Yes;
    };
    match evaluator.interpret(condition, &NO_SLOTS) {
        Ok(value) => match value.value_kind() {
            ValueKind::Lit(Literal::Bool(true)) => Holds::Yes,
            ValueKind::Lit(Literal::Bool(false)) => Holds::No,
            _ => Holds::Failed,
        },
        Err(_) => Holds::Failed,
    }
}

/// What policies said so far.
#[derive(Default)]
struct Tally<'a> {
    permits: Vec<&'a Rule>,
    forbids: Vec<&'a Rule>,
    failed_forbids: Vec<&'a Rule>,
    failed: Vec<PolicyName>,
    would_deny: Vec<PolicyName>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, rule: &'a Rule, audited: bool, holds: Holds) {
        match (audited, rule.effect, holds) {
            (_, _, Holds::No) | (true, Effect::Permit, _) => {}
            (true, Effect::Forbid, _) => self.would_deny.push(rule.name.clone()),
            (false, Effect::Permit, Holds::Yes) => self.permits.push(rule),
            (false, Effect::Forbid, Holds::Yes) => self.forbids.push(rule),
            (false, effect, Holds::Failed) => {
                self.failed.push(rule.name.clone());
                if effect == Effect::Forbid {
                    self.failed_forbids.push(rule);
                }
            }
        }
    }

    fn verdict(self) -> Verdict {
        let (kind, decided) = if !self.forbids.is_empty() {
            (Kind::Forbidden, self.forbids)
        } else if !self.failed_forbids.is_empty() {
            (Kind::Failed, self.failed_forbids)
        } else if !self.permits.is_empty() {
            (Kind::Permitted, self.permits)
        } else {
            (Kind::NoPermit, Vec::new())
        };
        let mut obligations: Vec<Obligation> = Vec::new();
        if kind != Kind::Failed {
            for obligation in decided.iter().flat_map(|it| &it.obligations) {
                if !obligations.contains(obligation) {
                    obligations.push(obligation.clone());
                }
            }
        }
        Verdict {
            allowed: kind == Kind::Permitted,
            kind,
            policies: decided.iter().map(|it| it.name.clone()).collect(),
            obligations,
            failed: self.failed,
            would_deny: self.would_deny,
        }
    }
}

/// The paths above a path, the longest first: `a/b` and `a` of `a/b/c`.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/')
        .filter(|(at, _)| *at > 0)
        .filter_map(|(at, _)| path.get(..at))
}

fn of_resource(facts: &ResourceFacts, path: &SmolStr, words: &Vocabulary) -> Option<Entity> {
    let tags: Vec<(SmolStr, SmolStr)> = facts
        .properties
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Some(entity::new(
        words.uid(TypeName::Resource, path.clone())?,
        [
            ("type", entity::text(&SmolStr::from(&facts.kind))),
            ("path", entity::text(path)),
            ("sensitivity", entity::long(facts.sensitivity as u64)),
            ("residency", entity::set(&facts.residency)),
        ],
        above(path)
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
