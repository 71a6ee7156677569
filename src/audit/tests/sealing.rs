//! The oldest records move to files, and nothing is lost on the way.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::fixture::{CHAIN, Notary, Place, Running, at, found, issued, settings, verified};
use crate::{
    Hash, Log, Retention, SealedSegment, SegmentReport, Tampering, read_segment, verify_segment,
};

async fn sealed(running: &Running, place: &Place, before: i64) -> Option<(SealedSegment, PathBuf)> {
    running
        .log
        .seal(CHAIN, at(before), place.dir(), &Notary, false)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_store_with_sealed_segments_verifies_and_so_do_they() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    let (first, path) = sealed(&running, &place, 26).await.unwrap();
    assert_eq!((first.first_seq, first.last_seq), (1, 20));
    let one = verify_segment(&path, &Notary).unwrap();
    assert_eq!((one.finding, &one.segment, one.records), (None, &first, 20));
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    let chain = &report.chains[0];
    assert_eq!(
        (chain.records, chain.last_seq, &chain.sealed[..]),
        (16, 36, &[first.clone()][..])
    );
    assert!(
        sealed(&running, &place, 26).await.is_none(),
        "nothing is left to seal"
    );
    // Goes on, seals on, and the writer goes on after a restart.
    running.fill(37, 50).await;
    let (second, path) = sealed(&running, &place, 2_000_000).await.unwrap();
    assert_eq!(second.first_seq, 21);
    assert_eq!(
        verify_segment(&path, &Notary).unwrap().previous_hash,
        first.last_hash
    );
    running.log.close().await;
    let running = place.log().await;
    running.log.append(issued(1)).await.unwrap();
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(report.chains[0].sealed.len(), 2);
}

#[tokio::test]
async fn an_anchor_on_the_end_of_a_segment_counts() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 20).await;
    // Signed after the last answer.
    while running.log.latest_checkpoints()[0].checkpoint.seq < 20 {
        tokio::task::yield_now().await;
    }
    let anchor = running.log.latest_checkpoints()[0].token.clone();
    running.fill(21, 25).await;
    sealed(&running, &place, 2_000_000).await.unwrap();
    let report = verified(&place.url(), &[anchor]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(report.chains[0].anchored_through, 20);
}

#[tokio::test]
async fn a_segment_that_is_gone_from_the_table_is_missed() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    sealed(&running, &place, 26).await.unwrap();
    place.sql("DELETE FROM segments").await;
    assert_eq!(found(&place.url(), &[]).await, (Tampering::Removed, 1, 20));
}

#[tokio::test]
async fn records_that_were_edited_are_not_sealed() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    place
        .sql("UPDATE records SET body = replace(body, 'alice', 'bob') WHERE seq = 3")
        .await;
    running
        .log
        .seal(CHAIN, at(26), place.dir(), &Notary, false)
        .await
        .unwrap_err();
    running
        .log
        .seal("example.org/b", at(26), place.dir(), &Notary, false)
        .await
        .unwrap_err();
    let reader = running.log.reader();
    assert!(
        reader.by_position(CHAIN, 1).await.unwrap().is_some(),
        "nothing was deleted"
    );
}

#[tokio::test]
async fn whatever_is_done_to_a_segment_is_found() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 20).await;
    let (_, path) = sealed(&running, &place, 26).await.unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let read = |lines: &[&str]| -> SegmentReport {
        read_segment(lines.join("\n").as_bytes(), &Notary).unwrap()
    };
    let what = |lines: &[&str]| read(lines).finding.map(|it| (it.tampering, it.seq));
    assert_eq!(what(&lines), None);
    let edited = lines[5].replace("alice", "bob");
    let mut changed = lines.clone();
    changed[5] = &edited;
    assert_eq!(what(&changed), Some((Tampering::Edited, 5)));
    let mut changed = lines.clone();
    changed.remove(5);
    assert_eq!(what(&changed), Some((Tampering::Removed, 5)));
    let mut changed = lines.clone();
    changed.swap(5, 6);
    assert_eq!(what(&changed), Some((Tampering::Removed, 5)));
    let mut changed = lines.clone();
    changed.insert(5, lines[7]);
    assert_eq!(what(&changed), Some((Tampering::Removed, 5)));
    assert_eq!(what(&lines[..7]), Some((Tampering::CutOff, 7)));
    assert_eq!(what(&lines[..21]), Some((Tampering::CheckpointForged, 20)));
    let mut changed = lines.clone();
    changed.push(lines[7]);
    assert_eq!(what(&changed), Some((Tampering::Misplaced, 21)));
    let mut changed = lines.clone();
    changed[21] = r#"{"checkpoint": "x.y"}"#;
    assert_eq!(what(&changed), Some((Tampering::CheckpointForged, 20)));
    assert_ne!(read(&changed).segment.digest, read(&lines).segment.digest);
    assert_ne!(read(&lines).segment.digest, Hash([0; 32]));
}

#[tokio::test]
async fn what_is_unexpired_is_not_sealed() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 14).await;
    let lasting = crate::Entry {
        not_after: Some(at(1_000_001)),
        ..issued(15)
    };
    running.log.append(lasting).await.unwrap();
    running.fill(16, 35).await;
    let (segment, _) = sealed(&running, &place, 2_000_000).await.unwrap();
    assert_eq!(segment.last_seq, 10);
    assert!(sealed(&running, &place, 2_000_000).await.is_none());
    let reader = running.log.reader();
    let unexpired = reader.unexpired(at(1_000_000)).await.unwrap();
    assert_eq!(unexpired[0].position.seq, 15);
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}

