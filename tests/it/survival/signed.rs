//! Decisions are recorded by whoever holds no key, and signed by the operator that leads.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use countersign_audit::{ChainReport, Report, Tampering};

use super::audit::arguments;
use super::audit_tampered::sql;
use super::cuts::forget_lease;
use super::record::Book;
use crate::decision::decider::{Decider, question};
use crate::decision::setting::{guard, permit, set_cluster_policy, spiffe_id};
use crate::harness::{World, eventually, within};

/// A look every three seconds, and five until it is published; the rest is for two busy cores.
const SIGNED: Duration = Duration::from_secs(8 + 40);

/// Where no trust domain is known, and two replicas' own.
const CHAINS: [&str; 3] = ["/decide-0", "example.org/decide-0", "example.org/decide-1"];

#[tokio::test]
async fn what_decision_points_record_is_signed_and_an_end_that_is_cut_off_is_named() {
    let world = World::own().await;
    let file = world.plane().dir().join("log.db");
    let url = format!("sqlite:{}", file.display());
    let mut first = world.operator("first", &arguments(&url));
    let other = ["--secret-namespaces", "*", "--audit", &url];
    let second = world.operator("second", &other);
    set_cluster_policy(&world, "guard", &guard()).await;
    let space = world.space("signed").await;
    space.set_policy("granted", &permit()).await;
    let agent = spiffe_id(&space.agents(&["reader"]).await[0]);
    let replicas = ["decide-0", "decide-1"]
        .map(|name| Decider::start(&world, name, &["--audit", &url, "--audit-writer", name]));
    for replica in &replicas {
        replica.ready().await;
        let nobody = question("spiffe://example.org/nobody", "read", "ledger/7");
        replica.ask(&nobody).await;
        replica.ask(&question(&agent, "read", "payroll/7")).await;
        // On record before it is answered, and so is what was before it.
        let secret = question(&agent, "read", "ledger/secrets/7");
        replica.until(&secret, "Permitted").await;
    }
    let book = Book::open(&world, &url).await;
    until_signed(&book, &CHAINS).await;

    // A replica that is gone, and another leader.
    let [replica, gone] = replicas;
    drop(gone);
    first.kill();
    forget_lease(&world).await;
    second.until_leading().await;
    replica.ask(&question(&agent, "read", "payroll/8")).await;
    for path in ["ledger/secrets/8", "ledger/secrets/9"] {
        let secret = question(&agent, "read", path);
        replica.until(&secret, "Permitted").await;
    }
    until_signed(&book, &CHAINS).await;
    let seen = verify(&world, &url).await;
    let said = String::from_utf8_lossy(&seen.stdout);
    let newest = chain(&book.verify(&[]).await, CHAINS[1]).last_seq;
    let line = format!("example.org/decide-0: {newest} records, signed up to {newest}");
    assert!(seen.status.success() && said.contains(&line), "{said}");

    // Somebody takes the last two back, together with the checkpoints on them.
    drop(replica);
    let last = newest - 2;
    let cut = format!(
        "PRAGMA busy_timeout = 5000; DELETE FROM records WHERE chain = '{name}' AND seq > {last}; \
         DELETE FROM checkpoints WHERE chain = '{name}' AND seq > {last};",
        name = CHAINS[1]
    );
    sql(&file, &cut);
    let report = book.verify(&book.anchors().await).await;
    let finding = chain(&report, CHAINS[1]).findings.remove(0);
    assert_eq!(
        (finding.tampering, finding.seq, finding.through),
        (Tampering::CutOff, last + 1, newest)
    );
    let seen = verify(&world, &url).await;
    let said = String::from_utf8_lossy(&seen.stderr);
    assert_eq!(seen.status.code(), Some(3), "{said}");
    let named = format!(
        "chain example.org/decide-0, records {} to {newest}",
        last + 1
    );
    assert!(said.contains(&named), "{said}");
    // The operator says so too, and goes on granting.
    eventually("a word on it", async || {
        let log = second.log();
        log.contains("is not signed any further").then_some(())
    })
    .await;
    space.agents(&["later"]).await;
    until_signed(&book, &["example.org/second"]).await;
}

fn chain(report: &Report, name: &str) -> ChainReport {
    let found = report.chains.iter().find(|it| it.chain == name);
    found.cloned().unwrap_or_default()
}

/// Until each of these chains is signed to its end, and that is published.
async fn until_signed(book: &Book, names: &[&str]) {
    within(SIGNED, "signed to the end", async || {
        let report = book.verify(&book.anchors().await).await;
        let signed = names.iter().all(|name| {
            let it = chain(&report, name);
            assert!(it.findings.is_empty(), "{report}");
            let last = it.last_seq;
            last > 0 && it.signed_through == last && it.anchored_through == last
        });
        signed.then_some(())
    })
    .await;
}

/// `kubectl countersign audit verify`, of the same build.
async fn verify(world: &World, url: &str) -> Output {
    let beside = Path::new(env!("CARGO_BIN_EXE_countersign"));
    let program = beside.with_file_name("kubectl-countersign");
    assert!(program.exists(), "first: cargo build --workspace --bins");
    let mut command = tokio::process::Command::new(program);
    command
        .args(["audit", "verify", "--audit", url])
        .env("KUBECONFIG", world.plane().kubeconfig());
    command.output().await.unwrap()
}
