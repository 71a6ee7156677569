//! The one task that writes: whatever waits goes into one commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};

use crate::batch::{Batch, InDoubt, Trouble, WriteError};
use crate::chain::{chain_name, trust_domain_of};
use crate::entry::{Entry, Kind, ObjectRef, Outcome, Prepared};
use crate::error::{AuditError, plainly};
use crate::log::{Job, Shared};

/// No commit takes this long on a store that works.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Entries of one commit: enough to make its cost small, few enough to be done in milliseconds.
const BATCH: usize = 2048;
/// The longest that a commit waits for those who are about to append: about what a commit takes.
const GATHER: Duration = Duration::from_millis(2);
/// Until the store is tried again. Appends in between fail at once.
const RETRY: Duration = Duration::from_millis(250);
/// Until a chain that was cut off is looked at again: people restore it, if anybody does.
const RESTORED: Duration = Duration::from_secs(1);
/// Nothing to do: any wait would do.
const IDLE: Duration = Duration::from_secs(3600);

struct Writer {
    shared: Arc<Shared>,
    batch: Batch,
    failure: Option<Failure>,
    /// With the numbers of those in it that wait to be recorded in any case.
    in_doubt: Option<(InDoubt, Vec<u64>)>,
    /// By trust domain.
    cut_off: BTreeMap<String, CutOff>,
    /// That chains can be written again, not recorded yet.
    restored: Vec<Prepared>,
}

/// A chain that is not what it was.
struct CutOff {
    since: Timestamp,
    reason: String,
    retry: Instant,
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
        cut_off: BTreeMap::new(),
        restored: Vec::new(),
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
        gather(&mut receiver, &mut jobs).await;
        writer.turn(&mut jobs, false).await;
    }
    receiver.close();
    while receiver.recv_many(&mut jobs, BATCH).await > 0 || writer.has_later() {
        if !writer.turn(&mut jobs, true).await {
            break;
        }
    }
    writer.sign(true).await;
    let waiting = shared.later.lock().len();
    if waiting > 0 {
        tracing::error!(waiting, "audit log: closed while it can't be written");
    }
    writer.batch.disconnect().await;
}

/// Lets everybody else have a turn, for as long as that brings something: those who are about to
/// append come into this commit instead of into one more. Where nobody is, it takes no time.
async fn gather(receiver: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) {
    let until = Instant::now() + GATHER;
    let mut before = 0;
    while before < jobs.len() && jobs.len() < BATCH && Instant::now() < until {
        before = jobs.len();
        yield_now().await;
        while jobs.len() < BATCH
            && let Ok(job) = receiver.try_recv()
        {
            jobs.push(job);
        }
    }
}

