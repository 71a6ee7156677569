//! The handle that records are written by.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use sqlx::AnyConnection;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::chain::{Position, chain_name, trust_domain_of};
use crate::checkpoint::{Checkpoint, CheckpointSigner, CheckpointVerifier, SignedCheckpoint};
use crate::entry::{Entry, Prepared};
use crate::error::AuditError;
use crate::floor::Floor;
use crate::later::{Later, Limits};
use crate::reader::Reader;
use crate::settings::Settings;
use crate::store::Store;
use crate::witness::Witness;
use crate::writer;

/// How many appends wait for the writer before those that append wait for room.
const QUEUE: usize = 16 * 1024;

/// A handle on a log; clones are the same log.
#[derive(Clone)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
}

/// What the handles and the writer share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    sender: mpsc::Sender<Job>,
    receiver: Mutex<Option<mpsc::Receiver<Job>>>,
    pub(crate) later: Mutex<Later>,
    dropped: AtomicU64,
    pub(crate) wake: Notify,
    health: Mutex<Result<(), String>>,
    pub(crate) signer: RwLock<Option<Arc<dyn CheckpointSigner>>>,
    pub(crate) verifier: RwLock<Option<Arc<dyn CheckpointVerifier>>>,
    pub(crate) checkpoints: Mutex<BTreeMap<String, SignedCheckpoint>>,
    pub(crate) floor: Mutex<Floor>,
    /// Heads that were read must be held against the floor again.
    pub(crate) floor_moved: AtomicBool,
    pub(crate) closing: watch::Sender<bool>,
    pub(crate) ended: watch::Sender<bool>,
    /// A database in memory is gone with its last connection.
    kept: Mutex<Option<AnyConnection>>,
}

/// An append on its way to the writer.
pub(crate) struct Job {
    pub(crate) entry: Prepared,
    pub(crate) reply: oneshot::Sender<Result<Position, AuditError>>,
}

impl Log {
    /// A log whose store is there: its file (mode 0600) and tables are made if they aren't.
    ///
    /// # Errors
    /// If the settings can't be, or the store can't be written now.
    pub async fn open(settings: Settings) -> Result<Self, AuditError> {
        let log = Self::new(settings)?;
        let opened = timeout(writer::WRITE_TIMEOUT, log.shared.store.connect()).await;
        let connection = opened
            .map_err(|_| AuditError::Unavailable("no answer from the store".to_owned()))?
            .map_err(AuditError::store("open"))?;
        if log.shared.store.is_memory() {
            *log.shared.kept.lock() = Some(connection);
        }
        log.shared.recovered();
        Ok(log)
    }

