//! Pods by their metadata, of which little is kept: there may be a hundred thousand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;

/// What is kept of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    pub(crate) ending: bool,
    pub(crate) controller: Option<Controller>,
}

/// Who controls an object: of its owners the one that says so, of which the API server allows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Controller {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

pub(crate) fn reduce(metadata: ObjectMeta) -> Option<Seen> {
    Some(Seen {
        uid: metadata.uid?,
        ending: metadata.deletion_timestamp.is_some(),
        controller: controller(metadata.owner_references.unwrap_or_default()),
    })
}

pub(crate) fn controller(owners: Vec<OwnerReference>) -> Option<Controller> {
    let mut owners = owners.into_iter();
    let owner = owners.find(|it| it.controller == Some(true))?;
    Some(Controller {
        api_version: owner.api_version,
        kind: owner.kind,
        name: owner.name,
        uid: owner.uid,
    })
}
