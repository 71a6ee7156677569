//! What is given up before it is stored.

use std::time::Duration;

use sqlx::{AnyConnection, Connection as _};
use tokio::time::sleep;

use super::fixture::{CHAIN, Place, Running, issued, settings};
use crate::{AuditError, Cursor, Entry, Filter, Log, Outcome, Settings};

/// A log whose appends wait for 300 ms.
async fn impatient(place: &Place) -> Log {
    let settings = Settings {
        append_timeout: Duration::from_millis(300),
        ..settings(&place.url(), "a")
    };
    Log::open(settings).await.unwrap()
}

fn denial(number: u64) -> Entry {
    Entry {
        outcome: Outcome::Refused,
        ..issued(number)
    }
}

/// Appends in vain, and says so.
async fn give_up(log: &Log, number: u64) {
    let error = log.append(issued(number)).await.unwrap_err();
    assert!(matches!(error, AuditError::Unavailable(_)), "{error}");
    log.later(denial(number));
}

/// Number and outcome of each record, in their order.
async fn records(log: &Log) -> Vec<(String, Outcome)> {
    while log.waiting() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    log.close().await;
    let filter = Filter {
        chain: Some(CHAIN.to_owned()),
        ..Filter::default()
    };
    let found = log.reader().records(&Cursor::default(), &filter, 100).await;
    let found = found.unwrap().into_iter();
    found
        .map(|it| (it.entry.object.name, it.entry.outcome))
        .collect()
}

/// Holds the store's lock, so that no commit comes to its end.
async fn hold(place: &Place) -> AnyConnection {
    let url = place.url().replace(' ', "%20");
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn an_append_that_is_given_up_while_it_waits_is_never_written() {
    let place = Place::new();
    let log = impatient(&place).await;
    // Nobody writes yet.
    give_up(&log, 1).await;
    give_up(&log, 2).await;
    let running = Running::of(log);
    let names = records(&running.log).await;
    let refused = |number: u64| (format!("agent-{number}"), Outcome::Refused);
    assert_eq!(names, [refused(1), refused(2)]);
}

#[tokio::test]
async fn what_is_said_of_an_append_that_was_given_up_in_its_commit_stands_behind_it() {
    let place = Place::new();
    let running = Running::of(impatient(&place).await);
    let lock = hold(&place).await;
    // The first is in its commit; the others wait behind it.
    let first = give_up(&running.log, 1);
    let others = async {
        sleep(Duration::from_millis(100)).await;
        tokio::join!(give_up(&running.log, 2), give_up(&running.log, 3));
    };
    tokio::join!(first, others);
    lock.close().await.unwrap();
    let names = records(&running.log).await;
    let of = |number: u64, outcome| (format!("agent-{number}"), outcome);
    let mut expected = vec![of(1, Outcome::Allowed)];
    expected.extend([1, 2, 3].map(|number| of(number, Outcome::Refused)));
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_append_whose_future_is_dropped_while_it_waits_is_never_written() {
    let place = Place::new();
    let log = impatient(&place).await;
    let dropped = tokio::time::timeout(Duration::from_millis(20), log.append(issued(1)));
    dropped.await.unwrap_err();
    let running = Running::of(log);
    running.log.append(issued(2)).await.unwrap();
    let names = records(&running.log).await;
    assert_eq!(names, [("agent-2".to_owned(), Outcome::Allowed)]);
}
