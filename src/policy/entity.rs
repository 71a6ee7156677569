//! Builds Cedar's entities and values without a detour over text or JSON.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID, PartialValue, Value, ValueKind};
use smol_str::SmolStr;

/// An entity. `ancestors` are all of them, so that nothing is left to compute; that Cedar takes them for
/// parents makes no difference but that it looks there first.
pub(crate) fn new<const N: usize>(
    uid: EntityUID,
    attributes: [(&'static str, Value); N],
    ancestors: HashSet<EntityUID>,
    tags: &[(SmolStr, SmolStr)],
) -> Entity {
    Entity::new_with_attr_partial_value(
        uid,
        attributes
            .into_iter()
            .map(|(name, value)| (SmolStr::new_static(name), PartialValue::Value(value))),
        HashSet::new(),
        ancestors,
        tags.iter()
            .map(|(name, value)| (name.clone(), PartialValue::Value(text(value)))),
    )
}

/// For an entity that is in nothing.
pub(crate) fn no_parents() -> HashSet<EntityUID> {
    HashSet::new()
}

/// An owner.
pub(crate) fn owner(uid: EntityUID, of_type: &SmolStr) -> Entity {
    new(uid, [("type", text(of_type))], no_parents(), &[])
}

/// A string.
pub(crate) fn text(text: &SmolStr) -> Value {
    Value::from(text.clone())
}

/// A number, or Cedar's greatest if it is beyond: every comparison with a bound stays as it was.
pub(crate) fn long(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A set of strings.
pub(crate) fn set(texts: &[String]) -> Value {
    Value::set(texts.iter().map(|it| Value::from(SmolStr::from(it))), None)
}

/// A record.
pub(crate) fn record(members: Members) -> Value {
    Value {
        value: ValueKind::Record(Arc::new(members)),
        loc: None,
    }
}

/// What a record is made of.
pub(crate) type Members = BTreeMap<SmolStr, Value>;

/// Adds a member.
pub(crate) fn put(members: &mut Members, name: &'static str, value: Value) {
    members.insert(SmolStr::new_static(name), value);
}
