//! Identities by what pods are found by, and those who wait for news of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::Seen;
use super::identity::Pods;

/// Identities by task and by service account.
#[derive(Debug, Default)]
pub(crate) struct Index(RwLock<Maps>);

#[derive(Debug, Default)]
struct Maps {
    /// By the task's UID.
    by_task: HashMap<String, Vec<Arc<Seen>>>,
    /// Those that the service account alone is enough for, by namespace and its name.
    by_account: HashMap<(String, String), Vec<Arc<Seen>>>,
    by_uid: HashMap<String, Arc<Seen>>,
    /// How many of each namespace are for pods of their tasks.
    for_tasks: HashMap<String, usize>,
}

impl Index {
    /// Those of the task with this UID.
    pub(crate) fn by_task(&self, uid: &str) -> Vec<Arc<Seen>> {
        self.0.read().by_task.get(uid).cloned().unwrap_or_default()
    }

    /// Those of a namespace that this service account alone is enough for.
    pub(crate) fn by_account(&self, namespace: &str, account: &str) -> Vec<Arc<Seen>> {
        let maps = self.0.read();
        if maps.by_account.is_empty() {
            return Vec::new();
        }
        let key = (namespace.to_owned(), account.to_owned());
        maps.by_account.get(&key).cloned().unwrap_or_default()
    }

    /// Is any of the namespace for pods of its task?
    pub(crate) fn any_for_tasks(&self, namespace: &str) -> bool {
        self.0.read().for_tasks.contains_key(namespace)
    }

    /// As it is now.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<Arc<Seen>> {
        self.0.read().by_uid.get(uid).cloned()
    }

    pub(super) fn change(&self, old: Option<&Arc<Seen>>, new: Option<&Arc<Seen>>) {
        let mut maps = self.0.write();
        if let Some(old) = old {
            maps.remove(old);
        }
        if let Some(new) = new {
            maps.insert(new);
        }
    }
}

impl Maps {
    fn insert(&mut self, it: &Arc<Seen>) {
        self.by_uid.insert(it.uid.clone(), Arc::clone(it));
        match (it.pods, &it.task_uid, &it.service_account) {
            (Pods::Task, task, _) => {
                *self.for_tasks.entry(it.namespace.clone()).or_default() += 1;
                if let Some(task) = task {
                    let those = self.by_task.entry(task.clone()).or_default();
                    those.push(Arc::clone(it));
                }
            }
            (Pods::ServiceAccount, _, Some(account)) => {
                let key = (it.namespace.clone(), account.clone());
                let those = self.by_account.entry(key).or_default();
                those.push(Arc::clone(it));
            }
            (Pods::ServiceAccount, _, None) => {} // the schema lets none in
        }
    }

    fn remove(&mut self, it: &Arc<Seen>) {
        self.by_uid.remove(&it.uid);
        match (it.pods, &it.task_uid, &it.service_account) {
            (Pods::Task, task, _) => {
                if let Some(count) = self.for_tasks.get_mut(&it.namespace) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.for_tasks.remove(&it.namespace);
                    }
                }
                if let Some(task) = task
                    && let Some(those) = self.by_task.get_mut(task)
                {
                    those.retain(|other| other.uid != it.uid);
                    if those.is_empty() {
                        self.by_task.remove(task);
                    }
                }
            }
            (Pods::ServiceAccount, _, Some(account)) => {
                let key = (it.namespace.clone(), account.clone());
                if let Some(those) = self.by_account.get_mut(&key) {
                    those.retain(|other| other.uid != it.uid);
                    if those.is_empty() {
                        self.by_account.remove(&key);
                    }
                }
            }
            (Pods::ServiceAccount, _, None) => {}
        }
    }
}

/// Who waits for news, by namespace: a change wakes those of its namespace only.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<String, watch::Sender<u64>>>);

impl Told {
    pub(super) fn subscribe(&self, namespace: &str) -> watch::Receiver<u64> {
        let mut all = self.0.lock();
        all.retain(|_, it| it.receiver_count() > 0);
        let sender = all
            .entry(namespace.to_owned())
            .or_insert_with(|| watch::Sender::new(0));
        sender.subscribe()
    }

    pub(super) fn tell(&self, namespace: &str) {
        if let Some(sender) = self.0.lock().get(namespace) {
            sender.send_modify(|it| *it = it.wrapping_add(1));
        }
    }

    pub(super) fn tell_all(&self) {
        for sender in self.0.lock().values() {
            sender.send_modify(|it| *it = it.wrapping_add(1));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use crate::feed::identity::tests::{Given, seen};

    #[test]
    fn what_is_gone_or_has_changed_is_found_by_nothing_that_it_was() {
        let given = Given {
            name: "a",
            namespace: "ns",
            task: Some("one"),
            account: Some("agent"),
            pods: Pods::Task,
            over: false,
        };
        let index = Index::default();
        let old = Arc::new(seen(&given));
        index.change(None, Some(&old));
        assert_eq!(index.by_task("one").len(), 1);
        assert!(index.any_for_tasks("ns"));
        assert!(index.by_account("ns", "agent").is_empty());
        let new = Arc::new(seen(&Given {
            task: Some("two"),
            ..given
        }));
        index.change(Some(&old), Some(&new));
        assert!(index.by_task("one").is_empty());
        assert_eq!(index.by_task("two").len(), 1);
        index.change(Some(&new), None);
        assert!(index.by_task("two").is_empty());
        assert!(!index.any_for_tasks("ns"));
        assert!(index.by_uid("uid").is_none());
        let by_account = Arc::new(seen(&Given {
            pods: Pods::ServiceAccount,
            ..given
        }));
        index.change(None, Some(&by_account));
        assert_eq!(index.by_account("ns", "agent").len(), 1);
        assert!(index.by_account("other", "agent").is_empty());
        index.change(Some(&by_account), None);
        assert!(index.by_account("ns", "agent").is_empty());
    }
}
