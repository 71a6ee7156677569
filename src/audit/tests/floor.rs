//! What was signed or written stays: a log signs nothing on a chain that was cut off or rewritten.

use std::sync::Arc;
use std::time::Duration;

use countersign_testbed::Postgres;
use tokio::time::{Instant, sleep};

use super::failure::healthy;
use super::fixture::{
    CHAIN, Notary, Place, Running, at, entry, issued, run_sql, settings, verified,
};
use crate::{AuditError, Checkpoint, CheckpointVerifier, Hash, Kind, Log};

/// A store of 35 records, signed at 10, 20, 30 and 35, its log closed; and the newest checkpoint.
async fn store() -> (Place, Checkpoint) {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    running.log.close().await;
    let newest = running.log.latest_checkpoints().remove(0).checkpoint;
    assert_eq!(newest.seq, 35);
    (place, newest)
}

async fn with_floor(url: &str, floor: Vec<Checkpoint>) -> Running {
    let log = Log::open(settings(url, "a")).await.unwrap();
    log.set_floor(floor);
    Running::of(log)
}

/// Nothing can be appended, and this says why.
async fn refused(running: &Running, what: &str) {
    let error = running.log.append(issued(77)).await.unwrap_err();
    assert!(matches!(error, AuditError::Unavailable(_)), "{error}");
    for said in [error.to_string(), running.log.health().unwrap_err()] {
        assert!(said.contains("cut off or rewritten"), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(said.contains("--audit-writer"), "{said}");
    }
}

async fn keep(place: &Place) {
    place
        .sql("CREATE TABLE kept AS SELECT * FROM records; CREATE TABLE signed AS SELECT * FROM checkpoints")
        .await;
}

const GIVE_BACK: &str = "INSERT OR REPLACE INTO records SELECT * FROM kept";

#[tokio::test]
async fn a_tail_that_was_cut_off_while_the_log_was_down_is_not_gone_on_from() {
    let (place, newest) = store().await;
    keep(&place).await;
    place
        .sql("DELETE FROM records WHERE seq > 20; DELETE FROM checkpoints WHERE seq > 20")
        .await;
    let running = with_floor(&place.url(), vec![newest]).await;
    refused(&running, "record 35 of chain example.org/a").await;
    running.log.later(entry(5, Kind::IdentityEnded));
    // It doesn't heal by itself, and signs nothing.
    sleep(Duration::from_millis(2500)).await;
    refused(&running, "its newest is 20").await;
    assert_eq!(running.log.waiting(), 1);
    assert!(running.log.latest_checkpoints().is_empty());
    let signed = running.log.reader().latest_checkpoints().await.unwrap();
    assert_eq!(signed[0].checkpoint.seq, 20);
    // The records are restored.
    place.sql(GIVE_BACK).await;
    healthy(&running.log, true).await;
    let position = running.log.append(issued(78)).await.unwrap();
    assert_eq!(
        (position.seq, running.log.waiting()),
        (38, 0),
        "behind a resumption, and the end that waited"
    );
    let resumed = running.log.reader().by_position(CHAIN, 36).await.unwrap();
    let resumed = resumed.unwrap().entry;
    assert_eq!(
        (resumed.kind, &*resumed.reason),
        (Kind::LogResumed, "ChainCutOff")
    );
    running.log.close().await;
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}

#[tokio::test]
async fn a_log_that_is_closed_while_its_chain_is_cut_off_signs_nothing() {
    let (place, newest) = store().await;
    place
        .sql("DELETE FROM records WHERE seq > 20; DELETE FROM checkpoints")
        .await;
    let running = with_floor(&place.url(), vec![newest]).await;
    refused(&running, "record 35").await;
    running.log.later(entry(5, Kind::IdentityEnded));
    running.log.close().await;
    let reader = running.log.reader();
    assert!(reader.latest_checkpoints().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_file_in_the_place_of_the_old_is_not_gone_on_from() {
    let (place, newest) = store().await;
    for side in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!(
            "{}{side}",
            place.file().display()
        )));
    }
    let running = with_floor(&place.url(), vec![newest.clone()]).await;
    refused(&running, "its newest is 0").await;
    // A new name begins anew, as the message says.
    let log = Log::open(settings(&place.url(), "b")).await.unwrap();
    log.set_floor(vec![newest]);
    let position = Running::of(log).log.append(issued(1)).await.unwrap();
    assert_eq!((&*position.chain, position.seq), ("example.org/b", 1));
}

#[tokio::test]
async fn a_record_that_was_rewritten_is_not_gone_on_from() {
    let (place, newest) = store().await;
    keep(&place).await;
    let other = Hash([7; 32]);
    place
        .sql(&format!(
            "UPDATE records SET hash = '{other}' WHERE seq = 35"
        ))
        .await;
    let running = with_floor(&place.url(), vec![newest]).await;
    refused(&running, "is not what was signed").await;
    place.sql(GIVE_BACK).await;
    healthy(&running.log, true).await;
    running.log.append(issued(78)).await.unwrap();
}

#[tokio::test]
async fn what_the_log_itself_wrote_is_missed_after_a_failure_of_the_store() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 25).await;
    place.sql("ALTER TABLE records RENAME TO kept").await;
    running.log.append(issued(26)).await.unwrap_err();
    // The writer comes back to a table that it made itself.
    let what = "record 25 of chain example.org/a, which was written, is gone";
    let end = Instant::now() + Duration::from_secs(20);
    while !(running.log.health().unwrap_err()).contains(what) {
        assert!(Instant::now() < end, "{:?}", running.log.health());
        sleep(Duration::from_millis(20)).await;
    }
    refused(&running, what).await;
    sleep(Duration::from_millis(1500)).await;
    refused(&running, what).await;
    place
        .sql("BEGIN IMMEDIATE; DROP TABLE records; ALTER TABLE kept RENAME TO records; COMMIT")
        .await;
    healthy(&running.log, true).await;
    running.log.append(issued(26)).await.unwrap();
    running.log.close().await;
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    assert_eq!(report.chains[0].records, 27, "and a resumption");
}

