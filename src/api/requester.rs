//! Who asked for an object.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;

/// The most groups that are kept of a user; those after it don't count.
pub const MAX_GROUPS: usize = 128;
/// The longest group, in characters, that is kept of a user; a longer one doesn't count.
pub const MAX_GROUP_LENGTH: usize = 256;

/// The user that the API server authenticated when the object was created. Stamped at admission,
/// whatever was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// The user's name, such as `alice@example.com` or `system:serviceaccount:finance:ci`.
    #[schemars(length(max = 1024))]
    pub username: String,
    /// The user's UID. Absent when the authenticator gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::MAX_UID))]
    pub uid: Option<String>,
    /// The user's groups: the first 128 of those that have at most 256 characters. Default: empty.
    #[serde(default)]
    #[schemars(length(max = MAX_GROUPS), inner(length(max = MAX_GROUP_LENGTH)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub groups: Vec<String>,
}
