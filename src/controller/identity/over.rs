//! Is an identity over, for good?

use countersign_core::{End, Outcome};

use super::observed::{Desired, Observed, OwnerSeen, OwnerState, TaskSeen, TaskState};
use super::plan::{deadline, task_name};
use crate::retired::Before;

/// How it ended.
pub(crate) struct Over {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) task_uid: Option<String>,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Is it over, for good? What was recorded as over stays so, whatever the world says now.
pub(crate) fn over(seen: &Observed) -> Option<Over> {
    let recorded = &seen.recorded;
    if let Some((reason, message)) = &recorded.completed {
        return Some(Over {
            outcome: recorded.outcome,
            task_uid: recorded.task_uid.clone(),
            reason: reason.clone(),
            message: message.clone(),
        });
    }
    let over = |outcome, task_uid: Option<&String>, reason: &str, message: String| {
        Some(Over {
            outcome,
            task_uid: task_uid.or(recorded.task_uid.as_ref()).cloned(),
            reason: reason.to_owned(),
            message,
        })
    };
    if seen.before == Before::Ended {
        let message = "the audit log tells of its end: the cluster's state is of before, as after restoring etcd; what has ended doesn't come back, make a new identity".to_owned();
        return over(recorded.outcome, None, "EndedBefore", message);
    }
    let task = task_name(seen);
    if seen.identity.desired == Desired::Revoked {
        let message = "revoked by spec.desiredState, for good".to_owned();
        return over(recorded.outcome, None, "Revoked", message);
    }
    let end = |outcome: Outcome, uid, message| {
        over(Some(outcome), uid, End::Task(outcome).reason(), message)
    };
    let bound = recorded
        .task_uid
        .as_ref()
        .or(seen.identity.task.uid.as_ref());
    match &seen.task {
        TaskSeen::Missing if bound.is_some() => {
            return end(Outcome::Deleted, bound, format!("task {task} is gone"));
        }
        TaskSeen::Found { uid, .. } if bound.is_some_and(|bound| bound != uid) => {
            let message = format!("another object has the name of task {task}");
            return end(Outcome::Replaced, bound, message);
        }
        TaskSeen::Found { uid, state } => match state {
            TaskState::Running => {}
            TaskState::Succeeded => {
                return end(
                    Outcome::Succeeded,
                    Some(uid),
                    format!("task {task} succeeded"),
                );
            }
            TaskState::Failed => {
                return end(Outcome::Failed, Some(uid), format!("task {task} failed"));
            }
            TaskState::Deleting => {
                return end(
                    Outcome::Deleted,
                    Some(uid),
                    format!("task {task} is being deleted"),
                );
            }
        },
        _ => {}
    }
    if !seen.clock_off && deadline(seen).is_some_and(|deadline| deadline <= seen.now) {
        let message = "activeDeadlineSeconds from the first issue on are over".to_owned();
        return end(Outcome::DeadlineExceeded, None, message);
    }
    match &seen.owner {
        OwnerSeen::Found {
            state: OwnerState::Departed,
            ..
        } => {
            let message = format!("owner {} departed", seen.identity.owner);
            over(recorded.outcome, None, "OwnerDeparted", message)
        }
        _ => None,
    }
}
