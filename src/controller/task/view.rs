//! What is kept of a task.

use std::sync::Arc;

use countersign_tasks::{Rules, Verdict};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, PartialObjectMeta};

use crate::uid::Uid;

/// A task in a few bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskView {
    pub(crate) uid: Uid,
    pub(crate) stands: Stands,
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stands {
    Running,
    Succeeded,
    Failed,
    Deleting,
    /// The rules gave no answer: why.
    Unknown(Arc<str>),
}

impl TaskView {
    /// Judges a whole object.
    pub(crate) fn of(object: DynamicObject, rules: &Rules) -> Self {
        let uid = object.uid().unwrap_or_default().as_str().into();
        let stands = if object.metadata.deletion_timestamp.is_some() {
            Stands::Deleting
        } else {
            judge(object, rules)
        };
        Self { uid, stands }
    }

    /// For kinds whose rules need no object: over when it is gone.
    pub(crate) fn of_metadata(object: &PartialObjectMeta<DynamicObject>) -> Self {
        let deleting = object.metadata.deletion_timestamp.is_some();
        Self {
            uid: object.uid().unwrap_or_default().as_str().into(),
            stands: if deleting {
                Stands::Deleting
            } else {
                Stands::Running
            },
        }
    }
}

fn judge(object: DynamicObject, rules: &Rules) -> Stands {
    let value = match serde_json::to_value(object) {
        Ok(value) => value,
        Err(why) => return Stands::Unknown(why.to_string().into()),
    };
    match rules.judge(&value) {
        Verdict::Running => Stands::Running,
        Verdict::Succeeded => Stands::Succeeded,
        Verdict::Failed => Stands::Failed,
        Verdict::Unknown(why) => Stands::Unknown(why.to_string().into()),
    }
}
