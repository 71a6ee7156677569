//! Chains of writers without a key: signed by a log that has one.

use std::sync::Arc;
use std::time::Duration;

use countersign_testbed::Postgres;
use futures::future::join_all;

use super::fixture::{Notary, Place, Running, at, issued, run_sql, settings, verified};
use crate::{
    ChainReport, Checkpoint, CheckpointSigner, Entry, Log, Standing, Tampering, Witness, Witnessed,
};

/// Of the one who has no key.
const THEIRS: &str = "example.org/decide-0";

/// A writer without a key.
async fn keyless(url: &str, writer: &str) -> Running {
    Running::without_signer(Log::open(settings(url, writer)).await.unwrap())
}

/// The log of who has one, and what it looks with.
async fn notary(url: &str) -> (Running, Witness) {
    let log = Log::open(settings(url, "operator")).await.unwrap();
    log.set_verifier(Arc::new(Notary));
    let running = Running::of(log);
    let mut witness = running.log.witness();
    witness.again = Duration::ZERO;
    (running, witness)
}

async fn look(witness: &mut Witness, most: u64) -> Witnessed {
    let mut found = witness.look(most).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn why(found: &Witnessed) -> &str {
    match &found.standing {
        Standing::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

async fn report(url: &str, anchors: &[String], chain: &str) -> ChainReport {
    let report = verified(url, anchors).await.unwrap();
    let of = report.chains.into_iter().find(|it| it.chain == chain);
    of.unwrap_or_else(|| panic!("no {chain}"))
}

fn tokens(running: &Running) -> Vec<String> {
    let newest = running.log.latest_checkpoints().into_iter();
    newest.map(|it| it.token).collect()
}

/// What both stores do alike.
async fn chains_of_others_are_signed_and_their_ends_missed(url: &str) {
    let (operator, mut witness) = notary(url).await;
    let theirs = keyless(url, "decide-0").await;
    theirs.fill(1, 35).await;
    assert_eq!(report(url, &[], THEIRS).await.signed_through, 0);
    let found = look(&mut witness, 1000).await;
    assert_eq!((found.through, found.standing), (35, Standing::Signed));
    // Nothing new, nothing signed.
    let found = look(&mut witness, 1000).await;
    assert_eq!((found.through, found.standing), (35, Standing::Signed));
    let seen = report(url, &[], THEIRS).await;
    assert_eq!(
        (seen.findings.len(), seen.signed_through, seen.checkpoints),
        (0, 35, 1)
    );
    // In stretches, each of which is signed.
    join_all((36..=80).map(|number| theirs.log.append(issued(number)))).await;
    let mut through = Vec::new();
    loop {
        let found = look(&mut witness, 20).await;
        through.push(found.through);
        if found.standing == Standing::Signed {
            break;
        }
        assert_eq!(found.standing, Standing::Behind);
    }
    assert_eq!(through, [55, 75, 80]);
    let anchors = tokens(&operator);
    assert_eq!(anchors.len(), 1);
    let seen = report(url, &anchors, THEIRS).await;
    assert_eq!((seen.signed_through, seen.anchored_through), (80, 80));

    // Its end is cut off, together with the checkpoints on it.
    run_sql(
        url,
        "CREATE TABLE kept AS SELECT * FROM records WHERE seq > 70;
         DELETE FROM records WHERE seq > 70; DELETE FROM checkpoints WHERE seq > 70",
    )
    .await;
    let finding = report(url, &anchors, THEIRS).await.findings.remove(0);
    assert_eq!(
        (finding.tampering, finding.seq, finding.through),
        (Tampering::CutOff, 71, 80)
    );
    let found = look(&mut witness, 1000).await;
    assert_eq!(found.through, 80);
    assert!(why(&found).contains("which was signed, is gone: its newest is 70"));
    // Whoever holds no key goes on from there after a restart: another record 80 is not the one.
    theirs.log.close().await;
    let again = keyless(url, "decide-0").await;
    for number in 71..=90 {
        again.log.append(issued(number + 1000)).await.unwrap();
    }
    let found = look(&mut witness, 1000).await;
    assert!(why(&found).contains("is not what was signed"), "{found:?}");
    assert_eq!(tokens(&operator), anchors, "the word of before stays");
    // Its own chain goes on.
    operator.log.append(issued(1)).await.unwrap();
    again.log.close().await;
    run_sql(
        url,
        "DELETE FROM records WHERE seq > 70; INSERT INTO records SELECT * FROM kept",
    )
    .await;
    let found = look(&mut witness, 1000).await;
    assert_eq!((found.through, found.standing), (80, Standing::Signed));
}

#[tokio::test]
async fn in_a_file_chains_of_others_are_signed_and_their_ends_missed() {
    let place = Place::new();
    chains_of_others_are_signed_and_their_ends_missed(&place.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgres_chains_of_others_are_signed_and_their_ends_missed() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    chains_of_others_are_signed_and_their_ends_missed(&server.url()).await;
}

#[tokio::test]
async fn a_chain_that_does_not_link_is_signed_no_further_and_the_others_are() {
    let place = Place::new();
    let (_operator, mut witness) = notary(&place.url()).await;
    let (one, two) = (
        keyless(&place.url(), "decide-0").await,
        keyless(&place.url(), "decide-1").await,
    );
    one.fill(1, 20).await;
    witness.look(1000).await.unwrap();
    one.fill(21, 30).await;
    two.fill(1, 5).await;
    place
        .sql(&format!(
            "UPDATE records SET body = replace(body, 'alice', 'bob') WHERE seq = 25 AND chain = '{THEIRS}'"
        ))
        .await;
    let found = witness.look(1000).await.unwrap();
    assert_eq!(found[0].through, 20);
    assert!(why(&found[0]).contains("record 25 edited"), "{found:?}");
    assert_eq!(
        (found[1].through, &found[1].standing),
        (5, &Standing::Signed)
    );
    // Nor a record that can't even be read as one.
    place
        .sql("UPDATE records SET body = 'none' WHERE seq = 25")
        .await;
    assert_eq!(witness.look(1000).await.unwrap()[0].through, 20);
}

#[tokio::test]
async fn another_who_signs_goes_on_where_the_last_one_was() {
    let place = Place::new();
    let theirs = keyless(&place.url(), "decide-0").await;
    theirs.fill(1, 30).await;
    let (first, mut witness) = notary(&place.url()).await;
    look(&mut witness, 1000).await;
    let published = first.log.latest_checkpoints().remove(0);
    first.log.close().await;

    // By the store alone: it isn't signed again, and is known to be.
    let (second, mut witness) = notary(&place.url()).await;
    assert!(tokens(&second).is_empty());
    assert_eq!(look(&mut witness, 1000).await.through, 30);
    assert_eq!(tokens(&second), std::slice::from_ref(&published.token));
    second.log.close().await;

    // By what was published, although the store was made to forget.
    theirs.log.close().await;
    place
        .sql("DELETE FROM checkpoints; DELETE FROM records WHERE seq > 12")
        .await;
    let (third, mut witness) = notary(&place.url()).await;
    third.log.set_floor(vec![published.checkpoint]);
    assert!(why(&look(&mut witness, 1000).await).contains("record 30"));
    assert!(tokens(&third).is_empty());
    // Which stops nothing of its own.
    third.log.append(issued(1)).await.unwrap();
    third.log.health().unwrap();
}

#[tokio::test]
async fn who_leads_again_hands_out_nothing_that_is_older_than_what_is_published() {
    let place = Place::new();
    let theirs = keyless(&place.url(), "decide-0").await;
    let (first, mut witness) = notary(&place.url()).await;
    theirs.fill(1, 10).await;
    look(&mut witness, 1000).await;
    assert_eq!(tokens(&first).len(), 1);
    // Another led meanwhile.
    theirs.fill(11, 20).await;
    let log = Log::open(settings(&place.url(), "operator-1"))
        .await
        .unwrap();
    log.set_verifier(Arc::new(Notary));
    let second = Running::of(log);
    second.log.witness().look(1000).await.unwrap();
    let published = second.log.latest_checkpoints().remove(0).checkpoint;
    assert_eq!(published.seq, 20);
    first.log.set_floor(vec![published]);
    assert!(tokens(&first).is_empty());
    assert_eq!(look(&mut witness, 1000).await.through, 20);
    assert_eq!(first.log.latest_checkpoints()[0].checkpoint.seq, 20);
}

#[tokio::test]
async fn a_chain_that_is_gone_altogether_is_missed_by_who_has_seen_it() {
    let place = Place::new();
    let (_operator, mut witness) = notary(&place.url()).await;
    let theirs = keyless(&place.url(), "decide-0").await;
    theirs.fill(1, 3).await;
    look(&mut witness, 1000).await;
    place
        .sql("DELETE FROM records; DELETE FROM checkpoints")
        .await;
    assert!(why(&look(&mut witness, 1000).await).contains("its newest is 0"));
    // Of another store nothing is missed.
    let other = Place::new();
    let (operator, mut witness) = notary(&other.url()).await;
    let floor = Checkpoint {
        chain: THEIRS.to_owned(),
        seq: 3,
        hash: crate::Hash([1; 32]),
        time: at(1),
    };
    operator.log.set_floor(vec![floor]);
    assert_eq!(witness.look(1000).await.unwrap(), []);
}

#[tokio::test]
async fn a_chain_goes_on_behind_what_was_sealed() {
    let place = Place::new();
    // Another operator's, which seals its records itself.
    let other = place.log().await;
    other.fill(1, 35).await;
    let sealed = other
        .log
        .seal("example.org/a", at(26), place.dir(), &Notary, false);
    assert_eq!(sealed.await.unwrap().unwrap().0.last_seq, 20);
    let (_operator, mut witness) = notary(&place.url()).await;
    // It has signed up to 30 itself; where that is forgotten, the segment is what is known.
    for checkpoints in ["", "DELETE FROM checkpoints"] {
        place.sql(checkpoints).await;
        let found = look(&mut witness, 1000).await;
        assert_eq!((found.through, found.standing), (36, Standing::Signed));
        (_, witness) = notary(&place.url()).await;
    }
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
    // Somebody calls sealed what they removed.
    place
        .sql("UPDATE segments SET last_seq = 19; DELETE FROM checkpoints")
        .await;
    let (_operator, mut witness) = notary(&place.url()).await;
    why(&look(&mut witness, 1000).await);
}

#[tokio::test]
async fn records_that_lack_what_was_before_a_signed_one_go_on_from_it() {
    let place = Place::new();
    let (_operator, mut witness) = notary(&place.url()).await;
    let theirs = keyless(&place.url(), "decide-0").await;
    theirs.fill(1, 30).await;
    look(&mut witness, 1000).await;
    // Whatever somebody does with what is old, verification tells of it; what is new is signed.
    place.sql("DELETE FROM records WHERE seq < 10").await;
    theirs.fill(31, 33).await;
    let found = look(&mut witness, 1000).await;
    assert_eq!((found.through, found.standing), (33, Standing::Signed));
    let finding = report(&place.url(), &[], THEIRS).await.findings.remove(0);
    assert_eq!((finding.tampering, finding.seq), (Tampering::Removed, 1));
}

#[tokio::test]
async fn forged_checkpoints_and_names_of_no_chain_stop_nothing() {
    let place = Place::new();
    let (operator, mut witness) = notary(&place.url()).await;
    let theirs = keyless(&place.url(), "decide-0").await;
    theirs.fill(1, 10).await;
    look(&mut witness, 1000).await;
    theirs.fill(11, 15).await;
    place
        .sql(
            "INSERT INTO checkpoints SELECT chain, 1000000, hash, time, token FROM checkpoints;
             INSERT INTO checkpoints SELECT chain, 1000001, 'x', time, 'x' FROM checkpoints WHERE seq = 10;
             INSERT INTO records SELECT 'example.org/a b', seq, time, kind, object_uid, serial, spiffe_id,
               digest, parent_digest, delegation_uid, owner, requester, not_after, body, hash FROM records",
        )
        .await;
    let (_, mut fresh) = notary(&place.url()).await;
    for witness in [&mut witness, &mut fresh] {
        let found = witness.look(1000).await.unwrap();
        assert!(why(&found[0]).contains("no log writes"), "{found:?}");
        assert_eq!(found[1].chain, THEIRS);
        assert_eq!(
            (found[1].through, &found[1].standing),
            (15, &Standing::Signed)
        );
    }
    assert_eq!(tokens(&operator).len(), 1);
}

/// Has no key for anybody.
struct Nobody;

impl CheckpointSigner for Nobody {
    fn sign(&self, _: &str, _: &Checkpoint) -> Option<String> {
        None
    }
}

#[tokio::test]
async fn what_belongs_to_no_trust_domain_is_signed_and_what_has_no_key_waits_for_it() {
    let place = Place::new();
    let (operator, mut witness) = notary(&place.url()).await;
    let theirs = keyless(&place.url(), "decide-0").await;
    let of_none = Entry {
        trust_domain: String::new(),
        ..issued(1)
    };
    theirs.log.append(of_none).await.unwrap();
    operator.log.set_signer(Arc::new(Nobody));
    let found = look(&mut witness, 1000).await;
    assert_eq!((found.through, found.standing), (0, Standing::Keyless));
    operator.log.set_signer(Arc::new(Notary));
    let found = look(&mut witness, 1000).await;
    assert_eq!((found.through, found.standing), (1, Standing::Signed));
    assert_eq!(found.chain, "/decide-0");
    let seen = report(&place.url(), &tokens(&operator), "/decide-0").await;
    assert_eq!((seen.signed_through, seen.anchored_through), (1, 1));
}

#[tokio::test]
async fn chains_are_read_while_they_are_written() {
    let place = Place::new();
    let (_operator, mut witness) = notary(&place.url()).await;
    let theirs = keyless(&place.url(), "decide-0").await;
    theirs.fill(1, 1).await;
    let writing = async {
        for hundred in 0..20 {
            let numbers = hundred * 100..(hundred + 1) * 100;
            join_all(numbers.map(|it| theirs.log.append(issued(it)))).await;
        }
    };
    let looking = async {
        loop {
            let found = look(&mut witness, 300).await;
            let standing = found.standing;
            assert!(
                matches!(standing, Standing::Signed | Standing::Behind),
                "{standing:?}"
            );
            if found.through == 2001 {
                break;
            }
        }
    };
    tokio::join!(writing, looking);
    let report = verified(&place.url(), &[]).await.unwrap();
    assert!(report.is_honest(), "{report}");
}
