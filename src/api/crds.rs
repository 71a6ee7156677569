//! The CustomResourceDefinitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;
use serde_json::json;

use crate::closed::close;
use crate::{
    AgentIdentity, AgentOwner, AgentPolicy, ClusterAgentPolicy, Delegation, TaskKind, TrustDomain,
};

/// The definitions of all kinds.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut all = vec![
        AgentIdentity::crd(),
        AgentOwner::crd(),
        AgentPolicy::crd(),
        ClusterAgentPolicy::crd(),
        Delegation::crd(),
        TaskKind::crd(),
        TrustDomain::crd(),
    ];
    for crd in &mut all {
        let pending = matches!(
            crd.spec.names.kind.as_str(),
            "AgentIdentity"
                | "AgentPolicy"
                | "ClusterAgentPolicy"
                | "Delegation"
                | "TaskKind"
                | "TrustDomain"
        );
        crd.metadata.labels = Some(crate::manifests::labels());
        let versions = crd.spec.versions.iter_mut();
        let schemas = versions.filter_map(|version| version.schema.as_mut());
        for root in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(root);
            if pending {
                default_status(root);
            }
        }
    }
    all
}

/// An object that nobody has looked at says so, at no write. Tools that wait for a condition would
/// take an object without any for ready (kstatus).
fn default_status(root: &mut JSONSchemaProps) {
    let status = json!({
        "observedGeneration": 0,
        "conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "observedGeneration": 0,
            "reason": "Pending",
            "message": "nobody has looked at it yet",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }],
    });
    let properties = root.properties.iter_mut().flatten();
    for (_, property) in properties.filter(|(name, _)| *name == "status") {
        property.default = Some(JSON(status.clone()));
    }
}

/// What the derives leave: a null is pruned instead of kept, so that an optional field is there or
/// isn't, for CEL as for readers; a description is one paragraph; and what is to be closed is.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    close(schema);
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    let properties = schema.properties.iter_mut().flatten();
    properties.for_each(|(_, property)| tidy(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
