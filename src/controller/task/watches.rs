//! One watch for each kind of task that is in use.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use countersign_runtime::{ObjectKey, Store, WatchMetrics, watch_into};
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::discovery::{Served, served};
use super::view::{Stands, TaskView};
use super::{KindKey, Kinds, Rule};
use crate::identity::{Refusal, TaskRef, TaskSeen, TaskState};

/// A watch that nobody needs ends after this long: the next task of its kind may be near.
const LINGER: Duration = Duration::from_secs(60);
/// How often what is in use is compared with what is watched.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// A kind that isn't installed is asked for again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How often a running watch is checked for its kind's being gone.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// While a watch fails for longer than this, what it has shown is no reason to renew anything …
const STALE: Duration = Duration::from_secs(10);
/// … and after this long people are told.
const TOLD_AFTER: Duration = Duration::from_secs(60);

/// All watches of tasks.
pub(crate) struct Watches {
    client: Client,
    kinds: Arc<Kinds>,
    watch_seconds: u32,
    metrics: WatchMetrics,
    running: Mutex<HashMap<KindKey, Arc<Watch>>>,
    changed: Notify,
    /// Told of each task that changed, and of a kind as a whole.
    told: Box<dyn Fn(Told<'_>) + Send + Sync>,
}

/// What somebody may want to look at again.
pub(crate) enum Told<'a> {
    Task(&'a KindKey, &'a ObjectKey),
    Kind(&'a KindKey),
}

/// A watch of one kind.
struct Watch {
    rules: Rule,
    /// Another one each time that the kind is installed: tasks don't outlive their kind.
    tasks: Mutex<Arc<Store<TaskView>>>,
    state: Mutex<State>,
    last_used: Mutex<Instant>,
    abort: Mutex<Option<AbortHandle>>,
}

/// How the watch fares.
#[derive(Debug, Clone)]
enum State {
    Starting,
    Watching(ApiResource),
    ClusterScoped,
    NotInstalled,
    Trouble(Refusal),
}

impl Watches {
    pub(crate) fn new(
        client: Client,
        kinds: Arc<Kinds>,
        watch_seconds: u32,
        metrics: WatchMetrics,
        told: impl Fn(Told<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            client,
            kinds,
            watch_seconds,
            metrics,
            running: Mutex::default(),
            changed: Notify::new(),
            told: Box::new(told),
        }
    }

    /// Looks at a task. The first look at a kind begins its watch.
    pub(crate) fn see(&self, namespace: &str, task: &TaskRef) -> TaskSeen {
        let kind = KindKey::new(&task.group, &task.resource);
        let watch = match self.watch(&kind) {
            Ok(watch) => watch,
            Err(why) => return TaskSeen::Refused(why),
        };
        if let Err(why) = &watch.rules {
            return TaskSeen::Unobservable(Refusal {
                reason: why.reason(),
                message: format!("the rules of TaskKind {kind} don't work: {why}"),
            });
        }
        let state = watch.state.lock().clone();
        match state {
            State::Starting => TaskSeen::NotYet,
            State::NotInstalled => TaskSeen::Missing,
            State::ClusterScoped => TaskSeen::Refused(Refusal {
                reason: "ClusterScopedTask",
                message: format!(
                    "{kind} is cluster-scoped: a task must be an object of the identity's own namespace"
                ),
            }),
            State::Trouble(why) => TaskSeen::Unobservable(why),
            State::Watching(_) => {
                let tasks = watch.tasks();
                if let Some(why) = forbidden(&kind, &tasks) {
                    return TaskSeen::Unobservable(why);
                }
                let key = ObjectKey::new(Some(namespace), &task.name);
                let seen = match tasks.get(&key) {
                    Some(view) => found(&kind, task, &view),
                    None if tasks.synced() => TaskSeen::Missing,
                    None => TaskSeen::NotYet,
                };
                match seen {
                    // That it was running once says nothing when nobody has looked since.
                    TaskSeen::Found {
                        state: TaskState::Running,
                        ..
                    } => stale(&kind, &tasks).unwrap_or(seen),
                    other => other,
                }
            }
        }
    }

