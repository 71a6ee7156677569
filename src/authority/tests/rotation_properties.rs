//! The life of authorities under whatever happens.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::fixture::*;
use crate::{AuthorityId, AuthoritySet, KeyAlgorithm, Leaf, LeafRequest, SlotState, Wanted};

/// How far the operator's clock may be off; three times this is within the margin that retired
/// authorities get.
const SKEW_SECONDS: i64 = 20;

#[derive(Debug, Clone)]
enum Event {
    /// Seconds that pass.
    Pass(u64),
    /// To the moment of the next change, give or take a second.
    PassToChange(i64),
    RaiseEpoch,
    LowerEpoch,
    /// Of all authorities ever seen, this one.
    Distrust(prop::sample::Index),
    /// Nobody is distrusted any more.
    Forgive,
    Algorithm(KeyAlgorithm),
    Lifetime(u64),
    LongestLeaf(u64),
    Propagated(bool),
    Propagation(u64),
    Skew(i64),
    /// The clock is set anywhere.
    Clock(i64),
    Issue(u64),
    Restart,
}

fn event(wild: bool) -> impl Strategy<Value = Event> {
    let algorithm = prop::sample::select(&ALGORITHMS[..]);
    let clock = (0..7_000_000_000_i64).prop_map(move |seconds| match wild {
        true => Event::Clock(seconds),
        false => Event::Restart,
    });
    prop_oneof![
        6 => (0..5000_u64).prop_map(Event::Pass),
        3 => (0..200_000_u64).prop_map(Event::Pass),
        4 => (-1..2_i64).prop_map(Event::PassToChange),
        2 => Just(Event::RaiseEpoch),
        1 => Just(Event::LowerEpoch),
        2 => any::<prop::sample::Index>().prop_map(Event::Distrust),
        1 => Just(Event::Forgive),
        1 => algorithm.prop_map(Event::Algorithm),
        1 => (21_600..400_000_u64).prop_map(Event::Lifetime),
        1 => (1..3600_u64).prop_map(Event::LongestLeaf),
        2 => any::<bool>().prop_map(Event::Propagated),
        1 => (0..300_u64).prop_map(Event::Propagation),
        1 => (-SKEW_SECONDS..=SKEW_SECONDS).prop_map(Event::Skew),
        1 => clock,
        8 => (1..4000_u64).prop_map(Event::Issue),
        1 => Just(Event::Restart),
    ]
}

struct World {
    set: AuthoritySet,
    want: Wanted,
    /// What time it is.
    true_time: Timestamp,
    /// What the operator takes it for.
    now: Timestamp,
    skew: SignedDuration,
    seen: BTreeSet<AuthorityId>,
    leaves: Vec<Leaf>,
}

impl World {
    fn new() -> Self {
        Self {
            set: AuthoritySet::default(),
            want: Wanted {
                ca_lifetime_seconds: DAY,
                ..want()
            },
            true_time: start(),
            now: start(),
            skew: SignedDuration::ZERO,
            seen: BTreeSet::new(),
            leaves: Vec::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass(seconds) => self.true_time = plus(self.true_time, *seconds),
            Event::PassToChange(more) => {
                let change = self.set.next_change(&self.want).unwrap() - self.skew;
                let to = change + SignedDuration::from_secs(*more);
                self.true_time = self.true_time.max(to);
            }
            Event::RaiseEpoch => self.want.epoch += 1,
            Event::LowerEpoch => self.want.epoch = self.want.epoch.saturating_sub(1),
            Event::Distrust(which) => {
                let seen: Vec<_> = self.seen.iter().cloned().collect();
                self.want.distrusted.insert(which.get(&seen).clone());
            }
            Event::Forgive => self.want.distrusted.clear(),
            Event::Algorithm(algorithm) => self.want.key_algorithm = *algorithm,
            Event::Lifetime(seconds) => self.want.ca_lifetime_seconds = *seconds,
            Event::LongestLeaf(seconds) => self.want.max_leaf_ttl_seconds = *seconds,
            Event::Propagated(yes) => self.want.bundle_propagated = *yes,
            Event::Propagation(seconds) => self.want.propagation_seconds = *seconds,
            Event::Skew(seconds) => self.skew = SignedDuration::from_secs(*seconds),
            Event::Clock(seconds) => self.true_time = Timestamp::from_second(*seconds).unwrap(),
            Event::Issue(ttl) => self.issue(*ttl),
            Event::Restart => {
                self.set = AuthoritySet::from_secret_data(&stored(&self.set)).unwrap();
            }
        }
        self.now = self.true_time + self.skew;
    }

