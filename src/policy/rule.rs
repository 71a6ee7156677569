//! One policy, read and checked.

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};
use cedar_policy_core::ast;

use crate::index::{Axes, Key, TypeName};
use crate::source::Obligation;
use crate::verdict::PolicyName;

/// A policy as it is evaluated.
pub(crate) struct Rule {
    pub(crate) name: PolicyName,
    pub(crate) effect: Effect,
    /// Scope and conditions in one, built once: Cedar would build it anew for each request.
    pub(crate) condition: ast::Expr,
    pub(crate) axes: Axes,
    pub(crate) obligations: Box<[Obligation]>,
}

impl Rule {
    pub(crate) fn of(name: PolicyName, policy: &Policy, obligations: &[Obligation]) -> Self {
        Self {
            name,
            effect: policy.effect(),
            condition: AsRef::<ast::Policy>::as_ref(policy).condition(),
            axes: axes(policy),
            obligations: obligations.into(),
        }
    }
}

/// What a scope asks for. `is` asks for nothing: each axis has but one type.
fn axes(policy: &Policy) -> Axes {
    Axes {
        principal: match policy.principal_constraint() {
            PrincipalConstraint::In(uid)
            | PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::IsIn(_, uid) => key(&uid),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        },
        resource: match policy.resource_constraint() {
            ResourceConstraint::In(uid)
            | ResourceConstraint::Eq(uid)
            | ResourceConstraint::IsIn(_, uid) => key(&uid),
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        },
        actions: match policy.action_constraint() {
            ActionConstraint::Eq(uid) => key(&uid).map(|it| vec![it]),
            ActionConstraint::In(all) => all.iter().map(key).collect(),
            ActionConstraint::Any => None,
        },
    }
}

/// `None`, which stands for any entity, for one of a type that isn't known here: none passes
/// validation, but the index must not be narrower than a scope.
fn key(uid: &EntityUid) -> Option<Key> {
    let name = uid.type_name().to_string();
    let of = TypeName::ALL
        .into_iter()
        .find(|it| it.qualified() == name)?;
    Some(Key {
        of,
        id: uid.id().unescaped().into(),
    })
}
