//! How fast it is. Ignored: it takes a machine of its own and a release build.

use std::time::Duration;

use countersign_testbed::Postgres;
use futures::future::join_all;
use tokio::time::Instant;

use super::fixture::{Place, Running, hop, issued, settings, verified};
use crate::{Log, TrailStart};

async fn rate(running: &Running, records: u64, chains: bool) -> f64 {
    let started = Instant::now();
    let appenders: u64 = 512;
    join_all((0..appenders).map(|appender| async move {
        for number in (appender..records).step_by(512) {
            let entry = if chains && number % 2 == 0 {
                hop(
                    number,
                    number / 8,
                    u8::try_from(number / 2 % 4).unwrap(),
                    number,
                )
            } else {
                issued(number)
            };
            running.log.append(entry).await.unwrap();
        }
    }))
    .await;
    f64::from(u32::try_from(records).unwrap()) / started.elapsed().as_secs_f64()
}

fn fast(url: &str) -> crate::Settings {
    crate::Settings {
        checkpoint_records: 1000,
        ..settings(url, "a")
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a machine of its own"]
async fn sqlite_takes_20000_records_a_second_and_a_trail_50_ms() {
    let place = Place::new();
    let running = Running::of(Log::open(fast(&place.url())).await.unwrap());
    eprintln!(
        "SQLite, first 100,000: {:.0} records/s",
        rate(&running, 100_000, true).await
    );
    eprintln!(
        "SQLite, next 900,000: {:.0} records/s",
        rate(&running, 900_000, true).await
    );
    let reader = running.log.reader();
    let mut times = Vec::new();
    for number in 0..50 {
        let started = Instant::now();
        let start = TrailStart::SpiffeId(super::fixture::spiffe_id(10_006 + number * 8));
        assert!(reader.trail(&start).await.unwrap().len() >= 4);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    eprintln!("trail: median {:?}, most {:?}", times[25], times[49]);
    assert!(times[49] < Duration::from_millis(50));
    let started = Instant::now();
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    eprintln!("verified 1,000,000 in {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a machine of its own"]
async fn postgres_takes_5000_records_a_second() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let running = Running::of(Log::open(fast(&server.url())).await.unwrap());
    eprintln!(
        "PostgreSQL: {:.0} records/s",
        rate(&running, 100_000, true).await
    );
}
