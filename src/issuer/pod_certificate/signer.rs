//! Watches the requests and answers them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use countersign_runtime::{
    Clients, Clock, Leadership, NotLeader, ObjectKey, Outcome, Permit, Queue, Store, Supervisor,
    Urgency, WatchMetrics, WriteError, is_conflict, is_not_found, watch_into, within,
};
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::watcher::Config;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use super::answer::{Denial, Judged, judge};
use super::asked::{Asked, Pending};
use super::held::{Held, ToDo};
use super::metrics::PodCertificateMetrics;
use super::{SIGNER_NAME, issued, pod};
use crate::X509Desk;

/// Answers at a time: each waits for the API server and the audit log far longer than it computes.
const WORKERS: usize = 16;
/// For what may be a matter of order: an identity that is applied after its Job.
const PATIENCE: Duration = Duration::from_secs(60);
/// A status write that takes longer has failed; it may still happen.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Changes of identities wake those that wait, so often at most …
const WAKE_EVERY: Duration = Duration::from_millis(100);
/// … and no more often than this for each that waits: a hundred looks a second, each of which reads a
/// pod, however many wait and whatever changes.
const WAKE_SHARE: Duration = Duration::from_millis(10);

/// The signer. One replica of it answers at a time.
#[derive(Debug)]
pub struct PodCertificates<D> {
    desk: Arc<D>,
    clients: Clients,
    clock: Clock,
    leadership: Leadership,
    patience: Duration,
    metrics: PodCertificateMetrics,
    pending: Arc<Store<Pending>>,
    queue: Queue<ObjectKey>,
    held: Held,
}

/// An answer, and what is told of it.
struct Answer {
    status: PodCertificateRequestStatus,
    word: &'static str,
    reason: &'static str,
}

/// Why an answer isn't written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    #[error(transparent)]
    Failed(#[from] WriteError),
}

