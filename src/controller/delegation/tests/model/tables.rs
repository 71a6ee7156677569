//! Statuses by number, what was planned before, and the real planner behind it.

use std::collections::HashMap;

use countersign_api as api;

use super::super::super::observed::{
    AgentSeen, DelegatorSeen, Life, Observed, OwnerSeen, Parent, ParentSeen, Recorded, Standing,
};
use super::super::super::plan::plan;
use super::super::fixture::{
    AGENTS, Keys, NEXT_RING, RING, agent, at, below, owner, recorded, root, with, written,
};
use super::Broken;
use crate::condition::is_true;
use crate::identity::OwnerState;

/// Index into [`Tables::statuses`]; 0 is none.
pub(super) type StatusId = u16;

/// Which statement.
pub(super) type DigestId = u16;

/// What a pass has seen: an [`Observed`] in a few bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) hop: usize,
    pub(super) uid: u8,
    pub(super) revoked: bool,
    pub(super) status: StatusId,
    pub(super) key: u8,
    /// The owner departed, or the delegator's task is over.
    pub(super) delegator_over: bool,
    pub(super) delegate_over: bool,
    pub(super) parent: Sight,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    Root,
    Missing,
    Found {
        uid: u8,
        status: StatusId,
        standing: Stands,
    },
}

/// A [`Standing`] without its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stands {
    Good,
    Waiting,
    Held,
    Over,
}

/// A [`Plan`](super::super::super::plan::Plan) in a few bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    pub(super) status: StatusId,
    pub(super) grant: Option<DigestId>,
}

/// What memory knows of a status.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) completed: bool,
    pub(super) ready: bool,
    pub(super) held: bool,
    pub(super) parent: Option<u8>,
    pub(super) digest: Option<DigestId>,
    /// Of the statement above its own.
    pub(super) above: Option<DigestId>,
    /// Which key its chain verifies with.
    pub(super) key: Option<u8>,
}

pub(super) struct Tables {
    statuses: Vec<api::DelegationStatus>,
    pub(super) facts: Vec<Facts>,
    status_ids: HashMap<String, StatusId>,
    digests: HashMap<String, DigestId>,
    plans: HashMap<Look, Decision>,
    hops: [Observed; 3],
}

impl Tables {
    pub(super) fn new() -> Self {
        let first = root();
        let named = with(first.clone(), |it| it.recorded.shown.depth = Some(1));
        let second = below(&named);
        let third = below(&with(second.clone(), |it| {
            it.recorded.shown.depth = Some(2);
        }));
        Self {
            statuses: vec![api::DelegationStatus::default()],
            facts: vec![Facts::default()],
            status_ids: HashMap::new(),
            digests: HashMap::new(),
            plans: HashMap::new(),
            hops: [first, second, third],
        }
    }

    pub(super) fn decide(&mut self, look: &Look, broken: Broken) -> Decision {
        if let Some(decision) = self.plans.get(look) {
            return *decision;
        }
        let mut seen = self.observed(look);
        if broken == Broken::Unlatched {
            seen.recorded.completed = None;
            seen.recorded.parent = None;
        }
        let plan = plan(&seen);
        let decision = match written(&seen, &plan, keys(look.key), None) {
            None => Decision {
                status: look.status,
                grant: None,
            },
            Some(status) => {
                let status = self.status(status);
                let granted = self.facts[usize::from(status)].digest;
                Decision {
                    status,
                    grant: granted.filter(|_| plan.grant.is_some()),
                }
            }
        };
        self.plans.insert(look.clone(), decision);
        decision
    }

    fn status(&mut self, status: api::DelegationStatus) -> StatusId {
        let key = serde_json::to_string(&status).unwrap();
        if let Some(id) = self.status_ids.get(&key) {
            return *id;
        }
        let id = StatusId::try_from(self.statuses.len()).unwrap();
        let (conditions, read) = (&status.conditions, |key| self.recorded(&status, key));
        let chains: Vec<_> = (0..2).map(|key| read(key).chain).collect();
        let chain = chains.iter().flatten().next();
        let above = chain.and_then(|chain| chain.leaf().claims().parent);
        let facts = Facts {
            completed: is_true(conditions, "Completed"),
            ready: is_true(conditions, "Ready"),
            held: is_true(conditions, "Stalled") || is_true(conditions, "Reconciling"),
            parent: status.parent.as_ref().map(|it| number(&it.uid)),
            key: chains
                .iter()
                .position(Option::is_some)
                .and_then(|it| u8::try_from(it).ok()),
            digest: status.digest.clone().map(|digest| self.digest(digest)),
            above: above.map(|digest| self.digest(digest.to_string())),
        };
        self.statuses.push(status);
        self.facts.push(facts);
        self.status_ids.insert(key, id);
        id
    }

    fn digest(&mut self, digest: String) -> DigestId {
        let next = DigestId::try_from(self.digests.len()).unwrap();
        *self.digests.entry(digest).or_insert(next)
    }

    fn recorded(&self, status: &api::DelegationStatus, key: u8) -> Recorded {
        recorded(status, keys(key), at(0))
    }

    fn observed(&self, look: &Look) -> Observed {
        let mut seen = self.hops[look.hop].clone();
        seen.delegation.uid = uid(look.hop, look.uid);
        seen.delegation.revoked = look.revoked;
        seen.recorded = match look.status {
            0 => Recorded::default(),
            status => self.recorded(&self.statuses[usize::from(status)], look.key),
        };
        let agent = |hop: usize, over: bool| {
            let mut agent = agent(AGENTS[hop]);
            if over {
                agent.life = Life::Over("its task succeeded".to_owned());
            }
            AgentSeen::Found(agent)
        };
        seen.delegate = agent(look.hop, look.delegate_over);
        seen.delegator = match look.hop.checked_sub(1) {
            Some(above) => DelegatorSeen::Agent(agent(above, look.delegator_over)),
            None => {
                let mut owner = owner();
                if let (OwnerSeen::Found { state, .. }, true) = (&mut owner, look.delegator_over) {
                    *state = OwnerState::Departed;
                }
                DelegatorSeen::Owner(owner)
            }
        };
        seen.parent = match look.parent {
            Sight::Root => ParentSeen::None,
            Sight::Missing => ParentSeen::Missing,
            Sight::Found {
                uid: number,
                status,
                standing,
            } => {
                let recorded = self.recorded(&self.statuses[usize::from(status)], look.key);
                ParentSeen::Found(Box::new(Parent {
                    uid: uid(look.hop - 1, number),
                    delegate: recorded.delegate,
                    standing: match standing {
                        Stands::Good => Standing::Good,
                        Stands::Waiting => Standing::Waiting,
                        Stands::Held => Standing::Held("it is held back".to_owned()),
                        Stands::Over => Standing::Over("it is over".to_owned()),
                    },
                    chain: recorded.chain,
                    root: recorded.shown.root,
                }))
            }
        };
        seen
    }
}

fn keys(key: u8) -> &'static Keys {
    if key == 0 { &RING } else { &NEXT_RING }
}

fn uid(hop: usize, number: u8) -> String {
    format!("hop-{}-uid-{number}", hop + 1)
}

fn number(uid: &str) -> u8 {
    uid.rsplit('-').next().unwrap().parse().unwrap()
}
