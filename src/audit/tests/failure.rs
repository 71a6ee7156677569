//! A store that fails stops grants, and nothing is forgotten.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::fixture::{Place, Running, entry, issued, settings, verified};
use crate::{AuditError, Kind, Log, Reader};

pub(super) async fn healthy(log: &Log, wanted: bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while log.health().is_ok() != wanted {
        assert!(Instant::now() < end, "still {:?}", log.health());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_disk_stops_appends_and_keeps_what_comes_later() {
    let place = Place::new();
    let log = Log::open(settings(&place.url(), "a")).await.unwrap();
    log.shared.store.max_pages.store(1, Ordering::Relaxed);
    let running = Running::of(log);
    let mut stored = 0;
    let refused = loop {
        match running.log.append(issued(stored + 1)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        refused.to_string(),
        "the audit log can't be written: database or disk is full"
    );
    assert_eq!(
        running.log.health().unwrap_err(),
        "database or disk is full"
    );
    for number in 1..=5 {
        running.log.later(entry(number, Kind::IdentityEnded));
    }
    sleep(Duration::from_millis(600)).await;
    let started = Instant::now();
    running.log.append(issued(9999)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(running.log.waiting(), 5);
    running
        .log
        .shared
        .store
        .max_pages
        .store(0, Ordering::Relaxed);
    healthy(&running.log, true).await;
    assert_eq!(running.log.waiting(), 0);
    running.log.append(issued(10_000)).await.unwrap();
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(
        report.chains[0].records,
        stored + 7,
        "a resumption, five that waited, and one"
    );
    let reader = running.log.reader();
    let resumed = reader
        .by_position("example.org/a", stored + 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(resumed.entry.kind, Kind::LogResumed);
    let first = reader
        .by_position("example.org/a", stored + 2)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.entry.object.name, "agent-1");
}

#[tokio::test]
async fn a_store_that_is_there_later_is_found() {
    let place = Place::new();
    let hidden = place.dir().join("later");
    let url = format!("sqlite:{}/log.db", hidden.display());
    let running = Running::of(Log::new(settings(&url, "a")).unwrap());
    running.log.later(entry(1, Kind::IdentityEnded));
    let refused = running.log.append(issued(2)).await.unwrap_err();
    assert!(matches!(refused, AuditError::Unavailable(_)), "{refused}");
    std::fs::create_dir(&hidden).unwrap();
    healthy(&running.log, true).await;
    running.log.append(issued(3)).await.unwrap();
    running.log.close().await;
    assert!(verified(&url, &[]).await.unwrap().is_honest());
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_an_error() {
    let place = Place::new();
    for content in [
        &b"garbage, and more of it than a header has: ".repeat(50)[..],
        b"SQLite format 3\0half",
    ] {
        std::fs::write(place.file(), content).unwrap();
        Reader::open(&place.url()).await.unwrap_err();
        Log::open(settings(&place.url(), "a")).await.unwrap_err();
    }
    Reader::open(&format!("sqlite:{}/none", place.dir().display()))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_truncated_file_is_an_error_or_a_finding() {
    let place = Place::new();
    let running = place.log().await;
    join_all((0..500).map(|number| running.log.append(issued(number)))).await;
    running.log.close().await;
    // Everything into the one file.
    place.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let whole = std::fs::read(place.file()).unwrap();
    for part in 1..12 {
        for side in ["-wal", "-shm"] {
            drop(std::fs::remove_file(format!(
                "{}{side}",
                place.file().display()
            )));
        }
        std::fs::write(place.file(), &whole[..whole.len() * part / 12]).unwrap();
        let report = verified(&place.url(), &[]).await;
        assert!(
            report.as_ref().map_or(true, |it| !it.is_honest()),
            "{part}: {report:?}"
        );
    }
}

#[tokio::test]
async fn two_under_one_name_make_no_fork() {
    let place = Place::new();
    let one = place.log().await;
    let two = place.log().await;
    let appends = (1..=300).map(|number| {
        let log = if number % 2 == 0 { &one.log } else { &two.log };
        log.append(issued(number))
    });
    let stored = join_all(appends)
        .await
        .iter()
        .filter(|it| it.is_ok())
        .count();
    let mut alternating = 0;
    for number in 1..=20 {
        alternating += usize::from(one.log.append(issued(number)).await.is_ok());
        alternating += usize::from(two.log.append(issued(number)).await.is_ok());
    }
    assert_eq!(alternating, 40);
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert!(report.chains[0].records >= u64::try_from(stored).unwrap() + 40);
}

#[tokio::test]
async fn a_record_outlives_a_crash_before_its_effect() {
    let place = Place::new();
    let running = place.log().await;
    running.log.append(issued(1)).await.unwrap();
    drop(running);
    let reader = Reader::open(&place.url()).await.unwrap();
    assert_eq!(reader.by_serial("1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_repeated() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 3).await;
    let mut batch = crate::batch::Batch::new(&running.log.shared);
    let reader = running.log.reader();
    let third = reader
        .by_position("example.org/a", 3)
        .await
        .unwrap()
        .unwrap()
        .position;
    let other = crate::Position {
        hash: crate::Hash([1; 32]),
        ..third.clone()
    };
    assert!(batch.has(&crate::batch::InDoubt(third)).await.unwrap());
    assert!(!batch.has(&crate::batch::InDoubt(other)).await.unwrap());
}
