//! The signals that live, by subject.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use jiff::Timestamp;

use super::bounds;
use super::concern::{Concern, faded};
use super::subject::{Kind, Place, named};
use crate::{Effect, Signal, SignalRefused};

/// The most signals.
pub(super) const MAX_SIGNALS: usize = 1_000_000;
/// The most signals of one subject: beyond, the least severe goes.
pub(super) const MAX_OF_SUBJECT: usize = 64;

/// A signal's source and id, hashed with keys of this process. Nobody outside can find two with one.
type Id = u128;

#[derive(Debug)]
pub(super) struct Table {
    most: usize,
    hashers: [RandomState; 2],
    agents: HashMap<Arc<str>, Vec<Entry>>,
    pods: HashMap<Arc<str>, Vec<Entry>>,
    owners: HashMap<Arc<str>, Vec<Entry>>,
    certificates: HashMap<Arc<str>, Vec<Entry>>,
    delegations: HashMap<Arc<str>, Vec<Entry>>,
    ids: HashMap<Id, Place>,
    /// By their ends.
    ends: BTreeSet<(Timestamp, Id)>,
}

#[derive(Debug)]
struct Entry {
    id: Id,
    end: Timestamp,
    signal: Signal,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            hashers: [RandomState::new(), RandomState::new()],
            agents: HashMap::new(),
            pods: HashMap::new(),
            owners: HashMap::new(),
            certificates: HashMap::new(),
            delegations: HashMap::new(),
            ids: HashMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Did it change anything? What the same source said of the same subject and kind is replaced by
    /// what was observed later (of one moment: what has the greater id), whichever came first: so
    /// replicas that hear the same in another order come to the same, and an old message that is sent again changes nothing. That goes for
    /// [`Effect::Clear`] too, which therefore stays until its own end.
    pub(super) fn accept(&mut self, signal: Signal, now: Timestamp) -> Result<bool, SignalRefused> {
        let end = bounds::check(&signal, now)?;
        self.prune(now);
        let id = self.id(&signal);
        if self.ids.contains_key(&id) {
            return Ok(false);
        }
        let (kind, name) = named(&signal.subject);
        let place = Place {
            kind,
            name: name.as_ref().into(),
        };
        if let Some(before) = self.same(&place, &signal) {
            let when = |it: &Signal| (it.observed, it.id.clone());
            if when(&before.signal) > when(&signal) {
                return Ok(false);
            }
            let before = before.id;
            self.remove(before);
        }
        if self.ids.len() >= self.most {
            return Err(SignalRefused::Full);
        }
        self.ids.insert(id, place.clone());
        self.ends.insert((end, id));
        let all = self.of_mut(kind).entry(place.name).or_default();
        all.push(Entry { id, end, signal });
        if all.len() <= MAX_OF_SUBJECT {
            return Ok(true);
        }
        let least = all.iter().min_by_key(|it| weight(&it.signal, now));
        let least = least.map(|it| it.id);
        least.into_iter().for_each(|it| self.remove(it));
        Ok(least != Some(id))
    }

    /// Adds what is said of one subject and was observed after `since`.
    pub(super) fn look(
        &self,
        (kind, name): (Kind, &str),
        since: Option<Timestamp>,
        now: Timestamp,
        concern: &mut Concern,
    ) {
        let all = self.of(kind).get(name).into_iter().flatten();
        let all = all.filter(|it| it.end > now).map(|it| &it.signal);
        for signal in all.filter(|it| since.is_none_or(|since| it.observed > since)) {
            concern.add(signal, now);
        }
    }

    /// Until when an agent is pardoned.
    pub(super) fn pardoned(&self, agent: &str, now: Timestamp) -> Option<Timestamp> {
        let all = self.agents.get(agent).into_iter().flatten();
        let pardons = all.filter(|it| it.end > now && it.signal.is_pardon());
        pardons.map(|it| it.signal.observed).max()
    }

    /// Is nothing said of any subject of this kind?
    pub(super) fn is_silent(&self, kind: Kind) -> bool {
        self.of(kind).is_empty()
    }

    /// The names of a kind's subjects.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.of(kind).keys()
    }

    pub(super) fn all(&self, now: Timestamp) -> Vec<Signal> {
        let kinds = [
            &self.agents,
            &self.pods,
            &self.owners,
            &self.certificates,
            &self.delegations,
        ];
        let all = kinds.into_iter().flat_map(HashMap::values).flatten();
        let all = all.filter(|it| it.end > now);
        all.map(|it| it.signal.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Forgets what is over.
    pub(super) fn prune(&mut self, now: Timestamp) {
        while let Some(&(end, id)) = self.ends.first() {
            if end > now {
                return;
            }
            self.ends.pop_first();
            self.remove(id);
        }
    }

    fn id(&self, signal: &Signal) -> Id {
        let named = (&signal.source, &signal.id);
        let [one, other] = self.hashers.each_ref().map(|it| it.hash_one(named));
        (u128::from(one) << 64) | u128::from(other)
    }

    fn same(&self, place: &Place, signal: &Signal) -> Option<&Entry> {
        let mut all = self.of(place.kind).get(&place.name)?.iter();
        all.find(|it| it.signal.kind == signal.kind && it.signal.source == signal.source)
    }

    fn remove(&mut self, id: Id) {
        let Some(place) = self.ids.remove(&id) else {
            return;
        };
        let kind = self.of_mut(place.kind);
        let Some(all) = kind.get_mut(&place.name) else {
            return;
        };
        let found = all.iter().position(|it| it.id == id);
        let gone = found.map(|at| all.swap_remove(at));
        if all.is_empty() {
            kind.remove(&place.name);
        }
        if let Some(gone) = gone {
            self.ends.remove(&(gone.end, id));
        }
    }

    fn of(&self, kind: Kind) -> &HashMap<Arc<str>, Vec<Entry>> {
        match kind {
            Kind::Agent => &self.agents,
            Kind::Pod => &self.pods,
            Kind::Owner => &self.owners,
            Kind::Certificate => &self.certificates,
            Kind::Delegation => &self.delegations,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut HashMap<Arc<str>, Vec<Entry>> {
        match kind {
            Kind::Agent => &mut self.agents,
            Kind::Pod => &mut self.pods,
            Kind::Owner => &mut self.owners,
            Kind::Certificate => &mut self.certificates,
            Kind::Delegation => &mut self.delegations,
        }
    }
}

/// The lightest goes first: what denies stays longer than what adds to a risk, however severe.
fn weight(signal: &Signal, now: Timestamp) -> (u8, u8) {
    let effect = match signal.effect {
        Effect::Clear if signal.is_pardon() => 4,
        Effect::Clear => 0,
        Effect::Risk => 1,
        Effect::EndSessions => 2,
        Effect::Deny => 3,
    };
    (effect, faded(signal, now))
}
