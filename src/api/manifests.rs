//! What is applied to a cluster, as files.

use std::collections::BTreeMap;

/// File names and YAML of all objects.
#[must_use]
pub fn manifests() -> Vec<(String, String)> {
    Vec::new()
}

/// The labels of everything that ships.
pub(crate) fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(
        "app.kubernetes.io/part-of".to_owned(),
        "countersign".to_owned(),
    )])
}
