//! What is applied to a cluster, as files.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Number, Value};

use crate::admission::policies;
use crate::crds::crds;

/// The first line of every file.
const HEADER: &str = "# generated: countersign crds\n";

/// File name and YAML of every definition and policy, one object a file, ready for
/// `kubectl apply --server-side -f <folder>` on an empty cluster.
#[must_use]
pub fn manifests() -> Vec<(String, String)> {
    let definitions = crds().into_iter().map(|crd| {
        let name = crd.metadata.name.as_deref().unwrap_or_default();
        (format!("{name}.yaml"), yaml(&crd))
    });
    let policies = policies().into_iter().map(|policy| {
        let kind = policy.kind().to_ascii_lowercase();
        (format!("{kind}.{}.yaml", policy.name()), yaml(&policy))
    });
    definitions.chain(policies).collect()
}

/// The labels of everything that ships.
pub(crate) fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(
        "app.kubernetes.io/part-of".to_owned(),
        "countersign".to_owned(),
    )])
}

/// An object as a YAML file. Empty only for what can't be JSON, which a test rules out.
fn yaml(object: &impl Serialize) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    whole_numbers(&mut value);
    // By name: whether serde_json keeps another order depends on who else is in the build.
    value.sort_all_objects();
    let body = serde_saphyr::to_string(&value).unwrap_or_default();
    format!("{HEADER}{body}")
}

/// Bounds are floats in the API's types: `300.0` reads as `300`.
fn whole_numbers(value: &mut Value) {
    /// Beyond, a float is no exact integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let float = number.as_f64().filter(|it| it.abs() < EXACT);
            if let Some(whole) = float.filter(|it| it.fract() == 0.0) {
                #[allow(clippy::cast_possible_truncation, reason = "whole and in bounds")]
                let integer = whole as i64;
                *number = Number::from(integer);
            }
        }
        _ => {}
    }
}