    /// May be refused: by a clock that is before the authority, for one.
    fn issue(&mut self, ttl_seconds: u64) {
        let asked = LeafRequest {
            ttl_seconds,
            ..request(ID)
        };
        let signer = self.set.signer().unwrap().unwrap();
        match signer.issue(&asked, self.now) {
            Ok(leaf) => self.leaves.push(leaf),
            Err(why) => assert!(
                ["NotYetValid", "NoLifetimeLeft"].contains(&why.reason()),
                "{why}"
            ),
        }
    }

    /// One pass of the operator, with what has to hold after every one.
    fn pass(&mut self) {
        let before = self.set.clone();
        if let Some(next) = before.next(&self.want, self.now).unwrap() {
            assert_ne!(next, before, "a change is a change");
            self.set = next;
        }
        let set = &self.set;
        assert_eq!(
            set.next(&self.want, self.now).unwrap(),
            None,
            "a second pass is idle"
        );
        self.seen
            .extend(set.statuses().into_iter().map(|line| line.id));
        self.check_slots();
        self.check_sequence(&before);
        self.check_next_change();
        assert_eq!(AuthoritySet::from_secret_data(&stored(set)).unwrap(), *set);
    }

    fn check_slots(&self) {
        let lines = self.set.statuses();
        let count = |state| lines.iter().filter(|line| line.slot == state).count();
        assert_eq!(count(SlotState::Active), 1);
        assert!(count(SlotState::Prepared) <= 1);
        let active = self.set.active().unwrap();
        let bundle = self.set.bundle();
        assert!(bundle.roots().contains(&active.certificate));
        assert!(self.now < active.certificate.not_after());
        for root in bundle.roots() {
            assert!(!self.want.distrusted.contains(root.id()));
        }
        assert_eq!(
            bundle.roots().len(),
            lines.len() - count(SlotState::Distrusted)
        );
    }

    fn check_sequence(&self, before: &AuthoritySet) {
        let (old, new) = (before.bundle(), self.set.bundle());
        let changed = u64::from(old.digest() != new.digest());
        assert_eq!(new.sequence, old.sequence + changed);
    }

    /// Nothing changes before it, and something does at it.
    fn check_next_change(&self) {
        let change = self.set.next_change(&self.want).unwrap();
        assert!(self.now < change, "{} {change}", self.now);
        let idle = |at| self.set.next(&self.want, at).unwrap().is_none();
        let between = change.duration_since(self.now) / 2;
        assert!(idle(self.now + between));
        assert!(idle(change - SignedDuration::from_nanos(1)));
        assert!(!idle(change));
    }

    /// Every leaf that is valid by either clock, of an authority that is trusted.
    fn check_leaves(&mut self) {
        let (now, true_time) = (self.now, self.true_time);
        self.leaves
            .retain(|leaf| now < leaf.not_after && true_time < leaf.not_after);
        let bundle = self.set.bundle();
        let distrusted = |id: &AuthorityId| {
            let lines = self.set.statuses();
            lines
                .iter()
                .any(|line| line.id == *id && line.slot == SlotState::Distrusted)
        };
        for leaf in &self.leaves {
            if true_time < leaf.not_before || distrusted(&leaf.authority_id) {
                continue;
            }
            verifies(&leaf.chain_pem, &bundle, true_time).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn leaves_of_trusted_authorities_verify_whatever_happens(events in vec(event(false), 1..80)) {
        let mut world = World::new();
        world.pass();
        for event in &events {
            world.happen(event);
            world.pass();
            world.check_leaves();
        }
    }

    #[test]
    fn no_clock_makes_chaos(events in vec(event(true), 1..80)) {
        let mut world = World::new();
        world.pass();
        for event in &events {
            world.happen(event);
            world.pass();
        }
    }
}
