//! What still runs is found a page at a time, and what has no end on record by its UID.

use std::time::Duration;

use countersign_testbed::Postgres;

use super::fixture::{CHAIN, Place, Running, at, entry, hop, issued, settings};
use crate::{Cursor, Entry, Kind, Reader};

async fn filled(url: &str) -> Running {
    let running = Running::start(settings(url, "a")).await;
    for number in 1..=20 {
        // Many with one end.
        let one = Entry {
            not_after: Some(at(500 + i64::try_from(number / 6).unwrap())),
            ..issued(number)
        };
        running.log.append(one).await.unwrap();
    }
    for number in [3, 5, 5] {
        let end = entry(number, Kind::IdentityEnded);
        running.log.append(end).await.unwrap();
    }
    running.log.append(hop(30, 1, 1, 7)).await.unwrap();
    let end = Entry {
        kind: Kind::DelegationEnded,
        ..hop(31, 1, 1, 7)
    };
    running.log.append(end).await.unwrap();
    running
}

async fn is_found(reader: &Reader) {
    let all = reader.unexpired(at(501)).await.unwrap();
    let expected: Vec<u64> = (12..=20).chain([24]).collect();
    let seqs: Vec<u64> = all.iter().map(|it| it.position.seq).collect();
    assert_eq!(seqs, expected);
    for limit in [1, 3, 4, 10] {
        let mut seqs = Vec::new();
        let mut after = None;
        loop {
            let page = reader.unexpired_page(at(501), after.as_ref(), limit).await;
            let (records, next) = page.unwrap();
            assert!(records.len() <= usize::try_from(limit).unwrap());
            seqs.extend(records.iter().map(|it| it.position.seq));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seqs, expected, "{limit} at a time");
    }
    certificates_are_found(reader).await;
    let uids = [
        "uid-5", "uid-4", "uid-3", "uid-31", "none\0", "it's", "uid-4",
    ];
    let without = reader.without_end(&uids).await.unwrap();
    assert_eq!(without, ["uid-4", "none\0", "it's"]);
    assert!(reader.without_end(&[]).await.unwrap().is_empty());
    let many: Vec<String> = (1..=2500).map(|it| format!("uid-{it}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(reader.without_end(&many).await.unwrap().len(), 2497);
}

async fn certificates_are_found(reader: &Reader) {
    let mut uids: Vec<String> = (10..=15).map(|it| format!("uid-{it}")).collect();
    uids.extend(["none\0".to_owned(), "it's".to_owned(), "uid-30".to_owned()]);
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    for limit in [1, 2, 4, 100] {
        let (mut seqs, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(after) = from {
            let page = reader.certificates_page(&uids, at(501), &after, limit);
            let (records, next) = page.await.unwrap();
            assert!(records.len() <= usize::try_from(limit).unwrap());
            seqs.extend(records.iter().map(|it| it.position.seq));
            from = next;
        }
        assert_eq!(seqs, [12, 13, 14, 15], "{limit} at a time");
    }
    let from = Cursor::default();
    let (none, _) = reader
        .certificates_page(&[], at(501), &from, 9)
        .await
        .unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn what_was_granted_is_found_in_sqlite() {
    let place = Place::new();
    let running = filled(&place.url()).await;
    is_found(&running.log.reader()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_is_found_in_postgres_and_no_look_up_takes_for_ever() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let running = filled(&server.url()).await;
    let reader = running.log.reader();
    is_found(&reader).await;
    let limit: (String,) = sqlx::query_as("SELECT current_setting('statement_timeout')")
        .fetch_one(&reader.pool)
        .await
        .unwrap();
    assert_eq!(limit.0, "5s");
    let slow = sqlx::query("SELECT pg_sleep(60)").execute(&reader.pool);
    let slow = tokio::time::timeout(Duration::from_secs(20), slow).await;
    slow.unwrap().unwrap_err();
    reader.by_position(CHAIN, 1).await.unwrap().unwrap();
}
