//! What agents may do.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;

/// Actions on resources: each action on each resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// What may be done: verbs such as `read`. `*` stands for any.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 64), regex(pattern = bounds::ACTION))
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub actions: Vec<String>,
    /// On what it may be done: paths such as `ledger/invoices/*`. `*` stands for one segment, and as
    /// the last segment for one or more.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 256), regex(pattern = bounds::RESOURCE))
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resources: Vec<String>,
}
