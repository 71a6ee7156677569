//! TaskKind: which resources are tasks, and when one is over.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{bounds, schema};

/// How to tell that a task of this kind is over.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "countersign.dev",
    version = "v1alpha1",
    kind = "TaskKind",
    plural = "taskkinds",
    singular = "taskkind",
    shortname = "tkind",
    category = "countersign",
    status = "TaskKindStatus",
    derive = "PartialEq",
    doc = "TaskKind makes a resource a task and tells when one is over. It is named `<plural>.<group>`, or `<plural>` for the core group, and overrides the kind of that name that is compiled in.",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version", description = "The API version that is read"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "The rules compile"),
    printcolumn(name = "Reason", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why they do or not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.]|$)')")
        .message("`metadata.name` must be <plural>.<group>, or <plural> for the core group"),
    validation = Rule::new("!self.metadata.name.endsWith('.countersign.dev')")
        .message("`metadata.name` must not be of the group countersign.dev: an identity can't live for an identity"),
    validation = Rule::new("!(self.metadata.name in ['bindings', 'componentstatuses', 'configmaps', 'endpoints', 'events', 'limitranges', 'namespaces', 'nodes', 'persistentvolumes', 'podtemplates', 'resourcequotas', 'secrets', 'serviceaccounts'])")
        .message("`metadata.name` must be a resource that ends: this one of the core group is no task"),
    validation = Rule::new("!['rbac.authorization.k8s.io', 'events.k8s.io', 'admissionregistration.k8s.io', 'apiextensions.k8s.io', 'coordination.k8s.io'].exists(group, self.metadata.name.endsWith('.' + group))")
        .message("`metadata.name` must be a resource that ends: those of this group are no tasks")
)]
#[serde(rename_all = "camelCase")]
pub struct TaskKindSpec {
    /// The API version that the rules are written for, such as `v1`. May be changed.
    #[schemars(length(min = 2, max = bounds::MAX_LABEL), regex(pattern = bounds::API_VERSION))]
    pub version: String,
    /// The task is over, and well: a CEL expression of at most 2048 characters over `object`, the
    /// task's object. A missing key counts as false; with a rule that errs, nothing is issued.
    /// Default: `false`. May be changed.
    #[serde(default = "never")]
    #[schemars(length(min = 1, max = 2048))]
    pub succeeded: String,
    /// The task is over, and not well: as `succeeded`, and asked before it. Default: `false`. May be
    /// changed.
    #[serde(default = "never")]
    #[schemars(length(min = 1, max = 2048))]
    pub failed: String,
}

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskKindStatus {
    /// The `metadata.generation` that this status was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = bounds::MAX_EXACT_INTEGER))]
    pub observed_generation: Option<i64>,
    /// `Ready`: the rules compile, or why they don't.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// The rule of what doesn't happen.
fn never() -> String {
    "false".to_owned()
}
