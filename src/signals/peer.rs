//! What one other replica doesn't know yet.

use std::collections::VecDeque;

use countersign_decision::{Effect, Signal};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bearer::Secret;

/// Signals that wait for a replica: what a thousand incidents bring, in 4 MB.
pub(crate) const MAX_WAITING: usize = 10_000;

/// Another replica.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// Its name in logs and metrics, such as a pod's.
    pub name: String,
    /// Where it is: `https://10.1.2.3:8443`, without a path.
    pub address: String,
    /// What is shown to it beside the client's certificate.
    pub token: Option<Secret>,
}

/// A queue for it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) settings: PeerSettings,
    waiting: Mutex<Waiting>,
    pub(crate) changed: Notify,
}

#[derive(Debug)]
struct Waiting {
    signals: VecDeque<(u64, Signal)>,
    last: u64,
    /// It must be sent the whole table first; counts how often that became so.
    whole: bool,
    overflows: u64,
}

/// What is to be sent next.
#[derive(Debug)]
pub(crate) enum Next {
    Nothing,
    /// The whole table, and what [`Peer::whole_sent`] is to be told then.
    Whole(Place),
    /// These, and what [`Peer::sent`] is to be told then.
    Some(Vec<Signal>, u64),
}

/// Where the queue stood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    last: u64,
    overflows: u64,
}

impl Peer {
    /// A replica of which nothing is known: it gets the whole table first.
    pub(crate) fn new(settings: PeerSettings) -> Self {
        Self {
            settings,
            waiting: Mutex::new(Waiting {
                signals: VecDeque::new(),
                last: 0,
                whole: true,
                overflows: 0,
            }),
            changed: Notify::new(),
        }
    }

    /// Has it wait. Returns how many were dropped for it.
    ///
    /// With too many, the whole table is sent in their place, once the replica takes something again.
    /// What takes a signal back is not in the table, so it is kept.
    pub(crate) fn push(&self, signal: Signal) -> usize {
        let mut dropped = 0;
        let mut waiting = self.waiting.lock();
        if waiting.signals.len() >= MAX_WAITING {
            waiting.whole = true;
            waiting.overflows += 1;
            waiting.signals.retain(|(_, it)| it.effect == Effect::Clear);
            let over = waiting.signals.len().saturating_sub(MAX_WAITING / 2);
            waiting.signals.drain(..over);
            dropped = MAX_WAITING - waiting.signals.len();
        }
        waiting.last += 1;
        let number = waiting.last;
        waiting.signals.push_back((number, signal));
        drop(waiting);
        self.changed.notify_one();
        dropped
    }

    /// At most `most` signals. They stay until they are said to be sent.
    pub(crate) fn next(&self, most: usize) -> Next {
        let waiting = self.waiting.lock();
        if waiting.whole {
            return Next::Whole(Place {
                last: waiting.last,
                overflows: waiting.overflows,
            });
        }
        let signals = waiting.signals.iter().take(most);
        let Some(place) = signals.clone().next_back().map(|(number, _)| *number) else {
            return Next::Nothing;
        };
        Next::Some(signals.map(|(_, it)| it.clone()).collect(), place)
    }

    /// Those up to `place` are there.
    pub(crate) fn sent(&self, place: u64) {
        let signals = &mut self.waiting.lock().signals;
        while signals.front().is_some_and(|(number, _)| *number <= place) {
            signals.pop_front();
        }
    }

    /// The table as it was at `place` or later is there, and so what waited then is, but for what takes
    /// back.
    pub(crate) fn whole_sent(&self, place: Place) {
        let mut waiting = self.waiting.lock();
        let later = |number: u64| number > place.last;
        waiting
            .signals
            .retain(|(number, it)| later(*number) || it.effect == Effect::Clear);
        if waiting.overflows == place.overflows {
            waiting.whole = false;
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use countersign_decision::SignalSubject;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn peer() -> Peer {
        let peer = Peer::new(PeerSettings {
            name: "replica-1".to_owned(),
            address: "http://127.0.0.1:1".to_owned(),
            token: None,
        });
        let Next::Whole(place) = peer.next(1) else {
            panic!("it gets the whole table first");
        };
        peer.whole_sent(place);
        peer
    }

    fn signal(id: usize, effect: Effect) -> Signal {
        Signal {
            id: id.to_string(),
            source: "sensor".to_owned(),
            subject: SignalSubject::Owner("alice".to_owned()),
            kind: "sensor/odd".to_owned(),
            severity: 1,
            observed: Timestamp::UNIX_EPOCH,
            lifetime: SignedDuration::from_hours(1),
            effect,
            why: String::new(),
        }
    }

    fn ids(next: Next) -> (Vec<String>, u64) {
        match next {
            Next::Some(signals, place) => (signals.into_iter().map(|it| it.id).collect(), place),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_sent_is_forgotten_and_what_came_meanwhile_stays() {
        let peer = peer();
        assert!(matches!(peer.next(2), Next::Nothing));
        for id in 0..3 {
            peer.push(signal(id, Effect::Risk));
        }
        let (first, place) = ids(peer.next(2));
        assert_eq!(first, ["0", "1"]);
        assert_eq!(
            ids(peer.next(2)).0,
            ["0", "1"],
            "until it is said to be there"
        );
        peer.push(signal(3, Effect::Risk));
        peer.sent(place);
        assert_eq!(ids(peer.next(9)).0, ["2", "3"]);
    }

    #[test]
    fn too_many_are_made_up_for_by_the_whole_table_and_what_takes_back_is_kept() {
        let peer = peer();
        peer.push(signal(0, Effect::Clear));
        let mut dropped = 0;
        for id in 1..=MAX_WAITING {
            dropped += peer.push(signal(id, Effect::Risk));
        }
        assert_eq!(dropped, MAX_WAITING - 1);
        let Next::Whole(place) = peer.next(9) else {
            panic!("the whole table is to be sent");
        };
        peer.push(signal(7, Effect::Risk));
        peer.whole_sent(place);
        assert_eq!(ids(peer.next(9)).0, ["0", "7"]);
    }

    #[test]
    fn an_overflow_while_the_table_is_sent_has_it_sent_again() {
        let peer = peer();
        let fill = || {
            for id in 0..=MAX_WAITING {
                peer.push(signal(id, Effect::Risk));
            }
        };
        fill();
        let Next::Whole(place) = peer.next(9) else {
            panic!("the whole table is to be sent");
        };
        fill();
        peer.whole_sent(place);
        assert!(matches!(peer.next(9), Next::Whole(_)));
    }

    #[test]
    fn nothing_but_what_takes_back_is_bounded_too() {
        let peer = peer();
        for id in 0..3 * MAX_WAITING {
            peer.push(signal(id, Effect::Clear));
        }
        assert!(peer.waiting.lock().signals.len() <= MAX_WAITING);
    }
}
