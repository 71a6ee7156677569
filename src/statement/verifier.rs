//! Verifying again and again, without doing again what was done.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::chain::{check_sizes, extend};
use crate::digest::sha256;
use crate::error::ChainError;
use crate::{Chain, Options, TrustedKeys};

/// SHA-256 of a leaf's whole compact form.
type LeafHash = [u8; 32];

/// Verifies chains and remembers those that it found good, by the bytes of their leaf.
///
/// A leaf names its parents by hash, so where it is known the chain that it was verified with
/// counts, whatever came along above it. Expiry and revocation are looked at each time. What was
/// verified with other keys is forgotten.
pub struct Verifier {
    state: Mutex<State>,
}

struct State {
    keys: Arc<TrustedKeys>,
    /// How many a generation has at most.
    generation: usize,
    /// Two generations: when the young one is full, it replaces the old one, so
    /// that what is asked for stays and nothing needs an order.
    young: HashMap<LeafHash, Known>,
    old: HashMap<LeafHash, Known>,
}

#[derive(Clone)]
struct Known {
    chain: Arc<Chain>,
    /// The agents' own statements were verified too.
    with_agents: bool,
}

impl Verifier {
    /// Remembers at most about `capacity` leaves; one is at most 32 KiB, and usually 1.
    pub fn new(keys: TrustedKeys, capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                generation: (capacity / 2).max(1),
                keys: Arc::new(keys),
                young: HashMap::new(),
                old: HashMap::new(),
            }),
        }
    }

    /// The keys of a new bundle. To be called for new X.509 roots as well, when agents' own
    /// statements are verified: all that is remembered is forgotten.
    pub fn trust(&self, keys: TrustedKeys) {
        let mut state = self.lock();
        state.keys = Arc::new(keys);
        state.young.clear();
        state.old.clear();
    }

    /// As [`crate::verify_chain`]; a known leaf costs one hash, and below a known one only the new
    /// hops are verified.
    pub fn verify(
        &self,
        statements: &[&str],
        now: Timestamp,
        options: &Options<'_>,
    ) -> Result<Arc<Chain>, ChainError> {
        check_sizes(statements)?;
        let keys = Arc::clone(&self.lock().keys);
        let with_agents = options.agent_signatures.is_some();
        let (known, new) = self.longest_known(&keys, statements, with_agents);
        if let (Some(chain), true) = (&known, new.is_empty()) {
            chain.check_now(now, options)?;
            return Ok(Arc::clone(chain));
        }
        let first = statements.len() - new.len();
        let more = statements.get(first..).unwrap_or_default();
        let chain = Arc::new(extend(known.as_deref(), more, &keys, options)?);
        self.remember(&keys, &new, &chain, with_agents);
        chain.check_now(now, options)?;
        Ok(chain)
    }

    /// The longest part that is known, and the hashes of what is below it.
    fn longest_known(
        &self,
        keys: &Arc<TrustedKeys>,
        statements: &[&str],
        with_agents: bool,
    ) -> (Option<Arc<Chain>>, Vec<LeafHash>) {
        let mut new = Vec::new();
        for (place, text) in statements.iter().enumerate().rev() {
            let hash = sha256(text.as_bytes());
            let found = self.lock().find(keys, &hash, with_agents);
            // At another depth than it was verified at, it belongs to another chain.
            if let Some(chain) = found.filter(|chain| chain.hops().len() == place + 1) {
                new.reverse();
                return (Some(chain), new);
            }
            new.push(hash);
        }
        new.reverse();
        (None, new)
    }

    /// Each new hop: its siblings will come.
    fn remember(
        &self,
        keys: &Arc<TrustedKeys>,
        new: &[LeafHash],
        chain: &Arc<Chain>,
        with_agents: bool,
    ) {
        let known = chain.hops().len() - new.len();
        let mut state = self.lock();
        // They may have been replaced meanwhile.
        if !Arc::ptr_eq(&state.keys, keys) {
            return;
        }
        for (place, hash) in new.iter().enumerate() {
            let count = known + place + 1;
            let chain = if count == chain.hops().len() {
                Arc::clone(chain)
            } else {
                Arc::new(chain.first(count))
            };
            state.insert(*hash, Known { chain, with_agents });
        }
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        let state = self.lock();
        state.young.len() + state.old.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic leaves it half-way: whatever is in it was verified.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(
        &mut self,
        keys: &Arc<TrustedKeys>,
        hash: &LeafHash,
        with_agents: bool,
    ) -> Option<Arc<Chain>> {
        if !Arc::ptr_eq(&self.keys, keys) {
            return None;
        }
        let good = |known: &Known| known.with_agents || !with_agents;
        if let Some(known) = self.young.get(hash).filter(|it| good(it)) {
            return Some(Arc::clone(&known.chain));
        }
        let known = self.old.get(hash).filter(|it| good(it))?.clone();
        let chain = Arc::clone(&known.chain);
        self.insert(*hash, known);
        Some(chain)
    }

    fn insert(&mut self, hash: LeafHash, known: Known) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, known);
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}
