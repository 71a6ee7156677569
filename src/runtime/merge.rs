//! The difference of two JSON documents as a merge patch (RFC 7396).

use serde_json::{Map, Value};

/// The smallest merge patch that turns `from` into `to`; `None` if they are equal, so that nothing
/// needs to be sent. Arrays are replaced as a whole.
///
/// RFC 7396 can't express a null that is to be stored: a null member within `to` means the same as
/// its absence, as it does for the API server.
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let patch = diff(from, to);
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (from != to).then(|| to.clone()),
    }
}

fn diff(from: &Map<String, Value>, to: &Map<String, Value>) -> Map<String, Value> {
    let gone = from
        .iter()
        .filter(|(name, value)| !value.is_null() && to.get(*name).is_none_or(Value::is_null))
        .map(|(name, _)| (name.clone(), Value::Null));
    let new = to
        .iter()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(name, value)| {
            let patch = match from.get(name) {
                Some(old) => merge_patch(old, value),
                None => Some(value.clone()),
            };
            patch.map(|patch| (name.clone(), patch))
        });
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The pseudocode of RFC 7396, section 2.
    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let target = target.as_object_mut().unwrap();
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                apply(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }

    /// Without null members of objects, which mean absence.
    fn pruned(value: &Value) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), pruned(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_leads_from_one_to_the_other(from in json_value(), to in json_value()) {
            match merge_patch(&from, &to) {
                Some(patch) => {
                    let mut patched = from.clone();
                    apply(&mut patched, &patch);
                    prop_assert_eq!(pruned(&patched), pruned(&to), "by {}", patch);
                }
                None => prop_assert_eq!(pruned(&from), pruned(&to)),
            }
        }

        #[test]
        fn equal_documents_need_no_patch(value in json_value()) {
            prop_assert_eq!(merge_patch(&value, &value), None);
        }
    }

    #[test]
    fn only_what_differs_is_in_the_patch() {
        let from = json!({"a": 1, "b": {"c": 1, "d": [1, 2]}, "e": 1});
        let to = json!({"a": 1, "b": {"c": 1, "d": [2]}, "f": {"h": 1}, "g": null});
        let patch = json!({"b": {"d": [2]}, "e": null, "f": {"h": 1}});
        assert_eq!(merge_patch(&from, &to), Some(patch));
    }
}
