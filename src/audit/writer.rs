//! The one task that writes: whatever waits goes into one commit.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::batch::{Batch, InDoubt, WriteError};
use crate::entry::{Entry, Kind, ObjectRef, Outcome, Prepared};
use crate::error::AuditError;
use crate::log::{Job, Shared};

/// No commit takes this long on a store that works.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Entries of one commit: enough to make its cost small, few enough to be done in milliseconds.
const BATCH: usize = 2048;
/// Until the store is tried again. Appends in between fail at once.
const RETRY: Duration = Duration::from_millis(250);
/// Nothing to do: any wait would do.
const IDLE: Duration = Duration::from_secs(3600);

struct Writer {
    shared: Arc<Shared>,
    batch: Batch,
    failure: Option<Failure>,
    in_doubt: Option<(InDoubt, usize)>,
}

/// The store can't be written.
struct Failure {
    since: Timestamp,
    reason: String,
    retry: Instant,
    /// Of an entry that could not be written.
    trust_domain: Option<String>,
    lost_before: u64,
}

/// Writes until the log is closed.
pub(crate) async fn run(shared: Arc<Shared>, mut receiver: mpsc::Receiver<Job>) {
    let mut closing = shared.closing.subscribe();
    let mut writer = Writer {
        batch: Batch::new(&shared),
        shared: Arc::clone(&shared),
        failure: None,
        in_doubt: None,
    };
    writer.reach().await;
    let mut jobs = Vec::with_capacity(BATCH);
    while !*closing.borrow_and_update() {
        let wake = writer.wake_time();
        tokio::select! {
            biased;
            _ = receiver.recv_many(&mut jobs, BATCH) => {}
            () = shared.wake.notified() => {}
            _ = closing.changed() => {}
            () = sleep_until(wake) => {}
        }
        writer.turn(&mut jobs, false).await;
    }
    receiver.close();
    while receiver.recv_many(&mut jobs, BATCH).await > 0 || shared.has_later() {
        if !writer.turn(&mut jobs, true).await {
            break;
        }
    }
    writer.sign(true).await;
    let waiting = shared.take_later(usize::MAX).len();
    if waiting > 0 {
        tracing::error!(
            waiting,
            "audit log: closed while the store can't be written"
        );
    }
    writer.batch.disconnect().await;
}

impl Writer {
    /// When to look again without being called.
    fn wake_time(&self) -> Instant {
        let signing = self.batch.signing_time();
        match (&self.failure, signing) {
            (Some(failure), _) => failure.retry,
            (None, _) if self.shared.has_later() => Instant::now(),
            (None, Some(time)) => time,
            (None, None) => Instant::now() + IDLE,
        }
    }

    /// Connects, so that [`crate::Log::health`] is right before anything is to be written.
    async fn reach(&mut self) {
        match timeout(WRITE_TIMEOUT, self.batch.connect()).await {
            Ok(Ok(())) => self.recover(),
            Ok(Err(error)) => self.fail(&error, None),
            Err(_) => self.fail(&no_answer(), None),
        }
    }

    fn recover(&mut self) {
        if self.failure.take().is_some() {
            tracing::info!("audit log: the store can be written again");
        }
        self.shared.recovered();
    }

