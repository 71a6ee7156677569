//! What is appended is there, in order, and verifies.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use futures::future::join_all;

use super::fixture::{CHAIN, Place, Running, entry, issued, settings, verified};
use crate::{AuditError, Entry, Kind, Log, Settings};

#[tokio::test]
async fn an_honest_store_verifies_while_it_is_written_and_after() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 25).await;
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(
        (report.chains[0].records, report.chains[0].signed_through),
        (25, 20)
    );
    running.log.close().await;
    let anchors = running.log.latest_checkpoints();
    let report = verified(&place.url(), &[anchors[0].token.clone()])
        .await
        .unwrap();
    assert!(report.is_honest(), "{report}");
    let chain = &report.chains[0];
    assert_eq!(chain.chain, CHAIN);
    assert_eq!(
        (
            chain.signed_through,
            chain.anchored_through,
            chain.checkpoints
        ),
        (25, 25, 3)
    );
    assert_eq!(
        report.to_string(),
        "example.org/a: 25 records, signed up to 25, anchored up to 25: intact"
    );
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 1).await;
    for file in std::fs::read_dir(place.dir()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{file:?}"
        );
    }
}

#[tokio::test]
async fn whatever_waits_at_the_same_time_gets_places_of_its_own() {
    let place = Place::new();
    let running = place.log().await;
    let all = join_all((1..=3000).map(|number| running.log.append(issued(number)))).await;
    let mut places: Vec<u64> = all.into_iter().map(|it| it.unwrap().seq).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=3000).collect::<Vec<_>>());
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}

#[tokio::test]
async fn a_trust_domain_has_a_chain_of_its_own_and_a_restart_goes_on_with_it() {
    let place = Place::new();
    for round in 0..3 {
        let running = place.log().await;
        running.fill(round * 2 + 1, round * 2 + 2).await;
        let other = Entry {
            trust_domain: "example.net".to_owned(),
            ..issued(7)
        };
        assert_eq!(running.log.append(other).await.unwrap().seq, round + 1);
        running.log.close().await;
    }
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    let chains: Vec<_> = report
        .chains
        .iter()
        .map(|it| (it.chain.as_str(), it.records))
        .collect();
    assert_eq!(chains, [("example.net/a", 3), (CHAIN, 6)]);
}

#[tokio::test]
async fn retirements_keep_their_order() {
    let place = Place::new();
    let running = place.log().await;
    for number in 1..=5000 {
        running.log.later(entry(number, Kind::IdentityEnded));
    }
    running.log.close().await;
    let reader = running.log.reader();
    let records = reader
        .records(&Default::default(), &Default::default(), 6000)
        .await
        .unwrap();
    let names: Vec<_> = records.into_iter().map(|it| it.entry.object.name).collect();
    let expected: Vec<_> = (1..=5000).map(|number| format!("agent-{number}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_store_in_memory_is_read_by_its_log() {
    let running = Running::start(settings("sqlite::memory:", "a")).await;
    running.fill(1, 12).await;
    let report = crate::verify(&running.log.reader(), &super::fixture::Notary, &[])
        .await
        .unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(report.chains[0].records, 12);
}

#[tokio::test]
async fn a_closed_log_refuses() {
    let place = Place::new();
    let running = place.log().await;
    running.log.close().await;
    let refused = running.log.append(issued(1)).await.unwrap_err();
    assert!(matches!(refused, AuditError::Closed), "{refused}");
    running.log.health().unwrap_err();
}

#[test]
fn settings_that_cant_be_are_refused() {
    for (url, writer) in [
        ("sqlite:x", ""),
        ("sqlite:x", "a/b"),
        ("sqlite:", "a"),
        ("mysql://x", "a"),
        ("", "a"),
    ] {
        let settings = Settings::new(url, writer, Arc::new(|| super::fixture::at(0)));
        assert!(
            matches!(Log::new(settings), Err(AuditError::Settings(_))),
            "{url} {writer}"
        );
    }
}

#[test]
fn what_is_too_long_is_cut_or_left_out_or_refused() {
    let long = "ä".repeat(1000);
    let entry = Entry {
        message: long.clone(),
        ..issued(1)
    };
    let body: Entry = serde_json::from_str(&entry.prepare().unwrap().body).unwrap();
    assert_eq!(body.message, "ä".repeat(512));
    let grant = issued(1).permissions[0].clone();
    let entry = Entry {
        permissions: vec![grant; 5000],
        ..issued(1)
    };
    let body: Entry = serde_json::from_str(&entry.prepare().unwrap().body).unwrap();
    assert!(body.permissions.is_empty());
    assert_eq!(body.message, " (5000 permissions too long to record)");
    let entry = Entry {
        owner: Some("x".repeat(70_000)),
        ..issued(1)
    };
    assert!(matches!(entry.prepare(), Err(AuditError::Entry(_))));
    let entry = Entry {
        trust_domain: "a/b".to_owned(),
        ..issued(1)
    };
    assert!(matches!(entry.prepare(), Err(AuditError::Entry(_))));
}
