//! A leader that was stopped for longer than its lease wakes up with delegations in its hands.

use std::time::Duration;

use countersign_testbed::Postgres;
use rustix::process::Signal;

use super::crowd::name;
use super::hops::{Hops, Showings, assert_over, digest, hop, root};
use super::record::Book;
use crate::harness::{World, eventually};
use crate::support::is;

const CHAINS: usize = 4;
const ENDS: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_leader_stopped_past_its_lease_brings_no_delegation_back() {
    let Some(server) = Postgres::start().unwrap() else {
        return;
    };
    let world = World::own().await;
    let url = server.url();
    let proxy = world.proxy();
    let arguments = |writer| {
        let audit = ["--audit", url.as_str(), "--audit-writer", writer];
        [["--secret-namespaces", "*"].as_slice(), &audit].concat()
    };
    let first = world.operator_by(proxy.kubeconfig(), "first", &arguments("first"));
    first.until_leading().await;
    let mut second = world.operator("second", &arguments("second"));
    let space = world.space("zombie").await;
    let hops = Hops::of(&space);
    for n in 0..=CHAINS {
        space.create_agent(&name(n)).await;
        space.until_ready(&name(n)).await;
    }
    let last = name(CHAINS);
    for n in 0..CHAINS {
        let (top, below) = (format!("root-{n}"), format!("hop-{n}"));
        hops.create(root(&top, &name(n))).await;
        hops.until_ready(&top).await;
        hops.create(hop(&below, &top, &name(n), &last)).await;
        hops.until_ready(&below).await;
    }

    // What it has sent is on its way for long: first statements, of a root and of a hop.
    proxy.hold_writes();
    proxy.forget_requests();
    hops.create(root("late-root", &name(1))).await;
    hops.create(hop("late-hop", "root-1", &name(1), &last))
        .await;
    eventually("writes on their way", async || {
        let requests = proxy.requests();
        let sent = |it: &str| requests.iter().any(|seen| seen.path.ends_with(it));
        (sent("/late-root/status") && sent("/late-hop/status")).then_some(())
    })
    .await;
    first.signal(Signal::STOP);
    second.until_leading().await;
    let late = ["late-root", "late-hop"];
    for name in late {
        hops.until_ready(name).await;
    }
    let book = Book::open(&world, &url).await;
    let showings = Showings::begin(&space, Some(book.reader.clone())).await;
    // 0: the task ends; 1: the root is revoked; the rest stays, and so does the late root.
    space.finish_pod(&name(0), "Succeeded").await;
    hops.revoke("root-1").await;
    let over = ["root-0", "hop-0", "root-1", "hop-1", "late-hop"];
    for name in over {
        hops.until_ended(ENDS, name).await;
    }
    let before = digests(&hops).await;

    proxy.release_writes();
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.forget_requests();
    first.signal(Signal::CONT);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let written = proxy.requests().into_iter();
    let written = written.filter(|it| it.is_mutation() && !it.path.contains("/leases"));
    let written: Vec<_> = written.collect();
    assert!(written.is_empty(), "it wrote: {written:#?}");
    for name in over {
        assert_over(&hops.get(name).await);
    }
    assert_eq!(digests(&hops).await, before);
    for shown in showings.end().await.values() {
        assert!(shown.digests.len() <= 1, "{shown:?}");
        assert_eq!(shown.ended, over.contains(&&*shown.name), "{shown:?}");
    }
    book.assert_intact().await;
    book.assert_covers(&space).await;

    // It is of use again.
    assert!(second.stop().success());
    hops.create(root("next", &name(2))).await;
    hops.until_ready("next").await;
    assert!(is(&hops.get("late-root").await, "Ready"));
}

async fn digests(hops: &Hops) -> Vec<Option<String>> {
    hops.all().await.iter().map(digest).collect()
}
