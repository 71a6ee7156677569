use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{advance, timeout};

use super::*;

const SETTLED: Outcome = Outcome::Settled { again: None };

fn lane(name: &str) -> Arc<str> {
    Arc::from(name)
}

/// The next key if one comes without any waiting.
async fn ready<K: Clone + Eq + Hash + Send + 'static>(queue: &Queue<K>) -> Option<K> {
    timeout(Duration::ZERO, queue.next()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn what_ends_goes_ahead_of_what_renews_and_of_what_is_new() {
    let queue = Queue::new();
    queue.push("issue", lane("a"), Urgency::Issue);
    queue.push("renew", lane("a"), Urgency::Renew);
    queue.push("raised", lane("b"), Urgency::Issue);
    queue.push("retire", lane("b"), Urgency::Retire);
    queue.push("raised", lane("b"), Urgency::Retire);
    queue.push("raised", lane("b"), Urgency::Issue); // a lower one changes nothing
    assert_eq!(queue.len(Urgency::Retire), 2);
    let mut order = Vec::new();
    while let Some(key) = ready(&queue).await {
        order.push(key);
    }
    assert_eq!(order, ["raised", "retire", "renew", "issue"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_namespace_does_not_starve_another() {
    let queue = Queue::new();
    for n in 0..10_000 {
        queue.push(("full", n), lane("full"), Urgency::Issue);
    }
    queue.push(("small", 0), lane("small"), Urgency::Issue);
    queue.push(("small", 1), lane("small"), Urgency::Issue);
    let mut first = Vec::new();
    for _ in 0..4 {
        first.push(queue.next().await);
    }
    assert_eq!(
        first,
        [("full", 0), ("small", 0), ("full", 1), ("small", 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_in_flight_comes_again_only_when_it_is_done() {
    let queue = Queue::new();
    queue.push(1, lane("a"), Urgency::Issue);
    assert_eq!(queue.next().await, 1);
    queue.push(1, lane("a"), Urgency::Issue);
    queue.push(1, lane("a"), Urgency::Retire);
    assert_eq!(ready(&queue).await, None);
    queue.done(&1, SETTLED);
    assert_eq!(queue.len(Urgency::Retire), 1);
    assert_eq!(queue.next().await, 1);
    queue.done(&1, SETTLED);
    assert_eq!(ready(&queue).await, None);
}

#[tokio::test(start_paused = true)]
async fn of_several_moments_the_earliest_counts() {
    let queue = Queue::new();
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    queue.push_at(1, lane("a"), Urgency::Retire, after(20));
    queue.push_at(1, lane("a"), Urgency::Issue, after(10));
    queue.push_at(1, lane("a"), Urgency::Issue, after(30));
    assert_eq!(queue.oldest_age(), None);
    assert_eq!(queue.next().await, 1);
    assert_eq!(start.elapsed().as_secs(), 10);
    queue.done(&1, SETTLED);
    assert!(
        timeout(Duration::from_secs(100), queue.next())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_moment_that_comes_while_the_key_waits_raises_it() {
    let queue = Queue::new();
    queue.push(1, lane("a"), Urgency::Issue);
    queue.push(2, lane("a"), Urgency::Issue);
    queue.push_at(
        2,
        lane("a"),
        Urgency::Retire,
        Instant::now() + Duration::from_secs(5),
    );
    advance(Duration::from_secs(6)).await;
    assert_eq!(queue.next().await, 2);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_moment_wakes_the_one_that_waits_for_a_later() {
    let queue = Arc::new(Queue::new());
    let start = Instant::now();
    queue.push_at(
        "late",
        lane("a"),
        Urgency::Issue,
        start + Duration::from_secs(60),
    );
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        let queue = Arc::clone(&queue);
        workers.spawn(async move { (queue.next().await, start.elapsed().as_secs()) });
    }
    tokio::task::yield_now().await;
    queue.push_at(
        "early",
        lane("a"),
        Urgency::Issue,
        start + Duration::from_secs(5),
    );
    let first = workers.join_next().await.unwrap().unwrap();
    let second = workers.join_next().await.unwrap().unwrap();
    assert_eq!([first, second], [("early", 5), ("late", 60)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_hands_the_clock_on() {
    let queue = Arc::new(Queue::new());
    queue.push_at(
        1,
        lane("a"),
        Urgency::Issue,
        Instant::now() + Duration::from_secs(60),
    );
    let mut keeper = JoinSet::new();
    let theirs = Arc::clone(&queue);
    keeper.spawn(async move { theirs.next().await });
    tokio::task::yield_now().await;
    let mut other = JoinSet::new();
    let theirs = Arc::clone(&queue);
    other.spawn(async move { theirs.next().await });
    tokio::task::yield_now().await;
    keeper.shutdown().await;
    assert_eq!(other.join_next().await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_success_resets() {
    let queue = Queue::new();
    queue.push(1, lane("a"), Urgency::Issue);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let before = Instant::now();
        queue.next().await;
        waits.push(before.elapsed().as_millis());
        queue.done(
            &1,
            Outcome::Failed {
                urgency: Urgency::Renew,
            },
        );
    }
    assert!((80..=121).contains(&waits[1]), "{waits:?}");
    assert!((160..=241).contains(&waits[2]), "{waits:?}");
    assert!((48_000..=72_001).contains(&waits[11]), "{waits:?}");
    queue.next().await;
    queue.done(&1, SETTLED);
    queue.push(1, lane("a"), Urgency::Issue);
    assert_eq!(ready(&queue).await, Some(1));
    queue.done(
        &1,
        Outcome::Failed {
            urgency: Urgency::Issue,
        },
    );
    let before = Instant::now();
    queue.next().await;
    assert!(before.elapsed() <= Duration::from_millis(121));
}

#[tokio::test(start_paused = true)]
async fn an_event_shortens_a_backoff_but_makes_no_hot_loop() {
    let queue = Queue::new();
    let start = Instant::now();
    let mut tries = 0;
    queue.push(1, lane("a"), Urgency::Issue);
    while start.elapsed() < Duration::from_secs(60) {
        queue.next().await;
        tries += 1;
        queue.push(1, lane("a"), Urgency::Issue); // the failure itself causes an event
        queue.done(
            &1,
            Outcome::Failed {
                urgency: Urgency::Issue,
            },
        );
        queue.push(1, lane("a"), Urgency::Renew);
    }
    assert!((8..=16).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn news_of_an_end_does_not_wait_for_a_backoff() {
    let queue = Queue::new();
    queue.push(1, lane("a"), Urgency::Issue);
    for _ in 0..10 {
        queue.next().await;
        queue.done(
            &1,
            Outcome::Failed {
                urgency: Urgency::Issue,
            },
        );
    }
    assert_eq!(ready(&queue).await, None);
    queue.push(1, lane("a"), Urgency::Retire);
    assert_eq!(ready(&queue).await, Some(1));
    queue.done(
        &1,
        Outcome::Failed {
            urgency: Urgency::Retire,
        },
    );
    queue.push(1, lane("a"), Urgency::Retire);
    let before = Instant::now();
    queue.next().await;
    assert_eq!(before.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_does_not_come() {
    let queue = Queue::new();
    let later = Instant::now() + Duration::from_secs(1);
    queue.push(1, lane("a"), Urgency::Issue);
    queue.push_at(2, lane("a"), Urgency::Issue, later);
    queue.push(3, lane("a"), Urgency::Retire);
    assert_eq!(queue.next().await, 3);
    queue.push(3, lane("a"), Urgency::Retire);
    for key in [1, 2, 3] {
        queue.forget(&key);
    }
    queue.done(&3, SETTLED);
    assert!(
        timeout(Duration::from_secs(10), queue.next())
            .await
            .is_err()
    );
    assert_eq!(queue.state.lock().known(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_age_is_that_of_the_longest_wait() {
    let queue = Queue::new();
    queue.push_at(
        1,
        lane("a"),
        Urgency::Issue,
        Instant::now() + Duration::from_secs(2),
    );
    advance(Duration::from_secs(5)).await;
    queue.push(2, lane("a"), Urgency::Retire);
    assert_eq!(queue.oldest_age(), Some(Duration::from_secs(3)));
    assert_eq!(queue.len(Urgency::Issue), 1);
}

#[tokio::test(start_paused = true)]
async fn many_workers_see_each_of_a_hundred_thousand_keys_once() {
    const KEYS: usize = 100_000;
    let queue = Arc::new(Queue::new());
    for n in 0..KEYS {
        queue.push(n, lane(&format!("ns-{}", n % 97)), Urgency::Issue);
    }
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let queue = Arc::clone(&queue);
        workers.spawn(async move {
            let mut seen = Vec::new();
            while let Ok(key) = timeout(Duration::from_secs(1), queue.next()).await {
                tokio::task::yield_now().await;
                queue.done(&key, SETTLED);
                seen.push(key);
            }
            seen
        });
    }
    let seen: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(seen.len(), KEYS);
    assert_eq!(BTreeSet::from_iter(seen).len(), KEYS);
}

/// What a test does to a queue of few keys.
#[derive(Debug, Clone)]
enum Step {
    Push(u8, Urgency),
    PushAt(u8, Urgency, u64),
    Take,
    Settle(u8, Option<(u64, Urgency)>),
    Fail(u8, Urgency),
    Advance(u64),
}

fn urgency() -> impl Strategy<Value = Urgency> {
    prop_oneof![
        Just(Urgency::Issue),
        Just(Urgency::Renew),
        Just(Urgency::Retire)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u8..6;
    let again = prop::option::of((0_u64..5_000, urgency()));
    prop_oneof![
        (key.clone(), urgency()).prop_map(|(key, urgency)| Step::Push(key, urgency)),
        (key.clone(), urgency(), 0_u64..5_000)
            .prop_map(|(key, urgency, ms)| Step::PushAt(key, urgency, ms)),
        Just(Step::Take),
        Just(Step::Take),
        (key.clone(), again).prop_map(|(key, again)| Step::Settle(key, again)),
        (key, urgency()).prop_map(|(key, urgency)| Step::Fail(key, urgency)),
        (0_u64..2_000).prop_map(Step::Advance),
    ]
}

proptest! {
    /// The model knows for each key until when it must be ready at the latest, and who is in flight.
    #[test]
    fn nothing_is_lost_and_nothing_delivered_twice(steps in prop::collection::vec(step(), 0..200)) {
        let start = Instant::now();
        let mut now = start;
        let mut state = State::new();
        let mut in_flight = BTreeSet::new();
        let mut owed: BTreeMap<u8, Instant> = BTreeMap::new();
        let name = |key: u8| lane(if key.is_multiple_of(2) { "even" } else { "odd" });
        for step in steps {
            match step {
                Step::Push(key, urgency) => {
                    state.push(now, key, name(key), urgency);
                    owed.insert(key, now + Duration::from_secs(72));
                }
                Step::PushAt(key, urgency, ms) => {
                    let at = now + Duration::from_millis(ms);
                    state.push_at(now, key, name(key), urgency, at);
                    owed.entry(key).or_insert(now + Duration::from_secs(80));
                }
                Step::Take => {
                    let before = [Urgency::Retire, Urgency::Renew, Urgency::Issue]
                        .map(|urgency| state.len(now, urgency));
                    let taken = state.take(now);
                    let after = [Urgency::Retire, Urgency::Renew, Urgency::Issue]
                        .map(|urgency| state.len(now, urgency));
                    if let Some(key) = taken {
                        prop_assert!(in_flight.insert(key), "{key} twice");
                        owed.remove(&key);
                        // The one that lost a key is the most urgent that had one.
                        let highest = before.iter().position(|len| *len > 0).unwrap();
                        prop_assert_eq!(before[highest], after[highest] + 1);
                    } else {
                        prop_assert_eq!(before, [0, 0, 0]);
                    }
                }
                Step::Settle(key, again) => {
                    let again = again.map(|(ms, urgency)| (now + Duration::from_millis(ms), urgency));
                    state.done(now, &key, Outcome::Settled { again }, 0.0);
                    if in_flight.remove(&key) && again.is_some() {
                        owed.entry(key).or_insert(now + Duration::from_secs(80));
                    }
                }
                Step::Fail(key, urgency) => {
                    state.done(now, &key, Outcome::Failed { urgency }, 1.0);
                    if in_flight.remove(&key) {
                        owed.entry(key).or_insert(now + Duration::from_secs(80));
                    }
                }
                Step::Advance(ms) => now += Duration::from_millis(ms),
            }
        }
        // All that is owed comes, once, as soon as its moment is there.
        for key in std::mem::take(&mut in_flight) {
            state.done(now, &key, SETTLED, 0.0);
        }
        now += Duration::from_secs(80);
        while let Some(key) = state.take(now) {
            prop_assert!(in_flight.insert(key), "{key} twice");
            owed.remove(&key);
        }
        prop_assert!(owed.is_empty(), "lost: {owed:?}");
        for key in in_flight {
            state.done(now, &key, SETTLED, 0.0);
        }
        prop_assert_eq!(state.known(), 0, "something is left");
    }
}
