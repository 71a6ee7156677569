//! One policy, read and checked.

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};
use cedar_policy_core::ast;

use crate::bare;
use crate::direct::{self, Test};
use crate::index::{Axes, Key, TypeName};
use crate::source::Obligation;
use crate::verdict::PolicyName;
use crate::vocabulary::ANY_ACTION;

/// A policy as it is evaluated.
pub(crate) struct Rule {
    pub(crate) name: PolicyName,
    pub(crate) effect: Effect,
    pub(crate) condition: Condition,
    pub(crate) axes: Axes,
    pub(crate) obligations: Box<[Obligation]>,
}

/// What must hold of a request that the index finds a policy for: its conditions, or scope and
/// conditions where the index is wider than its scope.
///
/// Built once; Cedar would build it anew for each request.
pub(crate) enum Condition {
    /// Nothing more.
    None,
    /// Read, and evaluated on the facts themselves.
    Direct(Test),
    /// Left to Cedar's evaluator.
    Whole(ast::Expr),
}

impl Rule {
    pub(crate) fn of(name: PolicyName, policy: &Policy, obligations: &[Obligation]) -> Self {
        let parsed: &ast::Policy = policy.as_ref();
        let (axes, condition) = match axes(policy) {
            Some(axes) => (axes, Condition::of(parsed.non_scope_constraints())),
            None => {
                let condition = bare::of(&parsed.condition());
                (Axes::default(), Condition::Whole(condition))
            }
        };
        Self {
            name,
            effect: policy.effect(),
            condition,
            axes,
            obligations: obligations.into(),
        }
    }
}

impl Condition {
    fn of(conditions: Option<&ast::Expr>) -> Self {
        match conditions {
            None => Self::None,
            Some(it) => match direct::read(it) {
                Some(test) => Self::Direct(test),
                None => Self::Whole(bare::of(it)),
            },
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

/// What a scope asks for, exactly; `None` if the index doesn't know how to: then it is a candidate
/// for every request, and evaluated in whole. No policy that passes validation is such a one.
fn axes(policy: &Policy) -> Option<Axes> {
    use TypeName::{Action, Agent, Resource};
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any => None,
        PrincipalConstraint::Is(of) => {
            is(&of, Agent)?;
            None
        }
        PrincipalConstraint::Eq(uid) => Some(key_of(&uid, Agent)?),
        PrincipalConstraint::In(uid) => Some(key(&uid)?),
        PrincipalConstraint::IsIn(of, uid) => {
            is(&of, Agent)?;
            Some(key(&uid)?)
        }
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any => None,
        ResourceConstraint::Is(of) => {
            is(&of, Resource)?;
            None
        }
        ResourceConstraint::Eq(uid) => Some(key_of(&uid, Resource)?),
        ResourceConstraint::In(uid) => Some(key(&uid)?),
        ResourceConstraint::IsIn(of, uid) => {
            is(&of, Resource)?;
            Some(key(&uid)?)
        }
    };
    let actions = match policy.action_constraint() {
        ActionConstraint::Any => None,
        // Every action is in this one, and none is it.
        ActionConstraint::Eq(uid) if uid.id().unescaped() == ANY_ACTION => Some(Vec::new()),
        ActionConstraint::Eq(uid) => Some(vec![key_of(&uid, Action)?]),
        ActionConstraint::In(all) => Some(
            all.iter()
                .map(|it| key_of(it, Action))
                .collect::<Option<_>>()?,
        ),
    };
    Some(Axes {
        principal,
        resource,
        actions,
    })
}

/// `Some` if it is this type.
fn is(of: &EntityTypeName, wanted: TypeName) -> Option<()> {
    (of.to_string() == wanted.qualified()).then_some(())
}

/// The entity, if it is of this type.
fn key_of(uid: &EntityUid, wanted: TypeName) -> Option<Key> {
    key(uid).filter(|it| it.of == wanted)
}

/// The entity, if its type is known.
fn key(uid: &EntityUid) -> Option<Key> {
    let of = TypeName::ALL
        .into_iter()
        .find(|it| is(uid.type_name(), *it).is_some())?;
    Some(Key {
        of,
        id: uid.id().unescaped().into(),
    })
}
