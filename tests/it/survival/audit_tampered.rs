//! Somebody has his hands on the operator's log.

use std::process::Command;

use countersign_audit::{Kind, Tampering};

use super::audit::arguments;
use super::cuts::forget_lease;
use super::hops::{Hops, digest, root};
use super::record::Book;
use crate::harness::{PATIENCE, World, eventually, within};

#[tokio::test]
async fn a_row_that_is_edited_under_a_running_operator_is_named() {
    let world = World::own().await;
    let file = world.plane().dir().join("log.db");
    let url = format!("sqlite:{}", file.display());
    let operator = world.operator("only", &arguments(&url));
    let space = world.space("edited").await;
    let hops = Hops::of(&space);
    space.create_agent("planner").await;
    space.until_ready("planner").await;
    hops.create(root("to-planner", "planner")).await;
    let granted = digest(&hops.until_ready("to-planner").await).unwrap();
    let book = Book::open(&world, &url).await;
    book.assert_intact().await;
    let record = book.reader.by_digest(&granted).await.unwrap().remove(0);
    assert_eq!(record.entry.kind, Kind::DelegationGranted);
    let seq = record.position.seq;

    let edit = format!(
        "PRAGMA busy_timeout = 5000; UPDATE records \
         SET body = replace(body, 'alice', 'mallory'), owner = 'mallory' WHERE seq = {seq};"
    );
    sql(&file, &edit);
    // The operator goes on, in ignorance.
    space.create_agent("next").await;
    space.until_ready("next").await;
    let report = book.verify(&[]).await;
    let finding = report.chains[0].findings.first();
    let finding = finding.unwrap_or_else(|| panic!("nothing found: {report}"));
    assert_eq!((finding.seq, finding.tampering), (seq, Tampering::Edited));
    assert!(report.to_string().contains(&format!("record {seq} edited")));
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn rows_that_are_gone_at_the_end_are_missed_by_the_published_checkpoint() {
    let world = World::own().await;
    let file = world.plane().dir().join("log.db");
    let url = format!("sqlite:{}", file.display());
    let mut first = world.operator("first", &arguments(&url));
    let space = world.space("tail").await;
    for name in ["one", "two", "three"] {
        space.create_agent(name).await;
        space.until_ready(name).await;
    }
    // At its end it signs what there is, and the next one publishes that.
    assert!(first.stop().success());
    let mut second = world.operator("second", &arguments(&url));
    space.create_agent("four").await;
    space.until_ready("four").await;
    let book = Book::open(&world, &url).await;
    let anchors = eventually("a published checkpoint", async || {
        let anchors = book.anchors().await;
        (!anchors.is_empty()).then_some(anchors)
    })
    .await;
    assert!(book.verify(&anchors).await.is_honest());
    second.kill();

    let cut = "DELETE FROM records WHERE seq > 1; DELETE FROM checkpoints;";
    sql(&file, cut);
    let report = book.verify(&[]).await;
    assert!(report.is_honest(), "by itself it looks whole: {report}");
    let report = book.verify(&anchors).await;
    let finding = &report.chains[0].findings[0];
    assert_eq!((finding.seq, finding.tampering), (2, Tampering::CutOff));

    // Nor does an operator go on from there as if nothing had been.
    forget_lease(&world).await;
    let third = world.operator("third", &arguments(&url));
    third.until_leading().await;
    space.create_agent("five").await;
    let message = space.until_refused("five", "AuditUnavailable").await;
    assert!(message.contains("cut off or rewritten"), "{message}");
}

#[tokio::test]
async fn an_operator_whose_log_is_truncated_says_so_and_grants_nothing() {
    let world = World::own().await;
    let file = world.plane().dir().join("log.db");
    let url = format!("sqlite:{}", file.display());
    let mut first = world.operator("first", &arguments(&url));
    let space = world.space("truncated").await;
    space.create_agent("before").await;
    space.until_ready("before").await;
    assert!(first.stop().success());
    let whole = std::fs::metadata(&file).unwrap().len();
    let side = file.with_extension("db-wal");
    assert!(!side.exists(), "all of it is in the one file");
    let half = std::fs::File::options().write(true).open(&file).unwrap();
    half.set_len(whole / 2).unwrap();
    drop(half);

    let second = world.operator("second", &arguments(&url));
    space.create_agent("after").await;
    within(PATIENCE, "a word on it", async || {
        let log = second.log();
        log.contains("malformed").then_some(())
    })
    .await;
    assert!(second.log().contains("audit log"), "{}", second.log());
    let message = space.until_refused("after", "AuditUnavailable").await;
    assert!(message.contains("malformed"), "{message}");
    // What ends needs no log.
    space.finish_pod("before", "Succeeded").await;
    assert_eq!(space.until_completed("before").await, "TaskSucceeded");
    space.until_no_secret("before-identity").await;

    // Nor is anything granted by a file in its place that is none.
    drop(second);
    std::fs::write(&file, "none of ours, and longer than a header. ".repeat(50)).unwrap();
    forget_lease(&world).await;
    let third = world.operator("third", &arguments(&url));
    third.until_leading().await;
    space.create_agent("later").await;
    let message = space.until_refused("later", "AuditUnavailable").await;
    assert!(message.contains("not a database"), "{message}");
    for name in ["after-identity", "later-identity"] {
        assert!(space.secret(name).await.is_none());
    }
}

/// Runs statements as somebody with a shell does.
pub(super) fn sql(file: &std::path::Path, statements: &str) {
    const PROGRAM: &str =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
    let mut python = Command::new("python3");
    let output = python.args(["-c", PROGRAM]).arg(file).arg(statements);
    let output = output.output().expect("python3 is needed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