impl Writer {
    /// When to look again without being called.
    fn wake_time(&self) -> Instant {
        if let Some(failure) = &self.failure {
            return failure.retry;
        }
        if self.has_later() {
            return Instant::now();
        }
        let cut_off = self.cut_off.values().map(|it| it.retry);
        let signing = self.batch.signing_time();
        let next = cut_off.chain(signing).min();
        next.unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Does something wait that could be written?
    fn has_later(&self) -> bool {
        let wanted = |it: &Prepared| !self.cut_off.contains_key(&it.trust_domain);
        !self.restored.is_empty() || self.shared.later.lock().has(wanted)
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
        self.say();
    }

    fn say(&self) {
        let failure = self.failure.as_ref().map(|it| &it.reason);
        let cut_off = || self.cut_off.values().next().map(|it| &it.reason);
        let reason = failure.or_else(cut_off);
        self.shared.say(reason.map_or(Ok(()), |it| Err(it.clone())));
    }

    /// Writes one batch; was there nothing that stood in the way?
    async fn turn(&mut self, jobs: &mut Vec<Job>, last: bool) -> bool {
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
        if !self.look_again().await {
            self.refuse(jobs);
            return false;
        }
        // As often as a chain turns out to be cut off.
        loop {
            if let Some(written) = self.write(jobs).await {
                return written;
            }
        }
    }

    /// Writes one batch of chains that are whole as far as is known; `None` if one wasn't.
    async fn write(&mut self, jobs: &mut Vec<Job>) -> Option<bool> {
        self.refuse_cut_off(jobs);
        let later = {
            let wanted = |it: &Prepared| !self.cut_off.contains_key(&it.trust_domain);
            self.shared.later.lock().take(BATCH, wanted)
        };
        // Whoever gave up has not done what this was to precede. After `later`: what one has said of it
        // since is then never before it, neither in this batch nor in the log.
        jobs.retain(|job| !job.reply.is_closed());
        let mut resumed = self.restored.clone();
        let whole = |it: &Prepared| !self.cut_off.contains_key(&it.trust_domain);
        resumed.extend(self.resumed().filter(whole));
        if jobs.is_empty() && later.is_empty() && resumed.is_empty() {
            if self.failure.is_some() {
                self.reach().await;
            }
            self.sign(false).await;
            return Some(self.failure.is_none());
        }
        let all: Vec<&Prepared> = (resumed.iter())
            .chain(later.iter().map(|(_, entry)| entry))
            .chain(jobs.iter().map(|job| &job.entry))
            .collect();
        let written = match timeout(WRITE_TIMEOUT, self.batch.write(&all)).await {
            Ok(written) => written,
            Err(_) => Err(self.batch.timed_out()),
        };
        match written {
            Ok(positions) => {
                let before = resumed.len() + later.len();
                self.restored.clear();
                for (job, position) in jobs.drain(..).zip(positions.into_iter().skip(before)) {
                    answer(job, Ok(position));
                }
                self.recover();
                self.sign(false).await;
                Some(true)
            }
            Err(WriteError {
                source: Trouble::CutOff { chain, why },
                ..
            }) => {
                self.shared.later.lock().put_back(later);
                self.cut(&chain, why);
                None
            }
            Err(WriteError {
                source: Trouble::Store(source),
                in_doubt,
            }) => {
                let trust_domain = all.first().map(|it| it.trust_domain.clone());
                let numbers = later.iter().map(|(number, _)| *number).collect();
                self.in_doubt = in_doubt.map(|it| (it, numbers));
                self.shared.later.lock().put_back(later);
                self.fail(&source, trust_domain);
                self.refuse(jobs);
                Some(false)
            }
        }
    }

    /// Holds heads against the floor again: all that were read, if it moved; in time, those of chains
    /// that were cut off. Could it be done?
    async fn look_again(&mut self) -> bool {
        let now = Instant::now();
        let mut chains: Vec<String> = (self.cut_off.iter())
            .filter(|(_, it)| it.retry <= now)
            .map(|(trust_domain, _)| chain_name(trust_domain, &self.shared.settings.writer))
            .collect();
        if self.shared.floor_moved.swap(false, Ordering::AcqRel) {
            chains.extend(self.batch.forget_heads());
        }
        for chain in chains {
            match timeout(WRITE_TIMEOUT, self.batch.look(&chain)).await {
                Ok(Ok(())) => self.restore(&chain),
                Ok(Err(Trouble::CutOff { chain, why })) => self.cut(&chain, why),
                Ok(Err(Trouble::Store(error))) => {
                    self.fail(&error, None);
                    return false;
                }
                Err(_) => {
                    self.fail(&no_answer(), None);
                    return false;
                }
            }
        }
        true
    }

    fn cut(&mut self, chain: &str, reason: String) {
        let retry = Instant::now() + RESTORED;
        let trust_domain = trust_domain_of(chain).to_owned();
        self.restored.retain(|it| it.trust_domain != trust_domain);
        if let Some(known) = self.cut_off.get_mut(&trust_domain) {
            known.retry = retry;
            known.reason = reason;
        } else {
            tracing::error!(chain, reason, "audit log: a chain can't be written");
            let since = (self.shared.settings.now)();
            let cut_off = CutOff {
                since,
                reason,
                retry,
            };
            self.cut_off.insert(trust_domain, cut_off);
        }
        self.say();
    }

    fn restore(&mut self, chain: &str) {
        let trust_domain = trust_domain_of(chain);
        if let Some(CutOff { since, reason, .. }) = self.cut_off.remove(trust_domain) {
            tracing::info!(chain, "audit log: a chain can be written again");
            let message = format!("could not be written since {since}: {reason}");
            let entry = self.resumption(trust_domain.to_owned(), "ChainCutOff", message);
            self.restored.extend(entry);
            self.say();
        }
    }

    fn refuse_cut_off(&self, jobs: &mut Vec<Job>) {
        if self.cut_off.is_empty() {
            return;
        }
        for job in std::mem::take(jobs) {
            match self.cut_off.get(&job.entry.trust_domain) {
                Some(it) => answer(job, Err(AuditError::Unavailable(it.reason.clone()))),
                None => jobs.push(job),
            }
        }
    }

    /// Finds out whether the commit whose answer was lost took place, lest what waits is recorded
    /// twice.
    async fn settle(&mut self) -> bool {
        let Some((in_doubt, numbers)) = &self.in_doubt else {
            return true;
        };
        match timeout(WRITE_TIMEOUT, self.batch.has(in_doubt)).await {
            Ok(Ok(there)) => {
                if there {
                    self.restored.clear();
                    let mut later = self.shared.later.lock();
                    for number in numbers {
                        later.remove(*number);
                    }
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
        let trust_domain = failure.trust_domain.clone()?;
        let mut message = format!(
            "could not be written since {}: {}",
            failure.since, failure.reason
        );
        let lost = self.shared.lost() - failure.lost_before;
        if lost > 0 {
            message = format!("{lost} entries lost; {message}");
        }
        self.resumption(trust_domain, "StoreFailed", message)
    }

    fn resumption(&self, trust_domain: String, reason: &str, message: String) -> Option<Prepared> {
        let mut entry = Entry::new(
            (self.shared.settings.now)(),
            Kind::LogResumed,
            Outcome::Allowed,
            trust_domain,
            ObjectRef {
                kind: "AuditLog".to_owned(),
                name: self.shared.settings.writer.clone(),
                ..ObjectRef::default()
            },
        );
        entry.reason = reason.to_owned();
        entry.message = message;
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
        let reason = plainly(error);
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
        self.say();
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
