//! What waits in memory has bounds, and ends outlast refusals.

use std::time::Duration;

use super::failure::healthy;
use super::fixture::{CHAIN, Place, Running, entry, settings};
use crate::{Cursor, Entry, Filter, Kind, Log, Outcome, Settings};

fn refusal(number: u64) -> Entry {
    Entry {
        outcome: Outcome::Refused,
        ..entry(number, Kind::IdentityRefused)
    }
}

#[tokio::test]
async fn what_is_more_than_memory_may_hold_is_counted_and_said() {
    let place = Place::new();
    let settings = crate::Settings {
        max_later: 3,
        ..settings(&place.url(), "a")
    };
    let log = Log::open(settings).await.unwrap();
    for number in 1..=5 {
        log.later(entry(number, Kind::IdentityEnded));
    }
    assert_eq!((log.waiting(), log.dropped()), (3, 2));
}

#[tokio::test]
async fn when_too_many_wait_refusals_go_before_ends() {
    let place = Place::new();
    let hidden = place.dir().join("later");
    let settings = Settings {
        max_later: 4,
        ..settings(&format!("sqlite:{}/log.db", hidden.display()), "a")
    };
    let log = Log::new(settings).unwrap();
    for number in 1..=3 {
        log.later(refusal(number));
    }
    for number in 4..=6 {
        log.later(entry(number, Kind::IdentityEnded));
    }
    assert_eq!((log.waiting(), log.dropped()), (4, 2));
    log.later(refusal(7));
    assert_eq!((log.waiting(), log.dropped()), (4, 3), "itself");
    log.later(entry(8, Kind::DelegationEnded));
    log.later(entry(9, Kind::DelegationEnded));
    assert_eq!((log.waiting(), log.dropped()), (4, 5), "no refusal is left");
    std::fs::create_dir(&hidden).unwrap();
    let running = Running::of(log);
    healthy(&running.log, true).await;
    while running.log.waiting() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.log.close().await;
    let records = running.log.reader();
    let records = records
        .records(&Cursor::default(), &Filter::default(), 10)
        .await
        .unwrap();
    let names: Vec<&str> = (records.iter())
        .filter(|it| it.position.chain == CHAIN)
        .map(|it| &*it.entry.object.name)
        .collect();
    assert_eq!(names, ["agent-4", "agent-5", "agent-6", "agent-8"]);
}

#[tokio::test]
async fn what_waits_has_so_many_bytes_and_no_more() {
    let place = Place::new();
    let settings = Settings {
        max_later_bytes: 100_000,
        ..settings(&place.url(), "a")
    };
    let log = Log::open(settings).await.unwrap();
    for number in 1..=1000 {
        log.later(refusal(number));
    }
    let fit = log.waiting();
    assert!((50..200).contains(&fit), "{fit}");
    for number in 1..=1000 {
        log.later(entry(number, Kind::IdentityEnded));
    }
    assert!((50..200).contains(&log.waiting()), "{}", log.waiting());
    let kept = u64::try_from(log.waiting()).unwrap();
    assert_eq!(kept + log.dropped(), 2000);
}