/// A log that holds no key, as a decision point's on a volume of its own.
async fn keyless(place: &Place) -> Running {
    let log = Log::open(settings(&place.url(), "a")).await.unwrap();
    Running::without_signer(log)
}

fn two_days(place: &Place) -> Retention {
    Retention {
        days: 2,
        segments: place.dir().join("segments"),
        segment_days: Some(1),
    }
}

#[tokio::test]
async fn a_chain_that_nobody_signs_is_sealed_and_linked_by_its_hashes() {
    let place = Place::new();
    let running = keyless(&place).await;
    running.fill(1, 35).await;
    let dir = place.dir();
    let log = &running.log;
    assert_eq!(
        log.seal(CHAIN, at(26), dir, &Notary, false).await.unwrap(),
        None
    );
    let sealed = log.seal(CHAIN, at(26), dir, &Notary, true).await.unwrap();
    let (first, path) = sealed.unwrap();
    assert_eq!((first.first_seq, first.last_seq), (1, 25));
    let file = verify_segment(&path, &Notary).unwrap();
    assert_eq!(
        (file.finding, file.segment, file.signed),
        (None, first.clone(), false)
    );
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    let chain = &report.chains[0];
    assert_eq!(
        (chain.records, chain.signed_through),
        (11, 0),
        "10, and the one that names the file"
    );
    // The writer goes on after a restart, and the next segment links to the first.
    running.log.close().await;
    let running = keyless(&place).await;
    running.fill(37, 40).await;
    let sealed = running
        .log
        .seal(CHAIN, at(2_000_000), dir, &Notary, true)
        .await
        .unwrap();
    let (second, path) = sealed.unwrap();
    assert_eq!((second.first_seq, second.last_seq), (26, 40));
    let file = verify_segment(&path, &Notary).unwrap();
    assert_eq!((file.finding, file.previous_hash), (None, first.last_hash));
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}

#[tokio::test]
async fn what_was_signed_is_never_sealed_as_if_it_had_not_been() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    while running.log.latest_checkpoints()[0].checkpoint.seq < 30 {
        tokio::task::yield_now().await;
    }
    let anchor = running.log.latest_checkpoints()[0].token.clone();
    let dir = place.dir();
    // As far as the checkpoints go, although it may be unsigned.
    let sealed = running
        .log
        .seal(CHAIN, at(26), dir, &Notary, true)
        .await
        .unwrap();
    let (segment, path) = sealed.unwrap();
    assert_eq!(segment.last_seq, 20);
    assert!(verify_segment(&path, &Notary).unwrap().signed);
    running.log.close().await;
    // Somebody removes the checkpoints and has the rest sealed without any: the segment before tells.
    place.sql("DELETE FROM checkpoints").await;
    let running = keyless(&place).await;
    let sealed = running.log.seal(CHAIN, at(36), dir, &Notary, true).await;
    assert_eq!(sealed.unwrap(), None);
    running.log.close().await;
    // Or makes the one before unsigned as well: an anchor tells.
    place.sql("UPDATE segments SET token = ''").await;
    let running = keyless(&place).await;
    let sealed = running.log.seal(CHAIN, at(36), dir, &Notary, true).await;
    assert_eq!(sealed.unwrap().unwrap().0.last_seq, 35);
    let report = verified(&place.url(), &[]).await.unwrap();
    assert_eq!(report.chains[0].signed_through, 0, "which is seen");
    let found = found(&place.url(), &[anchor]).await;
    assert_eq!(found, (Tampering::CheckpointForged, 21, 35));
}

#[tokio::test]
async fn an_unsigned_segment_behind_a_signed_one_is_found() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    sealed(&running, &place, 16).await.unwrap();
    sealed(&running, &place, 26).await.unwrap();
    place
        .sql("UPDATE segments SET token = '' WHERE first_seq = 11")
        .await;
    let found = found(&place.url(), &[]).await;
    assert_eq!(found, (Tampering::CheckpointForged, 20, 20));
}

#[tokio::test]
async fn old_records_leave_the_database_and_old_files_their_folder() {
    let place = Place::new();
    let running = keyless(&place).await;
    running.fill(1, 20).await; // 11 days before the fixture's clock
    let retention = two_days(&place);
    running
        .log
        .retain_once(&retention, &Notary, true)
        .await
        .unwrap();
    let file = retention.segments.join("example.org_a-1-20.jsonl");
    assert!(verify_segment(&file, &Notary).unwrap().finding.is_none());
    let reader = running.log.reader();
    assert!(reader.by_position(CHAIN, 20).await.unwrap().is_none());
    // What names the file is younger, and stays.
    running
        .log
        .retain_once(&retention, &Notary, true)
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(&retention.segments).unwrap().count(), 1);

    let other = retention.segments.join("example.org_b-1-20.jsonl");
    std::fs::copy(&file, &other).unwrap();
    let now = SystemTime::from(at(1_000_000));
    let day = Duration::from_secs(86_400);
    let aged = |path: &PathBuf, age: Duration| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(now - age).unwrap();
    };
    aged(&other, 2 * day);
    aged(&file, day - Duration::from_secs(1));
    running.log.remove_old(&retention).unwrap();
    assert!(file.exists(), "it is younger than a day");
    aged(&file, day + Duration::from_secs(1));
    running.log.remove_old(&retention).unwrap();
    assert!(
        !file.exists() && other.exists(),
        "the other is another writer's"
    );
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}
