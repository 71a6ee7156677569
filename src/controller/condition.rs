//! Conditions as the Kubernetes API conventions have them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message that the API server takes.
const MAX_MESSAGE_CHARS: usize = 4096;

/// A condition that keeps the time of its last transition from `old` when its status is the same.
pub(crate) fn condition(
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    generation: i64,
    old: &[Condition],
    now: Timestamp,
) -> Condition {
    let status = if status { "True" } else { "False" };
    let before = old
        .iter()
        .find(|it| it.type_ == kind && it.status == status)
        .map(|it| it.last_transition_time.clone());
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.chars().take(MAX_MESSAGE_CHARS).collect(),
        observed_generation: Some(generation),
        last_transition_time: before.unwrap_or(Time(now)),
    }
}

/// Is `kind` True?
pub(crate) fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions
        .iter()
        .any(|it| it.type_ == kind && it.status == "True")
}
