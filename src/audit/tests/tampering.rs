//! What somebody with SQL does to a store is found, at the record that it was done to.

use super::fixture::{CHAIN, Notary, Place, found, verified};
use crate::Tampering::{
    CheckpointForged, CutOff, Edited, IndexEdited, Misplaced, Removed, Rewritten, Unreadable,
};
use crate::{Checkpoint, CheckpointSigner, Hash};

/// A store of 35 records, signed at 10, 20, 30 and 35, and the last token.
async fn store() -> (Place, String) {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    running.log.close().await;
    let token = running.log.latest_checkpoints()[0].token.clone();
    (place, token)
}

/// Every record of the chain hashed anew, as whoever may write anything can.
async fn rehash(place: &Place) {
    let mut previous = crate::chain::GENESIS;
    let log = crate::Log::new(super::fixture::settings(&place.url(), "a")).unwrap();
    let records = log
        .reader()
        .stored(&Default::default(), &Default::default(), 100)
        .await
        .unwrap();
    for (index, record) in records.iter().enumerate() {
        let seq = u64::try_from(index).unwrap() + 1;
        previous = crate::chain::hash_of(CHAIN, seq, &previous, &record.body);
        place
            .sql(&format!(
                "UPDATE records SET hash = '{previous}' WHERE seq = {seq}"
            ))
            .await;
    }
}

#[tokio::test]
async fn an_edited_body_is_named() {
    for seq in [1, 17, 34] {
        let (place, _) = store().await;
        place
            .sql(&format!(
                "UPDATE records SET body = replace(body, 'alice', 'mallory') WHERE seq = {seq}"
            ))
            .await;
        assert_eq!(found(&place.url(), &[]).await, (Edited, seq, seq));
    }
}

#[tokio::test]
async fn an_edited_column_is_named() {
    for change in [
        "time = time + 1",
        "kind = 'IdentityEnded'",
        "object_uid = 'x'",
        "serial = NULL",
        "spiffe_id = 'x'",
        "digest = 'x'",
        "parent_digest = 'x'",
        "delegation_uid = 'x'",
        "owner = 'mallory'",
        "requester = 'mallory'",
        "not_after = 9",
    ] {
        let (place, _) = store().await;
        place
            .sql(&format!("UPDATE records SET {change} WHERE seq = 12"))
            .await;
        assert_eq!(
            found(&place.url(), &[]).await,
            (IndexEdited, 12, 12),
            "{change}"
        );
    }
}

#[tokio::test]
async fn removed_records_are_named() {
    for (condition, first, last) in [
        ("seq = 12", 12, 12),
        ("seq < 5", 1, 4),
        ("seq BETWEEN 9 AND 21", 9, 21),
    ] {
        let (place, _) = store().await;
        place
            .sql(&format!("DELETE FROM records WHERE {condition}"))
            .await;
        assert_eq!(
            found(&place.url(), &[]).await,
            (Removed, first, last),
            "{condition}"
        );
    }
}

#[tokio::test]
async fn removed_records_that_a_segment_is_made_up_for_are_named() {
    let (place, _) = store().await;
    place
        .sql(
            "INSERT INTO segments SELECT chain, 1, seq, hash, hash, token FROM checkpoints WHERE seq = 10;
             DELETE FROM records WHERE seq <= 10",
        )
        .await;
    assert_eq!(found(&place.url(), &[]).await, (Removed, 1, 10));
}

#[tokio::test]
async fn a_cut_off_tail_is_named_by_its_checkpoint_or_by_an_anchor_kept_outside() {
    let (place, anchor) = store().await;
    place.sql("DELETE FROM records WHERE seq > 28").await;
    assert_eq!(found(&place.url(), &[]).await, (CutOff, 29, 35));
    place.sql("DELETE FROM checkpoints WHERE seq > 28").await;
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "the store alone can't know: {report}");
    assert_eq!(
        found(&place.url(), std::slice::from_ref(&anchor)).await,
        (CutOff, 29, 35)
    );
    place
        .sql("DELETE FROM records; DELETE FROM checkpoints")
        .await;
    assert_eq!(found(&place.url(), &[anchor]).await, (CutOff, 1, 35));
}