#[tokio::test]
async fn a_floor_that_comes_later_stops_a_chain_that_is_written() {
    let (place, newest) = store().await;
    place.sql("DELETE FROM records WHERE seq > 20").await;
    let running = place.log().await;
    running.log.append(issued(1)).await.unwrap();
    running.log.set_floor(vec![newest]);
    healthy(&running.log, false).await;
    refused(&running, "record 35").await;
}

#[tokio::test]
async fn a_floor_within_a_sealed_segment_is_fine_if_the_segment_is_signed() {
    let place = Place::new();
    let running = place.log().await;
    running.fill(1, 35).await;
    let reader = running.log.reader();
    let at_seq = async |seq| {
        let found = reader.by_position(CHAIN, seq).await.unwrap().unwrap();
        Checkpoint {
            chain: CHAIN.to_owned(),
            seq,
            hash: found.position.hash,
            time: at(0),
        }
    };
    let (within, end) = (at_seq(12).await, at_seq(20).await);
    let sealed = running
        .log
        .seal(CHAIN, at(26), place.dir(), &Notary, false)
        .await;
    assert_eq!(sealed.unwrap().unwrap().0.last_seq, 20);
    running.log.close().await;

    // Its end says itself what it was.
    let running = with_floor(&place.url(), vec![end.clone()]).await;
    running.log.append(issued(1)).await.unwrap();
    running.log.close().await;
    let other = Checkpoint {
        hash: within.hash,
        ..end
    };
    let running = with_floor(&place.url(), vec![other]).await;
    refused(&running, "record 20 of chain example.org/a is not what was").await;
    running.log.close().await;

    let running = with_floor(&place.url(), vec![within.clone()]).await;
    refused(&running, "nobody verifies its end").await;
    running.log.set_verifier(Arc::new(Notary));
    healthy(&running.log, true).await;
    running.log.append(issued(1)).await.unwrap();
    running.log.close().await;

    // Somebody calls sealed what they removed.
    place.sql("UPDATE segments SET last_seq = 19").await;
    let log = Log::open(settings(&place.url(), "a")).await.unwrap();
    log.set_verifier(Arc::new(Notary));
    log.set_floor(vec![within]);
    refused(&Running::of(log), "its checkpoint is on 20").await;
}

#[tokio::test]
async fn a_checkpoint_that_is_forged_or_below_the_floor_is_not_handed_out() {
    let (place, newest) = store().await;
    place.sql("DELETE FROM checkpoints WHERE seq > 20").await;
    let running = with_floor(&place.url(), vec![newest]).await;
    running.log.append(issued(1)).await.unwrap();
    assert!(running.log.latest_checkpoints().is_empty(), "20 is no news");
    running.log.close().await;
    assert_eq!(running.log.latest_checkpoints()[0].checkpoint.seq, 36);

    place
        .sql(
            "UPDATE checkpoints SET token = 'x.y' WHERE seq = 36;
             INSERT INTO checkpoints SELECT chain, 1000000, hash, time, token FROM checkpoints
             WHERE seq = 20",
        )
        .await;
    let log = Log::open(settings(&place.url(), "a")).await.unwrap();
    log.set_verifier(Arc::new(Notary));
    let running = Running::of(log);
    running.log.append(issued(2)).await.unwrap();
    assert!(running.log.latest_checkpoints().is_empty());
    // Nor does one that is far ahead keep the log from signing.
    running.log.close().await;
    let signed = running.log.latest_checkpoints().remove(0);
    assert_eq!(signed.checkpoint.seq, 37);
    assert_eq!(Notary.verify(&signed.token), Ok(signed.checkpoint));
}

#[tokio::test]
async fn the_floor_of_another_chain_does_not_matter() {
    let (place, newest) = store().await;
    let of = |chain: &str| Checkpoint {
        chain: chain.to_owned(),
        seq: 1_000_000,
        ..newest.clone()
    };
    let floor = vec![of("example.org/b"), of("other.org/a"), newest.clone()];
    let running = with_floor(&place.url(), floor).await;
    running.log.append(issued(1)).await.unwrap();
    // Only whoever writes that one hears of it.
    let other = crate::Entry {
        trust_domain: "other.org".to_owned(),
        ..issued(2)
    };
    running.log.append(other).await.unwrap_err();
    assert!(running.log.health().unwrap_err().contains("other.org/a"));
    running.log.later(entry(5, Kind::IdentityEnded));
    let position = running.log.append(issued(3)).await.unwrap();
    assert!(position.seq >= 37);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_held_against_the_floor_too() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let running = Running::start(settings(&server.url(), "a")).await;
    running.fill(1, 15).await;
    running.log.close().await;
    let newest = running.log.latest_checkpoints().remove(0).checkpoint;
    run_sql(
        &server.url(),
        "CREATE TABLE kept AS SELECT * FROM records; DELETE FROM records WHERE seq > 3",
    )
    .await;
    let running = with_floor(&server.url(), vec![newest]).await;
    refused(&running, "record 15").await;
    run_sql(
        &server.url(),
        "INSERT INTO records SELECT * FROM kept WHERE seq > 3",
    )
    .await;
    healthy(&running.log, true).await;
    running.log.append(issued(16)).await.unwrap();
}
