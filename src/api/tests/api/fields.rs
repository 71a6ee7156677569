//! Walks the schemas.

use countersign_api::crds;
use serde_json::Value;

/// A field of a kind.
pub(crate) struct Field {
    pub(crate) kind: String,
    /// Names from the root on; `0` for an item of a list, `*` for a value of a map.
    pub(crate) path: Vec<String>,
    pub(crate) schema: Value,
}

impl Field {
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.kind, self.path.join("."))
    }

    pub(crate) fn is_item(&self) -> bool {
        matches!(self.path.last().map(String::as_str), Some("0" | "*"))
    }
}

/// All fields below `spec` and `status` of all kinds, those two included.
pub(crate) fn fields() -> Vec<Field> {
    let mut all = Vec::new();
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        assert_eq!(crd.spec.versions.len(), 1, "{kind}");
        let schema = crd.spec.versions[0].schema.as_ref().unwrap();
        let root = serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap();
        for part in ["spec", "status"] {
            let path = vec![part.to_owned()];
            walk(&kind, path, &root["properties"][part], &mut all);
        }
    }
    all
}

fn walk(kind: &str, path: Vec<String>, schema: &Value, all: &mut Vec<Field>) {
    let below = |name: &str| [path.as_slice(), &[name.to_owned()]].concat();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(kind, below(name), property, all);
    }
    if schema["items"].is_object() {
        walk(kind, below("0"), &schema["items"], all);
    }
    if schema["additionalProperties"].is_object() {
        walk(kind, below("*"), &schema["additionalProperties"], all);
    }
    all.push(Field {
        kind: kind.to_owned(),
        path,
        schema: schema.clone(),
    });
}