#[tokio::test]
async fn two_that_changed_places_are_named() {
    let (place, _) = store().await;
    place
        .sql("UPDATE records SET seq = 99 WHERE seq = 12; UPDATE records SET seq = 12 WHERE seq = 15; UPDATE records SET seq = 15 WHERE seq = 99")
        .await;
    assert_eq!(found(&place.url(), &[]).await, (Misplaced, 12, 12));
}

#[tokio::test]
async fn an_inserted_record_is_named() {
    let (place, _) = store().await;
    place
        .sql(
            "UPDATE records SET seq = -seq - 1 WHERE seq > 17; UPDATE records SET seq = -seq WHERE seq < 0;
             INSERT INTO records SELECT chain, 18, time, kind, object_uid, serial, spiffe_id, digest, parent_digest,
             delegation_uid, owner, requester, not_after, body, hash FROM records WHERE seq = 3",
        )
        .await;
    assert_eq!(found(&place.url(), &[]).await, (Misplaced, 18, 18));
}

#[tokio::test]
async fn an_inserted_record_at_the_end_that_is_hashed_wrongly_is_named() {
    let (place, _) = store().await;
    place
        .sql("INSERT INTO records SELECT chain, 36, time, kind, object_uid, serial, spiffe_id, digest, parent_digest,
             delegation_uid, owner, requester, not_after, body, hash FROM records WHERE seq = 35")
        .await;
    assert_eq!(found(&place.url(), &[]).await, (Misplaced, 36, 36));
}

#[tokio::test]
async fn a_record_hashed_anew_is_named_with_its_neighbour() {
    let (place, _) = store().await;
    place
        .sql("UPDATE records SET hash = replace(hash, substr(hash, 1, 4), 'beef') WHERE seq = 12")
        .await;
    assert_eq!(found(&place.url(), &[]).await, (Misplaced, 12, 12));
}

#[tokio::test]
async fn all_hashed_anew_after_an_edit_is_found_by_the_next_checkpoint() {
    let (place, anchor) = store().await;
    place
        .sql("UPDATE records SET body = replace(body, 'alice@', 'mallory@'), requester = 'mallory@example.com' WHERE seq = 17")
        .await;
    rehash(&place).await;
    assert_eq!(found(&place.url(), &[]).await, (Rewritten, 11, 20));
    // Without checkpoints the store is consistent; whoever kept one outside knows.
    place.sql("DELETE FROM checkpoints").await;
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(
        report.is_honest() && report.chains[0].signed_through == 0,
        "{report}"
    );
    assert_eq!(found(&place.url(), &[anchor]).await, (Rewritten, 1, 35));
}

#[tokio::test]
async fn forged_checkpoints_are_named() {
    let other = Checkpoint {
        chain: CHAIN.to_owned(),
        seq: 19,
        hash: Hash([7; 32]),
        time: super::fixture::at(1),
    };
    let other = Notary.sign("example.org", &other).unwrap();
    for change in [
        "token = 'x'".to_owned(),
        "token = replace(token, ':20,', ':21,')".to_owned(),
        format!("token = '{other}'"),
        "hash = substr(hash, 1, 63) || 'g'".to_owned(),
    ] {
        let (place, _) = store().await;
        place
            .sql(&format!("UPDATE checkpoints SET {change} WHERE seq = 20"))
            .await;
        assert_eq!(
            found(&place.url(), &[]).await,
            (CheckpointForged, 20, 20),
            "{change}"
        );
    }
}

#[tokio::test]
async fn a_record_that_is_no_text_or_no_entry_is_named() {
    let (place, _) = store().await;
    place
        .sql("UPDATE records SET body = CAST(x'ff00fe' AS TEXT) WHERE seq = 12")
        .await;
    assert_eq!(found(&place.url(), &[]).await, (Unreadable, 12, 12));
    place
        .sql("UPDATE records SET body = '{}' WHERE seq = 12")
        .await;
    rehash(&place).await;
    assert_eq!(found(&place.url(), &[]).await, (Unreadable, 12, 12));
}

#[tokio::test]
async fn an_anchor_that_is_none_is_refused() {
    let (place, _) = store().await;
    verified(&place.url(), &["x".to_owned()]).await.unwrap_err();
}