    /// A log whose store may be there later: until its writer has reached it, appends fail and
    /// [`Log::health`] says why.
    ///
    /// # Errors
    /// If the settings can't be.
    pub fn new(settings: Settings) -> Result<Self, AuditError> {
        settings.check()?;
        let store = Store::parse(&settings.url)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                settings,
                sender,
                receiver: Mutex::new(Some(receiver)),
                later: Mutex::default(),
                dropped: AtomicU64::new(0),
                wake: Notify::new(),
                health: Mutex::new(Err("the store was not reached yet".to_owned())),
                signer: RwLock::new(None),
                verifier: RwLock::new(None),
                checkpoints: Mutex::default(),
                floor: Mutex::default(),
                floor_moved: AtomicBool::new(false),
                closing: watch::Sender::new(false),
                ended: watch::Sender::new(false),
                kept: Mutex::new(None),
            }),
        })
    }

    /// Records `entry`; when this returns `Ok` it is durable. Whatever is appended at the same time
    /// shares one commit.
    ///
    /// What is given up while it waits for its turn, be it that the time is over or that this future is
    /// dropped, is withdrawn and never written. What is given up in the middle of its commit may be
    /// written; whatever [`Log::later`] is told of it from then on comes behind it in its chain.
    ///
    /// # Errors
    /// If the entry can't be recorded as it is, or the store can't be written within
    /// [`Settings::append_timeout`]: whatever it was to precede must not happen.
    pub async fn append(&self, entry: Entry) -> Result<Position, AuditError> {
        let entry = entry.prepare()?;
        let (reply, answer) = oneshot::channel();
        let wait = self.shared.settings.append_timeout;
        let whole = async {
            let job = Job { entry, reply };
            let sent = self.shared.sender.send(job).await;
            sent.map_err(|_| AuditError::Closed)?;
            answer.await.map_err(|_| AuditError::Closed)?
        };
        timeout(wait, whole).await.unwrap_or_else(|_| {
            Err(AuditError::Unavailable(self.health().err().unwrap_or_else(
                || format!("not stored within {} ms", wait.as_millis()),
            )))
        })
    }

    /// Records `entry` in its order when the store can be written: for what has happened already or
    /// must happen in any case, such as a retirement. Never waits. What can't be recorded or is one
    /// too many is counted by [`Log::dropped`]; of those that wait, refusals are dropped first.
    pub fn later(&self, entry: Entry) {
        match entry.prepare() {
            Ok(entry) => {
                let limits = Limits {
                    entries: self.shared.settings.max_later,
                    bytes: self.shared.settings.max_later_bytes,
                };
                let lost = self.shared.later.lock().push(entry, limits);
                if lost > 0 && self.shared.dropped.fetch_add(lost, Ordering::Relaxed) == 0 {
                    tracing::error!("audit log: too many entries wait, some are lost");
                }
            }
            Err(error) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "audit log: an entry is lost");
            }
        }
        self.shared.wake.notify_one();
    }

    /// Can it be written?
    ///
    /// # Errors
    /// Why not, for people. It recovers by itself.
    pub fn health(&self) -> Result<(), String> {
        self.shared.health.lock().clone()
    }

    /// How many entries wait for a store that can't be written.
    pub fn waiting(&self) -> usize {
        self.shared.later.lock().len()
    }

    /// How many entries were lost since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Signs checkpoints from now on.
    pub fn set_signer(&self, signer: Arc<dyn CheckpointSigner>) {
        *self.shared.signer.write() = Some(signer);
        self.shared.wake.notify_one();
    }

    /// Believes nothing of what the store says was signed, unless this does, from now on: whether a
    /// segment that the floor lies in is one, and what [`Log::latest_checkpoints`] has from the store.
    pub fn set_verifier(&self, verifier: Arc<dyn CheckpointVerifier>) {
        *self.shared.verifier.write() = Some(verifier);
        self.shared.floor_moved.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Checkpoints known from elsewhere and verified by the caller; of each chain the highest counts,
    /// also of earlier calls. A chain of this writer that doesn't have them any more is not written:
    /// appends to it fail with [`AuditError::Unavailable`], [`Log::health`] says what is missing, what
    /// came by [`Log::later`] waits, and nothing is signed, until the records are back. The same goes
    /// for what this log itself has written. Best called before [`Log::run`]: a chain is held against
    /// it when it is first written, and again when the floor moves. Other writers' chains stop nothing:
    /// [`Witness::look`] holds them against it.
    ///
    /// A floor within a sealed segment needs [`Log::set_verifier`]: without it such a segment is not
    /// believed.
    pub fn set_floor(&self, checkpoints: Vec<Checkpoint>) {
        let (own, others): (Vec<_>, Vec<_>) =
            (checkpoints.into_iter()).partition(|it| self.shared.writes(&it.chain));
        let mut floor = self.shared.floor.lock();
        floor.give(others.into_iter());
        let moved = floor.give(own.into_iter());
        drop(floor);
        if moved {
            self.shared.floor_moved.store(true, Ordering::Release);
            self.shared.wake.notify_one();
        }
    }

    /// The newest checkpoint of each chain that this log has written to since its start, or that a
    /// [`Witness`] of it has looked at; none that the floor is beyond of. Kept outside the database,
    /// they find a tail that somebody with all rights on it cut off.
    pub fn latest_checkpoints(&self) -> Vec<SignedCheckpoint> {
        let floor = self.shared.floor.lock();
        let checkpoints = self.shared.checkpoints.lock();
        let newest = checkpoints.values().filter(|it| {
            let it = &it.checkpoint;
            !floor.outdates(&it.chain, it.seq, it.hash)
        });
        newest.cloned().collect()
    }

    /// The second half of the names of this log's own chains.
    pub fn writer(&self) -> &str {
        &self.shared.settings.writer
    }

    /// Signs the chains that others write to the same store, for the signer of this log.
    pub fn witness(&self) -> Witness {
        Witness::new(&self.shared)
    }

    /// A reader of the same store.
    pub fn reader(&self) -> Reader {
        Reader::of(&self.shared.store)
    }

    /// The writer: nothing is recorded unless this runs. Ends after [`Log::close`]; if it is dropped
    /// before, the log is closed. Only the first call gives one that does something.
    pub fn run(&self) -> impl Future<Output = ()> + Send + 'static {
        let receiver = self.shared.receiver.lock().take();
        let running = receiver.map(|it| (it, Ended(Arc::clone(&self.shared))));
        async move {
            if let Some((receiver, ended)) = running {
                writer::run(Arc::clone(&ended.0), receiver).await;
            }
        }
    }

    /// Writes what waits, signs the last checkpoints and ends the writer. Appends fail from then on.
    /// Waits for as long as that takes if [`Log::run`] was called, whose future must then be polled.
    pub async fn close(&self) {
        self.shared.closing.send_replace(true);
        if self.shared.receiver.lock().take().is_some() {
            self.shared.ended();
        }
        let mut ended = self.shared.ended.subscribe();
        // An error would mean that the sender is gone, and it is in `shared`.
        drop(ended.wait_for(|&it| it).await);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("settings", &self.shared.settings)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Is it one of this log's own chains?
    pub(crate) fn writes(&self, chain: &str) -> bool {
        chain == chain_name(trust_domain_of(chain), &self.settings.writer)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn recovered(&self) {
        self.say(Ok(()));
    }

    /// Says why it can't be written, if so.
    pub(crate) fn say(&self, health: Result<(), String>) {
        *self.health.lock() = health;
    }

    fn ended(&self) {
        *self.health.lock() = Err("the log is closed".to_owned());
        self.ended.send_replace(true);
    }
}

/// However the writer ends, those that wait for its end learn of it.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended();
    }
}
