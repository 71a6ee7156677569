//! Which identity a pod may have: a pure choice.
//!
//! An identity is for a pod of its own namespace
//! - by its task (`pods: Task`): the task's UID is the pod's own or among those of its controllers, and
//!   where the identity names a service account, the pod runs as it;
//! - by its service account alone (`pods: ServiceAccount`), which it has asked for.
//!
//! Of the tasks among a pod's controllers the nearest that has an identity decides: a Job's own goes
//! before that of the JobSet which made the Job. A name chooses among those that are for the pod, and
//! gives a right to none. What is over is passed by where something lives.

use std::sync::Arc;

use crate::feed::Seen;
use crate::feed::identity::{Pods, Standing};
use crate::{PodRef, Reason, Refused};

/// The choice, as far as it has got: first all that are for the pod by its service account, then
/// level by level those of its controllers.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pod: &'a PodRef,
    which: Option<&'a str>,
    living: Vec<Arc<Seen>>,
    /// The first that would have fitted, were it not over.
    over: Option<Arc<Seen>>,
    by_task: bool,
}

impl<'a> Choice<'a> {
    /// `which` names the identity, where the pod has several.
    pub(crate) fn new(pod: &'a PodRef, which: Option<&'a str>) -> Self {
        Self {
            pod,
            which,
            living: Vec::new(),
            over: None,
            by_task: false,
        }
    }

    /// Those that name the pod's service account.
    pub(crate) fn by_account(&mut self, identities: impl IntoIterator<Item = Arc<Seen>>) {
        for it in identities {
            let named = it.service_account.as_deref() == Some(&self.pod.service_account);
            if it.pods == Pods::ServiceAccount && named {
                self.consider(it);
            }
        }
    }

    /// Those whose task has this UID: first the pod's own, then those of its controllers, upwards. Is it the one
    /// that decides?
    pub(crate) fn by_task(
        &mut self,
        uid: &str,
        identities: impl IntoIterator<Item = Arc<Seen>>,
    ) -> bool {
        let before = self.living.len();
        for it in identities {
            let named = it.service_account.as_deref();
            let fits = named.is_none_or(|it| it == self.pod.service_account);
            if it.pods == Pods::Task && fits && it.task_uid.as_deref() == Some(uid) {
                self.consider(it);
            }
        }
        self.by_task = self.living.len() > before;
        self.by_task
    }

    fn consider(&mut self, it: Arc<Seen>) {
        if it.namespace != self.pod.namespace || self.which.is_some_and(|which| which != it.name) {
            return;
        }
        match it.standing {
            Standing::TaskOver(_) | Standing::Ended(_) => {
                self.over.get_or_insert(it);
            }
            _ => self.living.push(it),
        }
    }

    /// The one.
    ///
    /// # Errors
    /// None is, several are, or the one is over.
    pub(crate) fn made(self) -> Result<Arc<Seen>, Refused> {
        let Self {
            pod,
            which,
            mut living,
            over,
            ..
        } = self;
        match (living.len(), over) {
            (1, _) => living.pop().ok_or_else(|| none(pod, which)),
            (0, None) => Err(none(pod, which)),
            (0, Some(over)) => Err(match &over.standing {
                Standing::TaskOver(why) => refused(Reason::TaskOver, &over, why),
                Standing::Ended(why) => refused(Reason::IdentityEnded, &over, why),
                _ => none(pod, which),
            }),
            _ => {
                let mut names: Vec<_> = living.iter().map(|it| it.name.as_str()).collect();
                names.sort_unstable();
                names.truncate(8);
                Err(Refused {
                    reason: Reason::SeveralIdentities,
                    message: format!(
                        "several AgentIdentities are for this pod: name one of {}",
                        names.join(", ")
                    ),
                })
            }
        }
    }
}

/// May a certificate of it be issued, as far as its object says?
///
/// # Errors
/// What stands against it.
pub(crate) fn may_have(it: &Seen) -> Result<(), Refused> {
    match &it.standing {
        Standing::Active => Ok(()),
        Standing::NotReady(why) => Err(refused(Reason::NotReady, it, why)),
        Standing::Suspended(why) => Err(refused(Reason::IdentitySuspended, it, why)),
        Standing::TaskOver(why) => Err(refused(Reason::TaskOver, it, why)),
        Standing::Ended(why) => Err(refused(Reason::IdentityEnded, it, why)),
    }
}

pub(crate) fn refused(reason: Reason, it: &Seen, why: &str) -> Refused {
    Refused {
        reason,
        message: format!("AgentIdentity {}/{}: {why}", it.namespace, it.name),
    }
}

fn none(pod: &PodRef, which: Option<&str>) -> Refused {
    let message = match which {
        None => format!(
            "no AgentIdentity with delivery Workload is for pod {}/{}: one must name a task that controls the pod, or the pod's service account with pods: ServiceAccount",
            pod.namespace, pod.name
        ),
        Some(which) => format!(
            "no AgentIdentity {which:?} with delivery Workload is for pod {}/{}",
            pod.namespace, pod.name
        ),
    };
    Refused {
        reason: Reason::NoIdentity,
        message,
    }
}

#[cfg(test)]
#[path = "matching/tests.rs"]
mod tests;
