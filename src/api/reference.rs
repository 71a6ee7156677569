//! References by name.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;

/// A reference to an object by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The object's name.
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub name: String,
}

/// A reference to an object of a namespace by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedReference {
    /// The object's name.
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub name: String,
    /// The object's namespace. Default: absent, that of the referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_LABEL), regex(pattern = bounds::DNS_LABEL))]
    pub namespace: Option<String>,
}

/// A reference to a task: an object of any resource that a TaskKind describes, in the namespace of
/// the referrer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskReference {
    /// The API group of the task, such as `batch`. Default: empty, the core group.
    #[serde(default)]
    #[schemars(length(max = bounds::MAX_NAME), regex(pattern = bounds::API_GROUP))]
    pub group: String,
    /// The resource of the task: the plural name, such as `jobs`.
    #[schemars(length(min = 1, max = bounds::MAX_LABEL), regex(pattern = bounds::DNS_LABEL))]
    pub resource: String,
    /// The name of the task. It need not exist yet.
    #[schemars(length(min = 1, max = bounds::MAX_NAME), regex(pattern = bounds::DNS_SUBDOMAIN))]
    pub name: String,
    /// The UID of the task: with it, another task of the same name is refused. Default: absent, the
    /// first task of that name that is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::MAX_UID))]
    pub uid: Option<String>,
}
