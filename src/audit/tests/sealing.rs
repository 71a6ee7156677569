//! The oldest records move to files, and nothing is lost on the way.

use std::path::PathBuf;

use super::fixture::{CHAIN, Notary, Place, Running, at, found, issued, verified};
use crate::{Hash, SealedSegment, SegmentReport, Tampering, read_segment, verify_segment};

async fn sealed(running: &Running, place: &Place, before: i64) -> Option<(SealedSegment, PathBuf)> {
    running
        .log
        .seal(CHAIN, at(before), place.dir(), &Notary)
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
        .seal(CHAIN, at(26), place.dir(), &Notary)
        .await
        .unwrap_err();
    running
        .log
        .seal("example.org/b", at(26), place.dir(), &Notary)
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
