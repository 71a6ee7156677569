//! Tasks of which none may end.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

/// Runs tasks until one ends, which ends all, or until it is told to stop.
///
/// A task that dies unseen leaves a process that looks well and does half of its work. So there
/// are no detached tasks: whatever runs on its own is in here, and the process ends with it.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<String>,
    names: HashMap<Id, Named>,
    grace: Duration,
    stop: watch::Sender<bool>,
}

/// Tells a task that it should come to its end.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

/// A task ended that should have run for ever.
#[derive(Debug, thiserror::Error)]
#[error("task {name} ended: {how}")]
pub struct TaskEnded {
    /// The name that it was started under.
    pub name: String,
    /// What it returned, or the message of its panic.
    pub how: String,
}

#[derive(Debug)]
struct Named {
    name: String,
    graceful: bool,
}

impl Supervisor {
    /// A supervisor that gives graceful tasks `grace` to end when it stops.
    pub fn new(grace: Duration) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            grace,
            stop: watch::Sender::new(false),
        }
    }

    /// Starts a task that runs until the end of all and may be dropped at any await: a watch, a
    /// server. Must be called within a tokio runtime.
    pub fn spawn<F>(&mut self, name: impl Into<String>, future: F)
    where
        F: Future<Output: Debug> + Send + 'static,
    {
        self.start(name.into(), false, future);
    }

    /// Starts a task that is given time to end well: it is told by [`Stopping`], must then end
    /// by itself, and the tasks of [`Supervisor::spawn`] run on until it has.
    pub fn spawn_graceful<F>(&mut self, name: impl Into<String>, future: impl FnOnce(Stopping) -> F)
    where
        F: Future<Output: Debug> + Send + 'static,
    {
        let stopping = Stopping(self.stop.subscribe());
        self.start(name.into(), true, future(stopping));
    }

    fn start<F>(&mut self, name: String, graceful: bool, future: F)
    where
        F: Future<Output: Debug> + Send + 'static,
    {
        let handle = self
            .tasks
            .spawn(async move { format!("{:?}", future.await) });
        self.names.insert(handle.id(), Named { name, graceful });
    }

    /// Runs until `stop` is done, then stops: graceful tasks end first, within the grace, then all
    /// others are dropped. When this returns no task runs any more, unless one blocks its thread.
    ///
    /// # Errors
    /// A task ended or panicked before the stop, or a graceful one panicked after it; the others
    /// are dropped at once. Tasks that don't end in time are dropped and logged.
    pub async fn run_until(mut self, stop: impl Future) -> Result<(), TaskEnded> {
        let ended = tokio::select! {
            ended = self.first_end() => Err(ended),
            _ = stop => self.end_gracefully().await,
        };
        self.tasks.abort_all();
        if timeout(self.grace, self.tasks.shutdown()).await.is_err() {
            tracing::warn!("a task blocks its thread and was left behind");
        }
        ended
    }

    /// Never done while there is no task.
    async fn first_end(&mut self) -> TaskEnded {
        match self.tasks.join_next_with_id().await {
            Some(joined) => self.named(joined).1,
            None => std::future::pending().await,
        }
    }

    async fn end_gracefully(&mut self) -> Result<(), TaskEnded> {
        self.stop.send_replace(true);
        let deadline = tokio::time::sleep(self.grace);
        tokio::pin!(deadline);
        while self.names.values().any(|named| named.graceful) {
            tokio::select! {
                Some(joined) = self.tasks.join_next_with_id() => {
                    let panicked = joined.is_err();
                    let (named, ended) = self.named(joined);
                    if panicked || !named.graceful {
                        return Err(ended);
                    }
                }
                () = &mut deadline => {
                    let late = self.names.values().filter(|named| named.graceful);
                    for Named { name, .. } in late {
                        tracing::warn!(task = name, "a task didn't end in time and is dropped");
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn named(&mut self, joined: Result<(Id, String), JoinError>) -> (Named, TaskEnded) {
        let (id, how) = match joined {
            Ok((id, output)) => (id, format!("it returned {output}")),
            Err(error) => (error.id(), error.to_string()),
        };
        let named = self.names.remove(&id).unwrap_or_else(|| Named {
            name: "unknown".to_owned(),
            graceful: false,
        });
        let name = named.name.clone();
        (named, TaskEnded { name, how })
    }
}

impl Stopping {
    /// Whether it is time to end.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is time to end.
    pub async fn stopped(&mut self) {
        // The sender is gone only when the supervisor is, and then it is time as well.
        let _gone = self.0.wait_for(|stopping| *stopping).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn with_one_that_runs() -> Supervisor {
        let mut supervisor = Supervisor::new(GRACE);
        supervisor.spawn("runs", pending::<()>());
        supervisor
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_ends_all() {
        let mut supervisor = with_one_that_runs();
        supervisor.spawn("ends", async { Err::<(), _>("no more") });
        let ended = supervisor.run_until(pending::<()>()).await.unwrap_err();
        assert_eq!(
            ended.to_string(),
            "task ends ended: it returned Err(\"no more\")"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_all_and_is_told() {
        let mut supervisor = with_one_that_runs();
        supervisor.spawn("falls", async {
            sleep(Duration::from_secs(1)).await;
            panic!("on its nose")
        });
        let ended = supervisor.run_until(pending::<()>()).await.unwrap_err();
        assert!(ended.how.contains("on its nose"), "{ended}");
    }

    #[tokio::test(start_paused = true)]
    async fn at_a_stop_graceful_tasks_end_while_the_others_still_run() {
        let mut supervisor = Supervisor::new(GRACE);
        let running = Arc::new(AtomicBool::new(true));
        let ran_on = Arc::new(AtomicBool::new(false));
        let guard = DropFlag(Arc::clone(&running));
        supervisor.spawn("runs", async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let seen = (Arc::clone(&running), Arc::clone(&ran_on));
        supervisor.spawn_graceful("graceful", |mut stopping| async move {
            stopping.stopped().await;
            sleep(Duration::from_secs(2)).await;
            seen.1
                .store(seen.0.load(Ordering::SeqCst), Ordering::SeqCst);
        });
        let start = Instant::now();
        let stop = sleep(Duration::from_secs(1));
        supervisor.run_until(stop).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 3);
        assert!(ran_on.load(Ordering::SeqCst));
        assert!(!running.load(Ordering::SeqCst), "left behind");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_in_time_is_dropped() {
        let mut supervisor = with_one_that_runs();
        supervisor.spawn_graceful("deaf", |_| pending::<()>());
        let start = Instant::now();
        supervisor.run_until(async {}).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), GRACE.as_secs());
    }

    struct DropFlag(Arc<AtomicBool>);

    impl Drop for DropFlag {
        fn drop(&mut self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }
}
