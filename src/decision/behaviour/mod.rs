//! How far an agent is from its own baseline.

mod baseline;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use jiff::Timestamp;

use self::baseline::Baseline;
use crate::RiskPart;
use crate::generations::Sharded;

/// As many agents are remembered; of more, those that didn't ask for the longest are forgotten, and
/// begin anew.
const REMEMBERED_AGENTS: usize = 262_144;

/// What every request tells of the agent that makes it: how often it asks beside how often it usually
/// does, how much of it is denied, and whether it does what it never did before. Each is a score from
/// 0 to 100 that explains itself, and the worst of them counts.
///
/// Only requests of an agent that showed who it is count, or whose caller vouches for it: nobody can
/// give another one a bad name. Of denials only those count that the request itself is to blame for;
/// a forbid that looks at the score would otherwise feed it.
#[derive(Debug)]
pub struct Behaviour {
    hasher: RandomState,
    agents: Sharded<Arc<str>, Baseline>,
}

/// What is asked for: the action, and the first segment of the resource's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair(u32);

impl Behaviour {
    /// Nobody was seen.
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            agents: Sharded::new(REMEMBERED_AGENTS),
        }
    }

    /// How many agents are remembered.
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// Is nobody?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn pair(&self, action: &str, path: &str) -> Pair {
        let top = path.split_once('/').map_or(path, |(top, _)| top);
        let hash = self.hasher.hash_one((action, top));
        // Half of it will do for 64.
        Pair(u32::try_from(hash >> 32).unwrap_or_default())
    }

    /// What is odd in this request, of an agent by its identity's UID; nothing is counted.
    pub(crate) fn assess(&self, uid: &str, pair: Pair, now: Timestamp) -> Vec<RiskPart> {
        let found = self
            .agents
            .with(uid, |it| it.get(uid).map(|it| it.assess(pair.0, now)));
        found.flatten().unwrap_or_default()
    }

    /// What is odd in all of late, without a request.
    pub(crate) fn assess_all(&self, uid: &str, now: Timestamp) -> Vec<RiskPart> {
        let found = self
            .agents
            .with(uid, |it| it.get(uid).map(|it| it.assess_all(now)));
        found.flatten().unwrap_or_default()
    }

    /// Counts a request.
    pub(crate) fn observe(&self, uid: &Arc<str>, pair: Pair, denied: bool, now: Timestamp) {
        self.agents.with(&**uid, |agents| {
            if let Some(agent) = agents.get(&**uid) {
                agent.observe(pair.0, denied, now);
                return;
            }
            let mut agent = Baseline::new(now);
            agent.observe(pair.0, denied, now);
            agents.insert(Arc::clone(uid), agent);
        });
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::new()
    }
}
