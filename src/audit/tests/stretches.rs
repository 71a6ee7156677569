//! A look-up finds what is in any stretch of the log, also behind a stretch that is gone, and takes
//! no look at other records.

use countersign_testbed::Postgres;
use tokio::task::JoinSet;

use super::fixture::{CHAIN, Place, Running, entry, issued, run_sql, settings, spiffe_id};
use crate::{Kind, Log, Reader, TrailStart};

/// Three stretches and a piece of a fourth.
const RECORDS: u64 = 3 * 4096 + 100;

async fn fill(log: &Log) {
    let mut appends = JoinSet::new();
    for number in 1..=RECORDS {
        let log = log.clone();
        appends.spawn(async move { log.append(issued(number)).await });
    }
    for done in appends.join_all().await {
        done.unwrap();
    }
    log.append(entry(1, Kind::IdentityEnded)).await.unwrap();
}

async fn all_are_found(reader: &Reader) {
    for number in [1, 4095, 4096, 8191, RECORDS] {
        let serial = format!("{number:x}");
        let by_serial = reader.by_serial(&serial).await.unwrap();
        assert_eq!(by_serial.len(), 1, "{serial}");
        let id = spiffe_id(number);
        assert_eq!(reader.by_spiffe_id(&id).await.unwrap(), by_serial);
        let by_uid = reader
            .by_object_uid(&format!("uid-{number}"))
            .await
            .unwrap();
        assert!(by_uid.contains(&by_serial[0]));
    }
    assert_eq!(reader.by_object_uid("uid-1").await.unwrap().len(), 2);
    let without = reader
        .without_end(&["uid-1", "uid-5000", "uid-12000"])
        .await;
    assert_eq!(without.unwrap(), ["uid-5000", "uid-12000"]);
}

async fn one_is_found_behind_a_gap(reader: &Reader) {
    let start = TrailStart::Serial(format!("{RECORDS:x}"));
    assert_eq!(reader.trail(&start).await.unwrap().len(), 1);
    assert!(
        reader
            .by_spiffe_id(&spiffe_id(5000))
            .await
            .unwrap()
            .is_empty()
    );
}

/// Takes the second stretch away.
const GAP: &str = "DELETE FROM records WHERE seq / 4096 = 1";

#[tokio::test(flavor = "multi_thread")]
async fn every_stretch_is_searched_in_sqlite() {
    let place = Place::new();
    let running = place.log().await;
    fill(&running.log).await;
    let reader = running.log.reader();
    all_are_found(&reader).await;
    place.sql(GAP).await;
    one_is_found_behind_a_gap(&reader).await;
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(concat!(
        "EXPLAIN QUERY PLAN ",
        crate::record::select_by!("serial")
    ))
    .bind("1")
    .fetch_all(&reader.pool)
    .await
    .unwrap();
    let plan: Vec<&str> = plan.iter().map(|it| it.3.as_str()).collect();
    assert!(
        plan.contains(&"SEARCH records USING INDEX records_serial (<expr>=? AND serial=?)"),
        "{plan:#?}"
    );
    // Of the stretches, the recursion only: the records are never gone through.
    let scans = plan.iter().filter(|it| it.starts_with("SCAN records"));
    assert_eq!(scans.count(), 0, "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stretch_is_searched_in_postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let running = Running::start(settings(&server.url(), "a")).await;
    fill(&running.log).await;
    let reader = running.log.reader();
    all_are_found(&reader).await;
    run_sql(&server.url(), GAP).await;
    one_is_found_behind_a_gap(&reader).await;
    run_sql(&server.url(), "ANALYZE records").await;
    let plan: Vec<(String,)> =
        sqlx::query_as(concat!("EXPLAIN ", crate::record::select_by!("serial")))
            .bind("1")
            .fetch_all(&reader.pool)
            .await
            .unwrap();
    let plan: Vec<&str> = plan.iter().map(|it| it.0.trim()).collect();
    assert!(
        plan.iter().any(|it| it.contains("records_serial")),
        "{plan:#?}"
    );
    assert!(
        !plan.iter().any(|it| it.contains("Seq Scan on records")),
        "{plan:#?}"
    );
    let head = reader.by_position(CHAIN, RECORDS + 1).await.unwrap();
    assert_eq!(head.unwrap().entry.kind, Kind::IdentityEnded);
}