/// Why a look ends without one.
enum Open {
    /// An identity must change first, or so much time go by; with the word of the refusal.
    Wait(&'static str, Duration),
    /// Something doesn't work.
    Retry(&'static str),
    /// The pod couldn't be read.
    Unread(kube::Error),
}

impl<D: X509Desk> PodCertificates<D> {
    /// A signer that asks this desk. It answers once it was [started](Self::start), while it leads:
    /// by the lease [`LEASE`](super::LEASE), in whose election it takes part.
    pub fn new(
        desk: Arc<D>,
        clients: Clients,
        clock: Clock,
        leadership: Leadership,
        metrics: PodCertificateMetrics,
    ) -> Self {
        Self {
            desk,
            clients,
            clock,
            leadership,
            patience: PATIENCE,
            metrics,
            pending: Arc::new(Store::new()),
            queue: Queue::new(),
            held: Held::default(),
        }
    }

    /// For how long a request stays open whose pod has no identity, or several. A minute unless said
    /// otherwise.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts the watch and the workers. `watch_seconds` is the longest life of a watch.
    pub fn start(self, to: &mut Supervisor, watch_seconds: u32, watches: WatchMetrics) {
        let it = Arc::new(self);
        let watching = Arc::clone(&it);
        to.spawn("watch pod certificate requests", async move {
            watching.watch(watch_seconds, watches).await
        });
        let leadership = it.leadership.clone();
        to.spawn("lead among signers of pod certificates", leadership.run());
        let leading = Arc::clone(&it);
        to.spawn("begin to sign pod certificates", async move {
            leading.begin().await
        });
        let leaving = it.leadership.clone();
        to.spawn_graceful("give the signers' lease back", |mut stopping| async move {
            stopping.stopped().await;
            leaving.release().await;
        });
        let waking = Arc::clone(&it);
        to.spawn("wake pod certificate requests", async move {
            waking.wake().await
        });
        for number in 1..=WORKERS {
            let working = Arc::clone(&it);
            to.spawn(format!("sign pod certificates {number}"), async move {
                working.work().await
            });
        }
    }

    async fn watch(&self, watch_seconds: u32, watches: WatchMetrics) -> Infallible {
        let api: Api<PodCertificateRequest> = Api::all(self.clients.reads.clone());
        let ours = format!("spec.signerName={SIGNER_NAME}");
        let config = Config::default().fields(&ours).timeout(watch_seconds);
        let changed = |key: &ObjectKey, before: Option<&Arc<Pending>>, now: Option<&Arc<_>>| match (
            before, now,
        ) {
            (_, Some(_)) => self.push(key),
            (Some(gone), None) => {
                self.held.forget(&gone.uid);
                self.queue.forget(key);
            }
            (None, None) => {}
        };
        let store = Arc::clone(&self.pending);
        let name = "podcertificaterequests";
        watch_into(name, api, config, store, Pending::of, changed, watches).await
    }

    /// Has all that waits looked at again, whenever the desk may answer otherwise.
    async fn wake(&self) -> Infallible {
        let mut changes = self.desk.changes();
        while changes.changed().await.is_ok() {
            self.push_all();
            let waiting = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
            sleep(WAKE_EVERY.max(WAKE_SHARE.saturating_mul(waiting))).await;
        }
        // A desk that tells of no changes: retries alone find out.
        std::future::pending().await
    }

    /// Takes up what is open whenever this replica comes to lead.
    async fn begin(&self) -> Infallible {
        let mut changes = self.leadership.changes();
        loop {
            if *changes.borrow_and_update() {
                info!("signing pod certificates");
                self.push_all();
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await; // nobody can come to lead any more
            }
        }
    }

    fn push_all(&self) {
        for key in self.pending.keys() {
            self.push(&key);
        }
    }

    fn push(&self, key: &ObjectKey) {
        let lane = key.namespace.clone().unwrap_or_default();
        self.queue.push(key.clone(), lane, Urgency::Issue);
    }

    async fn work(&self) -> Infallible {
        loop {
            let key = self.queue.next().await;
            let outcome = self.look(&key).await;
            self.queue.done(&key, outcome);
        }
    }

    async fn look(&self, key: &ObjectKey) -> Outcome {
        let settled = Outcome::Settled { again: None };
        let again = Outcome::Failed {
            urgency: Urgency::Issue,
        };
        let Some(pending) = self.pending.get(key) else {
            return settled;
        };
        if pending.is_forgotten(self.clock.now()) {
            return settled;
        }
        let Ok(permit) = self.leadership.permit() else {
            return settled; // the leader's to answer; whoever comes to lead looks at all
        };
        let started = Instant::now();
        let answer = match self.held.to_do(&pending.uid) {
            ToDo::Nothing => return settled,
            ToDo::Write(status) => Ok(Answer::issued(*status)),
            ToDo::Everything => self.answer(&pending).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(Open::Wait(reason, time)) => {
                debug!(request = %key, reason, "a pod certificate request stays open");
                self.metrics.later(reason);
                return Outcome::Settled {
                    again: Some((Instant::now() + time, Urgency::Issue)),
                };
            }
            Err(Open::Retry(reason)) => {
                debug!(request = %key, reason, "a pod certificate request is tried again");
                self.metrics.later(reason);
                return again;
            }
            Err(Open::Unread(error)) => {
                warn!(request = %key, %error, "can't read the pod of a pod certificate request");
                self.metrics.failed();
                return again;
            }
        };
        let (word, reason) = (answer.word, answer.reason);
        match self.write(&pending, answer.status, permit).await {
            Ok(()) => {
                info!(request = %key, pod = pending.spec.pod_name, answer = word, reason, "answered a pod certificate request");
                self.metrics.answered(word, reason, started.elapsed());
                self.held.answered(&pending.uid);
                if self.pending.get(key).is_none() {
                    self.held.forget(&pending.uid); // the watch was faster
                }
                settled
            }
            Err(Unwritten::NotLeader(_)) => settled,
            Err(Unwritten::Failed(error)) => {
                self.unwritten(key, &pending, &error);
                again
            }
        }
    }

    /// What to answer. A certificate that is among it was recorded and signed.
    async fn answer(&self, pending: &Pending) -> Result<Answer, Open> {
        let asked = match pending.read() {
            Ok(asked) => asked,
            Err(denial) => return Ok(self.denied(&denial)),
        };
        let pods: Api<Pod> = Api::namespaced(self.clients.reads.clone(), &pending.namespace);
        let found = pods.get_opt(&pending.spec.pod_name).await;
        let found = found.map_err(Open::Unread)?;
        let asker = match pod::check(found.as_ref(), &pending.namespace, &pending.spec) {
            Ok(asker) => asker,
            Err(denial) => return Ok(self.denied(&denial)),
        };
        let Asked { key, bounds, which } = asked;
        match self.desk.x509(&asker, which.as_deref(), &key, bounds).await {
            Ok(certificate) => {
                let fit = issued::status(&certificate, &key, bounds, self.clock.now());
                let (status, facts) = fit.map_err(|error| {
                    error!(%error, "a certificate was issued that can't be handed over");
                    Open::Retry("Unfit")
                })?;
                debug!(serial = facts.serial_number, "signed");
                self.held.signed(&pending.uid, status.clone());
                Ok(Answer::issued(status))
            }
            Err(refused) => {
                let word = refused.reason.as_str();
                match judge(refused, pending.age(self.clock.now()), self.patience) {
                    Judged::Deny(denial) => Ok(self.denied(&denial)),
                    Judged::Wait(time) => Err(Open::Wait(word, time)),
                    Judged::Retry => Err(Open::Retry(word)),
                }
            }
        }
    }

    fn denied(&self, denial: &Denial) -> Answer {
        Answer {
            status: denial.status(self.clock.now()),
            word: "Denied",
            reason: denial.reason,
        }
    }

    /// Over the version that was seen, so that of two that think they lead one is refused.
    async fn write(
        &self,
        pending: &Pending,
        status: PodCertificateRequestStatus,
        permit: Permit,
    ) -> Result<(), Unwritten> {
        let limit = permit.limit(WRITE_LIMIT)?;
        let api: Api<PodCertificateRequest> =
            Api::namespaced(self.clients.writes.clone(), &pending.namespace);
        let object = PodCertificateRequest {
            metadata: ObjectMeta {
                name: Some(pending.name.clone()),
                namespace: Some(pending.namespace.clone()),
                uid: Some(pending.uid.clone()),
                resource_version: Some(pending.version.clone()),
                ..ObjectMeta::default()
            },
            spec: pending.spec.clone(),
            status: Some(status),
        };
        let params = PostParams::default();
        let call = api.replace_status(&pending.name, &params, &object);
        within(limit, call).await?;
        Ok(())
    }

    fn unwritten(&self, key: &ObjectKey, pending: &Pending, error: &WriteError) {
        if error.kube().is_some_and(is_not_found) {
            return; // and the watch says so soon
        }
        if error.kube().is_some_and(is_conflict) {
            debug!(request = %key, "another answered a pod certificate request, or it has changed");
            return;
        }
        self.metrics.failed();
        if matches!(error.kube(), Some(kube::Error::Api(status)) if status.code == 422) {
            // Such as a clock that is off by more than five minutes: the same won't do next time.
            error!(request = %key, %error, "the API server doesn't take the answer to a pod certificate request");
            self.held.forget(&pending.uid);
            return;
        }
        warn!(request = %key, %error, "can't write the answer to a pod certificate request");
    }
}

impl Answer {
    fn issued(status: PodCertificateRequestStatus) -> Self {
        Self {
            status,
            word: "Issued",
            reason: "Issued",
        }
    }
}
