//! Objects that refuse members that they don't have.
//!
//! The API server drops such members before anything sees them, CEL rules and admission policies
//! included, and a schema can't say `additionalProperties: false` beside `properties`. But an
//! object that keeps them (`x-kubernetes-preserve-unknown-fields`) may limit how many members it
//! has in all. So: for some set of its properties, it has all of them and no more members than
//! those. What is refused so says `Too many`, at the object.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

/// Closes a schema that keeps unknown members; leaves any other as it is. The alternatives double
/// with each optional property.
pub(crate) fn close(schema: &mut JSONSchemaProps) {
    if schema.x_kubernetes_preserve_unknown_fields != Some(true) {
        return;
    }
    let always = schema.required.clone().unwrap_or_default();
    let names = schema.properties.iter().flatten().map(|(name, _)| name);
    let optional = names.filter(|name| !always.contains(name));
    let mut sets = vec![always.clone()];
    for name in optional {
        let with = sets.iter().map(|set| {
            let mut set = set.clone();
            set.push(name.clone());
            set
        });
        let with: Vec<Vec<String>> = with.collect();
        sets.extend(with);
    }
    schema.any_of = Some(sets.into_iter().map(exactly).collect());
}

/// Has these members, and no others.
fn exactly(members: Vec<String>) -> JSONSchemaProps {
    JSONSchemaProps {
        max_properties: i64::try_from(members.len()).ok(),
        required: (!members.is_empty()).then_some(members),
        ..JSONSchemaProps::default()
    }
}
