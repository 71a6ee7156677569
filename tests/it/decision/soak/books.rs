//! What was answered beside what is on record.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_audit::{Cursor, Filter, Kind, Outcome, Reader};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

use super::cast::{Cast, PATIENCE};

/// How long a record waits for the client that was told of it: the connection may have broken.
const UNCLAIMED: Duration = Duration::from_secs(60);
/// Of so many allows that must be on record first, one is looked for at once.
const AT_ONCE: u64 = 8;
/// Records of one page.
const PAGE: u32 = 1000;

/// A decision that a client was told of.
#[derive(Debug)]
pub(super) enum Note {
    Decided {
        id: String,
        allowed: bool,
    },
    /// There will be no more.
    End,
}

impl Note {
    pub(super) fn allowed(id: &str) -> Self {
        let (id, allowed) = (id.to_owned(), true);
        Self::Decided { id, allowed }
    }

    pub(super) fn denied(id: &str) -> Self {
        let (id, allowed) = (id.to_owned(), false);
        Self::Decided { id, allowed }
    }
}

/// Compares as it goes, and keeps only what isn't settled.
pub(super) struct Books {
    cast: Arc<Cast>,
    /// One for each replica, with how far each chain was read.
    stores: Vec<(Reader, HashMap<String, u64>)>,
    /// By id: allowed, and not on record yet; or denied.
    waiting: HashMap<String, bool>,
    /// On record, and nobody was told yet. Those of a while ago are in the second.
    unclaimed: [HashMap<String, Outcomes>; 2],
    allows: u64,
    pub(super) records: u64,
    pub(super) matched: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    allowed: bool,
    refused: bool,
}

impl Books {
    pub(super) async fn open(cast: Arc<Cast>) -> Self {
        let mut stores = Vec::new();
        for replica in &cast.replicas {
            let reader = Reader::open(&replica.audit).await.unwrap();
            stores.push((reader, HashMap::new()));
        }
        Self {
            cast,
            stores,
            waiting: HashMap::new(),
            unclaimed: Default::default(),
            allows: 0,
            records: 0,
            matched: 0,
        }
    }

    /// Until the end of the notes, and until all is on record that is going to be. Gives how many
    /// denials are not.
    pub(super) async fn keep(&mut self, mut notes: mpsc::Receiver<Note>) -> usize {
        let mut every = interval(Duration::from_secs(1));
        let mut turned = Instant::now();
        loop {
            tokio::select! {
                note = notes.recv() => match note {
                    Some(Note::Decided { id, allowed }) => self.told(id, allowed).await,
                    Some(Note::End) | None => break,
                },
                _ = every.tick() => {
                    self.sweep().await;
                    if turned.elapsed() > UNCLAIMED {
                        self.unclaimed[1] = std::mem::take(&mut self.unclaimed[0]);
                        turned = Instant::now();
                    }
                }
            }
        }
        let ended = Instant::now();
        while !self.waiting.is_empty() && ended.elapsed() < PATIENCE / 4 {
            self.sweep().await;
            sleep(Duration::from_millis(100)).await;
        }
        for (id, allowed) in &self.waiting {
            if *allowed {
                self.cast
                    .wrong(&format!("{id} was allowed, and is not on record"));
            }
        }
        self.waiting.values().filter(|allowed| !**allowed).count()
    }

    async fn told(&mut self, id: String, allowed: bool) {
        if allowed {
            self.allows += 1;
            if self.allows.is_multiple_of(AT_ONCE) && !self.is_recorded(&id).await {
                let what = "is not on record when the client knows";
                self.cast.wrong(&format!("{id} was allowed, and {what}"));
            }
        }
        let found = self.unclaimed.iter_mut().find_map(|it| it.remove(&id));
        match found {
            Some(found) if allowed && found.allowed || !allowed && found.refused => {
                self.matched += 1;
            }
            _ => drop(self.waiting.insert(id, allowed)),
        }
    }

    async fn is_recorded(&self, id: &str) -> bool {
        for (reader, _) in &self.stores {
            let found = reader.by_object_uid(id).await.unwrap();
            let allowed = |it: &countersign_audit::Record| it.entry.outcome == Outcome::Allowed;
            if found.iter().any(allowed) {
                return true;
            }
        }
        false
    }

    /// Reads what was recorded since.
    async fn sweep(&mut self) {
        for place in 0..self.stores.len() {
            let chains = self.stores[place].0.chains().await.unwrap();
            for chain in chains {
                while self.page(place, &chain).await == usize::try_from(PAGE).unwrap() {}
            }
        }
    }

    async fn page(&mut self, place: usize, chain: &str) -> usize {
        let (reader, read) = &mut self.stores[place];
        let seq = read.entry(chain.to_owned()).or_default();
        let cursor = Cursor {
            chain: chain.to_owned(),
            seq: *seq,
        };
        let filter = Filter {
            chain: Some(chain.to_owned()),
            ..Filter::default()
        };
        let records = reader.records(&cursor, &filter, PAGE).await.unwrap();
        let count = records.len();
        for record in records {
            assert_eq!(record.position.seq, *seq + 1, "a gap in {chain}");
            *seq += 1;
            self.records += 1;
            if record.entry.kind != Kind::ActionDecided {
                continue;
            }
            let allowed = record.entry.outcome == Outcome::Allowed;
            let id = record.entry.object.uid;
            // An allow that came too late to be answered is on record, and then its denial is.
            if self.waiting.get(&id) == Some(&allowed) {
                self.waiting.remove(&id);
                self.matched += 1;
            } else if !self.waiting.contains_key(&id) {
                let found = self.unclaimed[0].entry(id).or_default();
                found.allowed |= allowed;
                found.refused |= !allowed;
            }
        }
        count
    }
}
