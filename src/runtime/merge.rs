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