    /// Asks the API server itself for the UID of a task that the watch doesn't show. `None`: there
    /// is none.
    pub(crate) async fn ask(
        &self,
        namespace: &str,
        task: &TaskRef,
    ) -> kube::Result<Option<String>> {
        let kind = KindKey::new(&task.group, &task.resource);
        let Some(resource) = self.resource(&kind) else {
            return Ok(None);
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = api.get_metadata_opt(&task.name).await?;
        Ok(found.and_then(|object| object.uid()))
    }

    /// Why a task can't be asked for.
    pub(crate) fn forbidden(&self, task: &TaskRef) -> Refusal {
        may_not_see(&KindKey::new(&task.group, &task.resource))
    }

    /// `apiVersion` and `kind` for an ownerReference.
    pub(crate) fn resource(&self, kind: &KindKey) -> Option<ApiResource> {
        let watch = self.running.lock().get(kind).cloned()?;
        let state = watch.state.lock();
        match &*state {
            State::Watching(resource) => Some(resource.clone()),
            _ => None,
        }
    }

    /// A TaskKind has changed.
    pub(crate) fn kinds_changed(&self) {
        self.changed.notify_one();
    }

    /// Starts and ends watches; returns only when one has panicked. `used` tells which kinds unfinished identities name.
    pub(crate) async fn run(self: Arc<Self>, used: impl Fn() -> HashSet<KindKey>) {
        let mut tasks = JoinSet::new();
        loop {
            self.tidy(&used(), &mut tasks);
            let _woken = timeout(TIDY_EVERY, self.changed.notified()).await;
            while let Some(ended) = tasks.try_join_next() {
                if ended.is_err_and(|why| why.is_panic()) {
                    warn!("a task watch panicked");
                    return; // and the process with it: a kind that nobody watches looks well
                }
            }
        }
    }

    fn watch(&self, kind: &KindKey) -> Result<Arc<Watch>, Refusal> {
        let mut running = self.running.lock();
        if let Some(watch) = running.get(kind) {
            return Ok(Arc::clone(watch));
        }
        let rules = self.kinds.rules(kind).ok_or_else(|| Refusal {
            reason: "UnknownTaskKind",
            message: format!(
                "{kind} is not a kind of task: an admin can make it one by a TaskKind of that name"
            ),
        })?;
        let watch = Arc::new(Watch {
            rules,
            tasks: Mutex::default(),
            state: Mutex::new(State::Starting),
            last_used: Mutex::new(Instant::now()),
            abort: Mutex::new(None),
        });
        running.insert(kind.clone(), Arc::clone(&watch));
        self.changed.notify_one();
        Ok(watch)
    }

    /// Starts what is new, ends what isn't used any more or has other rules now.
    fn tidy(self: &Arc<Self>, used: &HashSet<KindKey>, tasks: &mut JoinSet<()>) {
        let mut outdated = Vec::new();
        {
            let mut running = self.running.lock();
            running.retain(|kind, watch| {
                if used.contains(kind) {
                    *watch.last_used.lock() = Instant::now();
                }
                let rules = self.kinds.rules(kind);
                let same = rules.is_some_and(|rules| same_rules(&rules, &watch.rules));
                let keep = same && watch.last_used.lock().elapsed() < LINGER;
                if !keep {
                    if let Some(abort) = watch.abort.lock().take() {
                        abort.abort();
                    }
                    info!(kind = %kind, "task watch ended");
                    outdated.push(kind.clone());
                }
                keep
            });
            for (kind, watch) in running.iter() {
                let mut abort = watch.abort.lock();
                if abort.is_none() && watch.rules.is_ok() {
                    let (all, kind, watch) = (Arc::clone(self), kind.clone(), Arc::clone(watch));
                    info!(kind = %kind, "task watch started");
                    *abort = Some(tasks.spawn(async move { all.follow(&kind, &watch).await }));
                }
            }
        }
        for kind in outdated {
            (self.told)(Told::Kind(&kind));
        }
    }

    /// Follows one kind for ever: asks where it is served, watches it there, asks again when it is
    /// gone.
    async fn follow(&self, kind: &KindKey, watch: &Watch) {
        let Ok(rules) = &watch.rules else { return };
        let mut was_served = false;
        loop {
            let state = match served(&self.client, kind, rules.version()).await {
                Ok(Served::Yes {
                    resource,
                    namespaced: true,
                }) => State::Watching(resource),
                Ok(Served::Yes { .. }) => State::ClusterScoped,
                Ok(Served::Elsewhere(versions)) => State::Trouble(Refusal {
                    reason: "TaskVersionNotServed",
                    message: format!(
                        "{kind} is served as {}, not {}: change spec.version of TaskKind {kind}",
                        versions.join(", "),
                        rules.version()
                    ),
                }),
                // Its being gone ends every task of the kind: an API server that is just starting
                // is asked twice.
                Ok(Served::No) if was_served => {
                    was_served = false;
                    State::Starting
                }
                Ok(Served::No) => State::NotInstalled,
                Err(why) => State::Trouble(Refusal {
                    reason: "TaskUnobservable",
                    message: format!("can't ask the API server for {kind}: {why}"),
                }),
            };
            let resource = match &state {
                State::Watching(resource) => Some(resource.clone()),
                _ => None,
            };
            *watch.state.lock() = state;
            (self.told)(Told::Kind(kind));
            if let Some(resource) = resource {
                was_served = true;
                let tasks = watch.tasks();
                tokio::select! {
                    () = self.watch_kind(kind, watch, &resource) => {}
                    () = until_gone(&tasks) => {
                        info!(kind = %kind, "no longer served");
                        *watch.tasks.lock() = Arc::default();
                    }
                    () = self.tell_when_seen(kind, watch) => {}
                }
            }
            sleep(ASK_AGAIN).await;
        }
    }

    async fn watch_kind(&self, kind: &KindKey, watch: &Watch, resource: &ApiResource) {
        let Ok(rules) = &watch.rules else { return };
        let name = format!("task:{kind}");
        let changed = |key: &ObjectKey, _: Option<&Arc<TaskView>>, _: Option<&Arc<TaskView>>| {
            (self.told)(Told::Task(kind, key));
        };
        let (tasks, metrics) = (watch.tasks(), self.metrics.clone());
        let config = watcher::Config::default().timeout(self.watch_seconds);
        if rules.needs_object() {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
            let rules = Arc::clone(rules);
            let reduce = move |object| Some(TaskView::of(object, &rules));
            watch_into(&name, api, config, tasks, reduce, changed, metrics).await;
        } else {
            let api: Api<PartialObjectMeta<DynamicObject>> =
                Api::all_with(self.client.clone(), resource);
            let reduce = |object| Some(TaskView::of_metadata(&object));
            watch_into(&name, api, config, tasks, reduce, changed, metrics).await;
        }
    }

    /// What waited for the first list, or for the right to see it, looks again when that comes or
    /// goes. Never returns.
    async fn tell_when_seen(&self, kind: &KindKey, watch: &Watch) {
        let mut before = None;
        loop {
            let tasks = watch.tasks();
            let now = (
                tasks.synced(),
                forbidden(kind, &tasks).is_some(),
                stale(kind, &tasks).is_some(),
            );
            if before != Some(now) {
                (self.told)(Told::Kind(kind));
                before = Some(now);
            }
            let pause = if now.0 { CHECK_EVERY } else { CHECK_EVERY / 20 };
            sleep(pause).await;
        }
    }
}

impl Watch {
    fn tasks(&self) -> Arc<Store<TaskView>> {
        Arc::clone(&self.tasks.lock())
    }
}

/// Returns when the API server doesn't know the kind any more.
async fn until_gone(tasks: &Store<TaskView>) {
    loop {
        sleep(CHECK_EVERY).await;
        if tasks
            .trouble()
            .is_some_and(|trouble| trouble.code == Some(404))
        {
            return;
        }
    }
}

fn forbidden(kind: &KindKey, tasks: &Store<TaskView>) -> Option<Refusal> {
    let trouble = tasks.trouble()?;
    (trouble.code == Some(403)).then(|| may_not_see(kind))
}

fn may_not_see(kind: &KindKey) -> Refusal {
    Refusal {
        reason: "TaskForbidden",
        message: format!(
            "the operator may not see {kind}: give its ServiceAccount the verbs get, list and watch on resource {:?} of group {:?}",
            kind.resource, kind.group
        ),
    }
}

/// Is what the watch has shown too old to go by?
fn stale(kind: &KindKey, tasks: &Store<TaskView>) -> Option<TaskSeen> {
    let trouble = tasks.trouble()?;
    let age = trouble.since.elapsed();
    if age > TOLD_AFTER {
        Some(TaskSeen::Unobservable(Refusal {
            reason: "TaskUnobservable",
            message: format!("the watch of {kind} fails: {}", trouble.message),
        }))
    } else {
        (age > STALE).then_some(TaskSeen::NotYet)
    }
}

fn found(kind: &KindKey, task: &TaskRef, view: &TaskView) -> TaskSeen {
    let state = match &view.stands {
        Stands::Running => TaskState::Running,
        Stands::Succeeded => TaskState::Succeeded,
        Stands::Failed => TaskState::Failed,
        Stands::Deleting => TaskState::Deleting,
        Stands::Unknown(why) => {
            return TaskSeen::Unobservable(Refusal {
                reason: "TaskRuleError",
                message: format!("whether {kind}/{} is over can't be told: {why}", task.name),
            });
        }
    };
    TaskSeen::Found {
        uid: view.uid.to_string(),
        state,
    }
}

fn same_rules(a: &Rule, b: &Rule) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => Arc::ptr_eq(a, b),
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}