    /// Writes one batch; was there nothing that stood in the way?
    async fn turn(&mut self, jobs: &mut Vec<Job>, last: bool) -> bool {
        // Whoever gave up has not done what this was to precede.
        jobs.retain(|job| !job.reply.is_closed());
        if let Some(failure) = &self.failure
            && !last
            && Instant::now() < failure.retry
        {
            for job in jobs.drain(..) {
                answer(job, Err(AuditError::Unavailable(failure.reason.clone())));
            }
            return false;
        }
        if !self.settle().await {
            self.refuse(jobs);
            return false;
        }
        let later = self.shared.take_later(BATCH);
        let resumed = self.resumed();
        if jobs.is_empty() && later.is_empty() && resumed.is_none() {
            if self.failure.is_some() {
                self.reach().await;
            }
            self.sign(false).await;
            return self.failure.is_none();
        }
        let all: Vec<&Prepared> = (resumed.iter())
            .chain(&later)
            .chain(jobs.iter().map(|job| &job.entry))
            .collect();
        let written = match timeout(WRITE_TIMEOUT, self.batch.write(&all)).await {
            Ok(written) => written,
            Err(_) => Err(self.batch.timed_out()),
        };
        match written {
            Ok(positions) => {
                let before = usize::from(resumed.is_some()) + later.len();
                for (job, position) in jobs.drain(..).zip(positions.into_iter().skip(before)) {
                    answer(job, Ok(position));
                }
                self.recover();
                self.sign(false).await;
                true
            }
            Err(WriteError { source, in_doubt }) => {
                let trust_domain = all.first().map(|it| it.trust_domain.clone());
                self.in_doubt = in_doubt.map(|it| (it, later.len()));
                self.shared.put_back(later);
                self.fail(&source, trust_domain);
                self.refuse(jobs);
                false
            }
        }
    }

    /// Finds out whether the commit whose answer was lost took place, lest what waits is recorded
    /// twice.
    async fn settle(&mut self) -> bool {
        let Some((in_doubt, later)) = &self.in_doubt else {
            return true;
        };
        match timeout(WRITE_TIMEOUT, self.batch.has(in_doubt)).await {
            Ok(Ok(there)) => {
                if there {
                    self.shared.take_later(*later);
                }
                self.in_doubt = None;
                true
            }
            Ok(Err(error)) => {
                self.fail(&error, None);
                false
            }
            Err(_) => {
                self.fail(&no_answer(), None);
                false
            }
        }
    }

    /// The record that says that there was a time in which nothing could be recorded: also what
    /// finds out whether that is over.
    fn resumed(&self) -> Option<Prepared> {
        let failure = self.failure.as_ref()?;
        let mut entry = Entry::new(
            (self.shared.settings.now)(),
            Kind::LogResumed,
            Outcome::Allowed,
            failure.trust_domain.clone()?,
            ObjectRef {
                kind: "AuditLog".to_owned(),
                name: self.shared.settings.writer.clone(),
                ..ObjectRef::default()
            },
        );
        entry.reason = "StoreFailed".to_owned();
        entry.message = format!(
            "could not be written since {}: {}",
            failure.since, failure.reason
        );
        let lost = self.shared.lost() - failure.lost_before;
        if lost > 0 {
            entry.message = format!("{lost} entries lost; {}", entry.message);
        }
        entry.prepare().ok()
    }

    async fn sign(&mut self, all: bool) {
        if self.failure.is_some() {
            return;
        }
        let error = match timeout(WRITE_TIMEOUT, self.batch.sign(all)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => no_answer(),
        };
        let trust_domain = self.batch.trust_domain();
        self.fail(&error, trust_domain);
    }

    fn fail(&mut self, error: &sqlx::Error, trust_domain: Option<String>) {
        self.batch.forget();
        let reason = self.shared.failed(error);
        let retry = Instant::now() + RETRY;
        match &mut self.failure {
            Some(failure) => {
                failure.retry = retry;
                failure.reason = reason;
                failure.trust_domain = failure.trust_domain.take().or(trust_domain);
            }
            None => {
                tracing::error!(reason, "audit log: the store can't be written");
                self.failure = Some(Failure {
                    since: (self.shared.settings.now)(),
                    reason,
                    retry,
                    trust_domain,
                    lost_before: self.shared.lost(),
                });
            }
        }
    }

    fn refuse(&self, jobs: &mut Vec<Job>) {
        let reason = self.failure.as_ref().map_or("", |it| it.reason.as_str());
        for job in jobs.drain(..) {
            answer(job, Err(AuditError::Unavailable(reason.to_owned())));
        }
    }
}

fn answer(job: Job, result: Result<crate::Position, AuditError>) {
    // An error means that the caller gave up meanwhile; its record stays, without its effect.
    drop(job.reply.send(result));
}

/// The store took too long.
pub(crate) fn no_answer() -> sqlx::Error {
    let seconds = WRITE_TIMEOUT.as_secs();
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        format!("no answer from the store within {seconds} s"),
    ))
}
