//! The same on PostgreSQL, for several writers.

use std::time::Duration;

use countersign_testbed::Postgres;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::failure::healthy;
use super::fixture::{
    CHAIN, Notary, Place, Running, at, entry, found, issued, run_sql, settings, verified,
};
use crate::{Entry, Kind, Log, Tampering, TrailStart, verify_segment};

#[tokio::test(flavor = "multi_thread")]
async fn writers_share_a_database_each_with_its_chain() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    // At once: all of them make the tables.
    let logs =
        join_all(["a", "b", "c"].map(|writer| Log::open(settings(&server.url(), writer)))).await;
    let running: Vec<Running> = logs
        .into_iter()
        .map(|it| Running::of(it.unwrap()))
        .collect();
    let appends = (1..=600).map(|number| {
        running[usize::try_from(number % 3).unwrap()]
            .log
            .append(issued(number))
    });
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    for it in &running {
        it.log.close().await;
    }
    let report = verified(&server.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    let chains: Vec<_> = report
        .chains
        .iter()
        .map(|it| (it.records, it.signed_through))
        .collect();
    assert_eq!(chains, [(200, 200), (200, 200), (200, 200)]);
    let trail = running[0]
        .log
        .reader()
        .trail(&TrailStart::Serial("7".to_owned()))
        .await
        .unwrap();
    assert_eq!(trail.len(), 1);

    run_sql(
        &server.url(),
        "UPDATE records SET body = replace(body, 'alice', 'bob') WHERE seq = 12",
    )
    .await;
    assert_eq!(found(&server.url(), &[]).await, (Tampering::Edited, 12, 12));
    run_sql(
        &server.url(),
        "DELETE FROM records WHERE seq BETWEEN 11 AND 13",
    )
    .await;
    assert_eq!(
        found(&server.url(), &[]).await,
        (Tampering::Removed, 11, 13)
    );
    run_sql(&server.url(), "DELETE FROM records WHERE seq > 5").await;
    assert_eq!(found(&server.url(), &[]).await, (Tampering::CutOff, 6, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_under_one_name_make_no_fork_and_no_text_stops_the_log() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let one = Running::start(settings(&server.url(), "a")).await;
    let two = Running::start(settings(&server.url(), "a")).await;
    for number in 1..=30 {
        let (left, right) = tokio::join!(
            one.log.append(issued(number)),
            two.log.append(issued(number))
        );
        assert!(left.is_ok() && right.is_ok(), "{left:?} {right:?}");
    }
    let odd = Entry {
        owner: Some("a\0b \u{1f600}".to_owned()),
        ..issued(31)
    };
    one.log.append(odd).await.unwrap();
    let report = verified(&server.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(report.chains[0].records, 61);
    let place = Place::new();
    let (_, path) = one
        .log
        .seal(CHAIN, at(2_000_000), place.dir(), &Notary, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(verify_segment(&path, &Notary).unwrap().finding, None);
    let report = verified(&server.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_finds_what_waited_and_no_gap() {
    let Some(mut server) = Postgres::start().unwrap() else {
        return;
    };
    let running = Running::start(settings(&server.url(), "a")).await;
    running.fill(1, 15).await;
    server.down().unwrap();
    running.log.append(issued(16)).await.unwrap_err();
    running.log.health().unwrap_err();
    for number in 1..=200 {
        running.log.later(entry(number, Kind::IdentityEnded));
    }
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let started = Instant::now();
        running.log.append(issued(17)).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(2));
        sleep(Duration::from_millis(50)).await;
    }
    server.up().unwrap();
    healthy(&running.log, true).await;
    assert_eq!(running.log.waiting(), 0);
    running.log.append(issued(18)).await.unwrap();
    running.log.close().await;
    let report = verified(&server.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(report.chains[0].records, 15 + 1 + 200 + 1);
}
